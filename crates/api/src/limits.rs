//! What is turned away, so that the server stays quick for what it has taken.

use std::time::Duration;

use crate::Api;
use crate::error::{Error, Result};
use crate::metrics::Present;

/// Bounds of what is taken in.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How many requests are answered at the same time; streams count until they have begun.
    pub requests: usize,
    /// How many executions may wait for a slot before no more work is taken in from outside.
    pub queued: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 64 << 20,
            body_time: Duration::from_secs(30),
            requests: 1024,
            queued: 100_000,
        }
    }
}

/// Lets a request in, unless there is too much already. What anybody may ask (health, sign-in) is
/// always let in: who looks after an overloaded server needs it most.
pub(crate) fn admit(api: &Api, makes_work: bool, is_open: bool) -> Result<Present<'_>> {
    let most = if is_open {
        usize::MAX
    } else {
        api.limits.requests
    };
    let Some(present) = api.metrics.enter(most) else {
        return Err(Error::busy(
            format!("The server is answering {most} requests already; try again in a second."),
            1,
        ));
    };
    if makes_work {
        let (_, queued) = api.engine.load();
        if queued >= api.limits.queued {
            api.metrics.refused();
            return Err(Error::busy(
                format!(
                    "{queued} executions wait for a slot; no more are taken until some have run."
                ),
                BACKLOG_SECONDS,
            ));
        }
    }
    Ok(present)
}

/// How long a client should wait for the backlog to have shrunk.
const BACKLOG_SECONDS: u64 = 10;
