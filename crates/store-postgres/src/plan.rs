//! What a batch writes: the commands of all its transactions folded into one set of rows per table.
//!
//! A record that several commands touch appears once, as the last of them leaves it.

use std::collections::HashMap;
use std::sync::Arc;

use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, Execution, ExecutionId, Lease, OutputChunk,
    RawId, Timestamp, TriggerInstance, TriggerInstanceId, TriggerInstanceStatus,
};
use squall_store::codec::{Encoded, Packed};
use squall_store::decide::Accepted;
use squall_store::tally::Tally;
use squall_store::{Change, Command};
use squall_value::Str;

/// An execution to be written, with its log and, when it is new, its body.
#[derive(Debug)]
pub(crate) struct ExecutionWrite {
    pub(crate) execution: Arc<Execution>,
    pub(crate) log: String,
    pub(crate) body: Option<Packed>,
}

/// The pieces of a workflow that a batch adds.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Whether those that are stored go.
    pub(crate) replace: bool,
    pub(crate) pieces: Vec<(u64, Packed)>,
}

/// A document and its body.
pub(crate) type DocumentWrite = (Arc<Document>, Packed);

/// What becomes of singleton work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LeaseWrite {
    /// It is held.
    Hold(Lease, Timestamp),
    /// It is free if this server holds it in the store.
    Release(Lease),
    /// It was held and given up within the batch.
    Free,
}

/// All that a batch writes.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) remembered: HashMap<Str, (RawId, Timestamp)>,
    pub(crate) trigger_instances: Vec<(Arc<TriggerInstance>, TriggerInstanceStatus, Packed)>,
    new_trigger_instances: HashMap<TriggerInstanceId, usize>,
    pub(crate) finished: HashMap<TriggerInstanceId, TriggerInstanceStatus>,
    pub(crate) enforcements: Vec<Arc<Enforcement>>,
    pub(crate) inserts: Vec<ExecutionWrite>,
    new_executions: HashMap<ExecutionId, usize>,
    pub(crate) updates: HashMap<ExecutionId, ExecutionWrite>,
    pub(crate) results: HashMap<ExecutionId, Packed>,
    pub(crate) pieces: HashMap<ExecutionId, Pieces>,
    pub(crate) output: Vec<(ExecutionId, u64, OutputChunk, Packed)>,
    pub(crate) documents: HashMap<(DocumentKind, Str), Option<DocumentWrite>>,
    pub(crate) contents: HashMap<Str, Packed>,
    pub(crate) leases: HashMap<Str, LeaseWrite>,
    pub(crate) audit: Vec<(Arc<AuditRecord>, Packed)>,
    pub(crate) tally: Tally,
    pub(crate) changes: Vec<Change>,
}

impl Plan {
    /// Adds an accepted transaction.
    pub(crate) fn add(&mut self, commands: &[Command], encoded: Vec<Encoded>, accepted: &Accepted) {
        self.tally.add(commands, accepted);
        for (command, encoded) in commands.iter().zip(encoded) {
            self.command(command, encoded);
        }
        self.changes.extend(accepted.changes.iter().cloned());
    }

    fn command(&mut self, command: &Command, encoded: Encoded) {
        match command {
            Command::Remember { key, id, expires } => {
                self.remembered.insert(Arc::clone(key), (*id, *expires));
            }
            Command::InsertTriggerInstance(instance) => {
                let index = self.trigger_instances.len();
                self.new_trigger_instances.insert(instance.id, index);
                if let Some(body) = encoded.body {
                    let row = (Arc::clone(instance), instance.status, body);
                    self.trigger_instances.push(row);
                }
            }
            Command::FinishTriggerInstance { id, status } => {
                match self.new_trigger_instances.get(id) {
                    Some(index) => self.trigger_instances[*index].1 = *status,
                    None => {
                        self.finished.insert(*id, *status);
                    }
                }
            }
            Command::InsertEnforcement(enforcement) => {
                self.enforcements.push(Arc::clone(enforcement));
            }
            Command::InsertExecution { execution, .. } => self.insert(execution, encoded),
            Command::UpdateExecution { execution, .. } => self.update(execution, encoded),
            Command::AppendPieces { execution, at, .. } => {
                let pieces = self.pieces.entry(*execution).or_default();
                pieces.pieces.extend((*at..).zip(encoded.parts));
            }
            Command::ReplacePieces { execution, at, .. } => {
                let pieces = (*at..).zip(encoded.parts).collect();
                let replace = true;
                self.pieces.insert(*execution, Pieces { replace, pieces });
            }
            Command::AppendOutput {
                execution,
                at,
                chunks,
            } => {
                let rows = (*at..).zip(chunks.iter().zip(encoded.parts));
                let rows = rows.map(|(at, (chunk, text))| (*execution, at, chunk.clone(), text));
                self.output.extend(rows);
            }
            Command::PutDocument { document, .. } => {
                let key = (document.kind, Arc::clone(&document.key));
                let row = encoded.body.map(|body| (Arc::clone(document), body));
                self.documents.insert(key, row);
            }
            Command::DeleteDocument { kind, key, .. } => {
                self.documents.insert((*kind, Arc::clone(key)), None);
            }
            Command::PutContent { hash, .. } => {
                if let Some(body) = encoded.body {
                    self.contents.entry(Arc::clone(hash)).or_insert(body);
                }
            }
            Command::HoldLease {
                name,
                holder,
                until,
            } => {
                let hold = LeaseWrite::Hold(*holder, *until);
                self.leases.insert(Arc::clone(name), hold);
            }
            Command::ReleaseLease { name, holder } => self.release(name, *holder),
            Command::RequireServer(_) => {}
            Command::Record(record) => self.record(record, encoded),
        }
    }

    fn insert(&mut self, execution: &Arc<Execution>, encoded: Encoded) {
        let id = execution.id();
        self.new_executions.insert(id, self.inserts.len());
        self.inserts.push(ExecutionWrite {
            execution: Arc::clone(execution),
            log: encoded.log.unwrap_or_default(),
            body: encoded.body,
        });
        self.results
            .extend(encoded.result.map(|result| (id, result)));
    }

    fn update(&mut self, execution: &Arc<Execution>, encoded: Encoded) {
        let id = execution.id();
        let log = encoded.log.unwrap_or_default();
        self.results
            .extend(encoded.result.map(|result| (id, result)));
        if let Some(index) = self.new_executions.get(&id) {
            let new = &mut self.inserts[*index];
            // What was asked for stays as it was inserted: an update is about progress.
            new.execution = Arc::new(Execution {
                request: Arc::clone(&new.execution.request),
                progress: execution.progress.clone(),
            });
            new.log = log;
        } else {
            let write = ExecutionWrite {
                execution: Arc::clone(execution),
                log,
                body: None,
            };
            self.updates.insert(id, write);
        }
    }

    fn record(&mut self, record: &Arc<AuditRecord>, encoded: Encoded) {
        let row = encoded.body.map(|body| (Arc::clone(record), body));
        self.audit.extend(row);
    }

    fn release(&mut self, name: &Str, holder: Lease) {
        let entry = self.leases.entry(Arc::clone(name));
        entry
            .and_modify(|write| {
                if matches!(write, LeaseWrite::Hold(by, _) if *by == holder) {
                    *write = LeaseWrite::Free;
                } else if let LeaseWrite::Release(_) = write {
                    // At most one of those who give it up can be the holder.
                    *write = LeaseWrite::Release(holder);
                }
            })
            .or_insert(LeaseWrite::Release(holder));
    }
}
