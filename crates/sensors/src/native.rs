//! What all sources inside the server have in common.

use async_trait::async_trait;

use crate::event::DispatchError;

/// A source that needs no process of its own. Whoever runs it asks for one step after the other.
#[async_trait]
pub trait Source: Send {
    /// Waits until it is time to look or something moves, and reports what is new. The first step
    /// looks at once.
    ///
    /// Dropping the future at any time loses nothing: what was not reported is reported by the
    /// next step, here or wherever the source continues at its stored position.
    ///
    /// # Errors
    ///
    /// [`StepError`]; unless the lease was lost, another step may be asked for, and waits first.
    async fn step(&mut self) -> Result<(), StepError>;
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Another node runs this source now; there is nothing more to do here.
    #[error("another node has taken over this source")]
    LeaseLost,
    /// What is watched, or the store, does not answer; later it may.
    #[error("{reason}")]
    Failed {
        /// What happened, with its causes, for whoever must act.
        reason: String,
    },
}

impl StepError {
    /// A failure with the text of `error` and of all its causes.
    pub(crate) fn of(error: &dyn std::error::Error) -> StepError {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        StepError::Failed { reason }
    }
}

impl From<DispatchError> for StepError {
    fn from(error: DispatchError) -> StepError {
        match error {
            DispatchError::LeaseLost => StepError::LeaseLost,
            other => StepError::of(&other),
        }
    }
}
