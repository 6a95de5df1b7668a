//! A plan: what one step wants to commit, and what follows once it is committed.
//!
//! Steps decide and fill a plan; [`crate::Engine::carry_out`] commits it and only then lets the
//! consequences happen. A process is therefore never started before the commit that says so.

use std::sync::Arc;

use squall_model::{Execution, ExecutionId, Timestamp, TriggerInstanceId};
use squall_store::Command;
use squall_value::Value;

use crate::claims::Claim;
use crate::request::Prepared;

/// Commands to commit together, and their consequences.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) commands: Vec<Command>,
    pub(crate) after: Vec<After>,
    /// The executions about which the plan decides, until its consequences have happened.
    pub(crate) claims: Vec<Claim>,
    /// New executions that passed a gate: if the plan is refused they never exist.
    pub(crate) gated: Vec<ExecutionId>,
}

/// What follows a commit.
#[derive(Debug)]
pub(crate) enum After {
    /// Start the process of an execution that the commit put into `running`. It holds a slot.
    Run(Arc<Execution>, Arc<Prepared>),
    /// The execution is `scheduled` and waits for a slot.
    Queue(Arc<Execution>, Arc<Prepared>),
    /// A workflow has something to do.
    Conduct(ExecutionId),
    /// A task of a workflow ended in this very commit.
    ChildEnded(Arc<Execution>, Value),
    /// A task of a workflow waits for a person.
    Changed(Arc<Execution>),
    /// An event waits to be matched.
    Match(TriggerInstanceId),
    /// Look at the execution again at this time.
    Wake(Timestamp, ExecutionId),
    /// The execution has ended: whoever waited for its place may go on.
    Ended(Arc<Execution>),
}

impl Plan {
    pub(crate) fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(crate) fn then(&mut self, after: After) {
        self.after.push(after);
    }
}

impl After {
    /// Puts the record as it is committed in place of an earlier one of the same execution.
    pub(crate) fn renew(&mut self, execution: &Arc<Execution>) {
        match self {
            After::Run(old, _)
            | After::Queue(old, _)
            | After::ChildEnded(old, _)
            | After::Changed(old)
            | After::Ended(old)
                if old.id() == execution.id() =>
            {
                *old = Arc::clone(execution);
            }
            _ => {}
        }
    }
}
