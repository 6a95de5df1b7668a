//! How the numbers of records change: kept by kind, so that totals need no counting.

use std::collections::HashMap;

use squall_model::{
    ActionRef, ExecutionRequest, RuleRef, Status, TriggerInstanceStatus, TriggerRef,
};
use squall_value::Str;

use crate::decide::Accepted;
use crate::{Command, Operation, Record, sql};

/// The kinds by which executions are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExecutionKind {
    /// The action.
    pub action: ActionRef,
    /// The status.
    pub status: Status,
    /// The user on whose behalf they run.
    pub user: Str,
    /// The runner type.
    pub runner: Str,
    /// Whether they are at the top of their trees.
    pub top: bool,
}

/// The kinds by which executions that have ended are counted over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeKind {
    /// How wide the bucket is: one of [`sql::BUCKETS`].
    pub bits: u32,
    /// The bucket of their request.
    pub bucket: i64,
    /// The status.
    pub status: Status,
    /// Whether they are at the top of their trees.
    pub top: bool,
}

/// Differences, gathered over a batch.
#[derive(Debug, Default)]
pub struct Tally {
    /// Of executions.
    pub executions: HashMap<ExecutionKind, i64>,
    /// Of executions that have ended, over time.
    pub times: HashMap<TimeKind, i64>,
    /// Of events.
    pub trigger_instances: HashMap<(TriggerRef, TriggerInstanceStatus), i64>,
    /// Of enforcements.
    pub enforcements: HashMap<RuleRef, i64>,
}

impl Tally {
    /// Adds what an accepted transaction changes.
    pub fn add(&mut self, commands: &[Command], accepted: &Accepted) {
        let mut former = accepted.former.iter();
        for command in commands {
            match command {
                Command::InsertExecution { execution, .. } => {
                    self.execution(&execution.request, execution.state().status(), 1);
                }
                Command::UpdateExecution { execution, .. } => {
                    if let Some(status) = former.next() {
                        self.execution(&execution.request, *status, -1);
                        self.execution(&execution.request, execution.state().status(), 1);
                    }
                }
                Command::InsertTriggerInstance(instance) => {
                    self.trigger_instance(&instance.trigger, instance.status, 1);
                }
                Command::InsertEnforcement(enforcement) => {
                    let rule = enforcement.rule.clone();
                    *self.enforcements.entry(rule).or_default() += 1;
                }
                _ => {}
            }
        }
        for change in &accepted.changes {
            if let (Some(Record::TriggerInstance(instance)), Operation::Updated) =
                (&change.record, change.operation)
            {
                self.trigger_instance(&instance.trigger, TriggerInstanceStatus::Pending, -1);
                self.trigger_instance(&instance.trigger, instance.status, 1);
            }
        }
    }

    fn execution(&mut self, request: &ExecutionRequest, status: Status, by: i64) {
        let kind = ExecutionKind {
            action: request.action.clone(),
            status,
            user: Str::clone(&request.user),
            runner: Str::clone(&request.runner),
            top: request.parent.is_none(),
        };
        if status.is_ended() {
            for bits in sql::BUCKETS {
                let bucket = sql::bucket(request.requested, bits);
                let top = kind.top;
                let time = TimeKind {
                    bits,
                    bucket,
                    status,
                    top,
                };
                *self.times.entry(time).or_default() += by;
            }
        }
        *self.executions.entry(kind).or_default() += by;
    }

    fn trigger_instance(&mut self, trigger: &TriggerRef, status: TriggerInstanceStatus, by: i64) {
        let kind = (trigger.clone(), status);
        *self.trigger_instances.entry(kind).or_default() += by;
    }
}
