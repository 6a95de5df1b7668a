//! The world outside: processes, which outlive the server that started them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use squall_model::{Execution, ExecutionId, Status};

use crate::definitions::SINGLE_WORKFLOW;
use crate::trace::{Trace, short};

/// Which processes were started, and which are alive.
#[derive(Debug)]
pub(crate) struct Ledger {
    trace: Arc<Trace>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often each execution's process was started.
    starts: BTreeMap<String, u32>,
    /// The living: execution, and the gate that bounds how many there may be.
    alive: BTreeMap<String, Option<String>>,
    /// What went wrong while it happened.
    violations: Vec<String>,
    /// Those of the workflow that may be under way only once, by what is durable.
    single: BTreeSet<ExecutionId>,
}

/// How many processes may live behind a gate at the same time.
pub(crate) fn limit_of(gate: &str) -> usize {
    if gate.starts_with("narrow") { 2 } else { 1 }
}

impl Ledger {
    pub(crate) fn new(trace: Arc<Trace>) -> Ledger {
        Ledger {
            trace,
            state: Mutex::default(),
        }
    }

    /// A process starts. `gate` names what it has to share, if it is limited.
    pub(crate) fn start(&self, execution: &str, gate: Option<String>) {
        self.trace
            .add(format!("process {} starts", short(execution)));
        let mut state = self.state.lock();
        *state.starts.entry(execution.to_owned()).or_default() += 1;
        if state.alive.contains_key(execution) {
            state
                .violations
                .push(format!("{execution} has two processes at the same time"));
        }
        state.alive.insert(execution.to_owned(), gate.clone());
        if let Some(gate) = gate {
            let sharing = state
                .alive
                .values()
                .filter(|other| other.as_ref() == Some(&gate))
                .count();
            if sharing > limit_of(&gate) {
                state.violations.push(format!(
                    "{sharing} processes run behind the gate `{gate}`, the last is {execution}"
                ));
            }
        }
    }

    /// A process ends by itself, or because it was told to.
    pub(crate) fn end(&self, execution: &str) {
        self.trace.add(format!("process {} ends", short(execution)));
        let mut state = self.state.lock();
        state.alive.remove(execution);
    }

    /// Something became durable.
    pub(crate) fn committed(&self, executions: &[Arc<Execution>]) {
        let mut state = self.state.lock();
        for execution in executions {
            if execution.request.action.text().as_ref() != SINGLE_WORKFLOW {
                continue;
            }
            let id = execution.id();
            let status = execution.state().status();
            let waits = matches!(
                status,
                Status::Requested | Status::Delayed | Status::Scheduled
            );
            if waits || status.is_ended() {
                state.single.remove(&id);
            } else if state.single.insert(id) && state.single.len() > 1 {
                let count = state.single.len();
                state.violations.push(format!(
                    "{count} executions of {SINGLE_WORKFLOW} are under way, the last is {id}"
                ));
            }
        }
    }

    /// The next start of the server ends what the last one left.
    pub(crate) fn end_all(&self) {
        self.state.lock().alive.clear();
    }

    pub(crate) fn starts(&self) -> BTreeMap<String, u32> {
        self.state.lock().starts.clone()
    }

    pub(crate) fn alive(&self) -> Vec<String> {
        self.state.lock().alive.keys().cloned().collect()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }
}
