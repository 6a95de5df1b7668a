//! What happened, counted where everything passes: the commit.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use squall_model::{EnforcementOutcome, Execution, Status, Timestamp};
use squall_store::{Command, CommitError};

/// A name and the value that tells the cases of one counter apart.
type Label = [(&'static str, &'static str); 1];

/// Bounds of the time that a commit takes, in seconds.
const COMMIT_BOUNDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Bounds of the time that executions wait and take, in seconds.
const EXECUTION_BOUNDS: [f64; 12] = [
    0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0,
];

/// Counters of one server since its start.
#[derive(Debug)]
pub struct Metrics {
    events: Counter,
    matched: Counter,
    enforcements: Family<Label, Counter>,
    requested: Counter,
    ended: Family<Label, Counter>,
    waited: Histogram,
    took: Histogram,
    output: Counter,
    pieces: Counter,
    commits: Family<Label, Counter>,
    commit_time: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            events: Counter::default(),
            matched: Counter::default(),
            enforcements: Family::default(),
            requested: Counter::default(),
            ended: Family::default(),
            waited: Histogram::new(EXECUTION_BOUNDS),
            took: Histogram::new(EXECUTION_BOUNDS),
            output: Counter::default(),
            pieces: Counter::default(),
            commits: Family::default(),
            commit_time: Histogram::new(COMMIT_BOUNDS),
        }
    }
}

/// What one transaction will have done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    events: u64,
    matched: u64,
    enforced: u64,
    not_enforced: u64,
    requested: u64,
    output: u64,
    pieces: u64,
    ended: Vec<(&'static str, f64)>,
    waited: Vec<f64>,
}

impl Tally {
    pub(crate) fn of(commands: &[Command]) -> Tally {
        let mut tally = Tally::default();
        for command in commands {
            match command {
                Command::InsertTriggerInstance(instance) => {
                    tally.events += 1;
                    let waits = instance.status == squall_model::TriggerInstanceStatus::Pending;
                    tally.matched += u64::from(!waits);
                }
                Command::FinishTriggerInstance { .. } => tally.matched += 1,
                Command::InsertEnforcement(enforcement) => match enforcement.outcome {
                    EnforcementOutcome::Execution(_) => tally.enforced += 1,
                    EnforcementOutcome::Failed(_) => tally.not_enforced += 1,
                },
                Command::InsertExecution { execution, .. } => {
                    tally.requested += 1;
                    tally.execution(execution);
                }
                Command::UpdateExecution { execution, .. } => tally.execution(execution),
                Command::AppendPieces { pieces, .. } => tally.pieces += count(pieces.len()),
                Command::AppendOutput { chunks, .. } => tally.output += count(chunks.len()),
                _ => {}
            }
        }
        tally
    }

    fn execution(&mut self, execution: &Execution) {
        let (request, progress) = (&execution.request, &execution.progress);
        let status = execution.state().status();
        if let (true, Some(ended)) = (execution.state().is_ended(), progress.ended) {
            let took = seconds_between(request.requested, ended);
            self.ended.push((status.as_str(), took));
        }
        if let (Status::Running, Some(started)) = (status, progress.started) {
            self.waited
                .push(seconds_between(request.requested, started));
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

impl Metrics {
    /// Records how a commit went.
    pub(crate) fn record(&self, tally: &Tally, took: Duration, done: Result<(), &CommitError>) {
        let outcome = match done {
            Ok(()) => "done",
            Err(error) if error.refusal().is_some() => "refused",
            Err(_) => "failed",
        };
        self.commits.get_or_create(&[("outcome", outcome)]).inc();
        self.commit_time.observe(took.as_secs_f64());
        if done.is_err() {
            return;
        }
        self.events.inc_by(tally.events);
        self.matched.inc_by(tally.matched);
        self.requested.inc_by(tally.requested);
        self.output.inc_by(tally.output);
        self.pieces.inc_by(tally.pieces);
        for (status, number) in [
            ("succeeded", tally.enforced),
            ("failed", tally.not_enforced),
        ] {
            if number > 0 {
                self.enforcements
                    .get_or_create(&[("status", status)])
                    .inc_by(number);
            }
        }
        for (status, took) in &tally.ended {
            self.ended.get_or_create(&[("status", status)]).inc();
            self.took.observe(*took);
        }
        for waited in &tally.waited {
            self.waited.observe(*waited);
        }
    }

    /// Enters all counters into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let counters = [
            ("events", "Events that were taken in.", &self.events),
            (
                "events_matched",
                "Events that rules have seen.",
                &self.matched,
            ),
            (
                "executions_requested",
                "Executions that were made.",
                &self.requested,
            ),
            (
                "output_chunks",
                "Pieces of output that were kept.",
                &self.output,
            ),
            (
                "workflow_pieces",
                "Pieces of workflow state that were kept.",
                &self.pieces,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let families = [
            (
                "enforcements",
                "What rules made of events.",
                &self.enforcements,
            ),
            (
                "executions_ended",
                "Executions that have ended.",
                &self.ended,
            ),
            ("commits", "Transactions, by how they went.", &self.commits),
        ];
        for (name, help, family) in families {
            registry.register(name, help, family.clone());
        }
        let times = [
            (
                "execution_wait",
                "From the request to the start.",
                &self.waited,
            ),
            ("execution_time", "From the request to the end.", &self.took),
            (
                "commit_time",
                "Until a transaction was durable.",
                &self.commit_time,
            ),
        ];
        for (name, help, histogram) in times {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_commit_counts_as_nothing_else() {
        let metrics = Metrics::default();
        let tally = Tally {
            events: 3,
            ended: vec![("failed", 2.0)],
            ..Tally::default()
        };
        let refused = CommitError::Store(squall_store::Error::Unavailable("test".to_owned()));
        metrics.record(&tally, Duration::from_millis(1), Err(&refused));
        metrics.record(&tally, Duration::from_millis(1), Ok(()));
        let mut registry = Registry::with_prefix("squall");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "squall_events_total 3",
            "squall_executions_ended_total{status=\"failed\"} 1",
            "squall_commits_total{outcome=\"failed\"} 1",
            "squall_commits_total{outcome=\"done\"} 1",
            "squall_execution_time_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
