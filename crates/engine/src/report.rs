//! Reports of configuration tools: read, and accepted as events.

use std::sync::Arc;

use squall_sensors::reports::{self, Kind, RUN_REPORTED};
use squall_value::{Str, Value, dict};

use crate::{Engine, Incoming, IngestError, Receipt};

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is of a tool that is not known.
    #[error("reports of `{0}` are not known; there are `ansible`, `puppet` and `terraform`")]
    UnknownTool(Str),
    /// No rule asks for such reports.
    #[error("no rule waits for reports of {0}: make one on the trigger type {RUN_REPORTED}")]
    NotAwaited(&'static str),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] reports::Error),
    /// It was read and could not be accepted.
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

impl Engine {
    /// Accepts the report of a run of the tool called `tool`, as the tool writes it. Returns when it
    /// is durable, with what a rule sees of it.
    ///
    /// A rule may ask for the reports of all tools or of one, so there are up to two events; the
    /// receipt is the last one's. Sent again with the same `dedupe_key`, it stays those events.
    ///
    /// # Errors
    ///
    /// [`ReportError`]. When the store failed, one of two events may be there; sending the report
    /// again is right.
    pub async fn accept_report(
        self: &Arc<Engine>,
        tool: &str,
        report: Vec<u8>,
        trace_tag: Option<Str>,
        dedupe_key: Option<Str>,
    ) -> Result<(Receipt, Value), ReportError> {
        let kind = Kind::from_name(tool).ok_or_else(|| ReportError::UnknownTool(tool.into()))?;
        let catalog = self.catalog();
        let awaited: Vec<Str> = [Value::empty_dict(), dict! { "tool" => kind.as_str() }]
            .iter()
            .filter_map(|parameters| squall_packs::trigger_reference(RUN_REPORTED, parameters).ok())
            .map(|reference| reference.text())
            .filter(|reference| catalog.trigger(reference).is_some())
            .collect();
        if awaited.is_empty() {
            return Err(ReportError::NotAwaited(kind.as_str()));
        }
        // Reports have megabytes: read away from the threads that serve.
        let read = tokio::task::spawn_blocking(move || reports::parse(kind, &report)).await;
        let read = read.unwrap_or_else(|error| Err(reports::Error::Syntax(error.to_string())))?;
        let mut receipt = None;
        for trigger in awaited {
            let mut incoming = Incoming::new(trigger, read.clone());
            incoming.trace_tag.clone_from(&trace_tag);
            incoming.dedupe_key.clone_from(&dedupe_key);
            receipt = Some(self.accept(incoming).await?);
        }
        let receipt = receipt.ok_or(ReportError::NotAwaited(kind.as_str()))?;
        Ok((receipt, read))
    }
}
