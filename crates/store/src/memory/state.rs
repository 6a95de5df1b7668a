//! What the store in memory holds, and how it is found quickly.

mod list;
mod purge;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use squall_model::{
    ActionRef, AuditRecord, Document, DocumentKind, Enforcement, EnforcementId, EnforcementOutcome,
    Execution, ExecutionId, Lease, OutputChunk, Payload, RawId, RuleRef, Timestamp,
    TriggerInstance, TriggerInstanceId, TriggerInstanceStatus,
};
use squall_value::Str;

use crate::decide::{self, Fact, Facts, Key};
use crate::{Change, Command, Error, Server};

/// All records, and the orders in which they are listed. Every change goes through a method here,
/// which keeps the indexes true.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) executions: BTreeMap<ExecutionId, Arc<Execution>>,
    pub(super) results: HashMap<ExecutionId, Payload>,
    pub(super) pieces: HashMap<ExecutionId, Vec<(u64, Str)>>,
    pub(super) output: HashMap<ExecutionId, Vec<OutputChunk>>,
    by_requested: BTreeSet<(Timestamp, ExecutionId)>,
    by_action: HashMap<ActionRef, BTreeSet<(Timestamp, ExecutionId)>>,
    by_root: HashMap<ExecutionId, BTreeSet<(Timestamp, ExecutionId)>>,
    top: BTreeSet<(Timestamp, ExecutionId)>,
    unfinished: BTreeSet<ExecutionId>,
    children: HashMap<ExecutionId, BTreeSet<ExecutionId>>,

    pub(super) trigger_instances: HashMap<TriggerInstanceId, Arc<TriggerInstance>>,
    by_occurred: BTreeSet<(Timestamp, TriggerInstanceId)>,
    pending: BTreeSet<(Timestamp, TriggerInstanceId)>,

    pub(super) enforcements: HashMap<EnforcementId, Arc<Enforcement>>,
    by_enforced: BTreeSet<(Timestamp, EnforcementId)>,
    by_trigger_instance: HashMap<TriggerInstanceId, Vec<(RuleRef, EnforcementId)>>,

    pub(super) documents: BTreeMap<(DocumentKind, Str), Arc<Document>>,
    pub(super) document_ids: HashMap<(DocumentKind, RawId), Str>,
    pub(super) contents: HashMap<Str, Str>,
    remembered: HashMap<Str, (RawId, Timestamp)>,
    leases: HashMap<Str, (Lease, Timestamp)>,
    pub(super) servers: BTreeMap<Lease, Server>,
    last_lease: u64,

    /// By number; the last has the highest there ever was.
    pub(super) audit: VecDeque<Arc<AuditRecord>>,

    /// Without records: those are in the maps above.
    changes: VecDeque<Change>,
    last_position: u64,
}

impl Facts for &State {
    fn look_up(&mut self, key: &Key) -> Result<Fact, Error> {
        let fact = match key {
            Key::Remembered(key) => self
                .remembered
                .get(key)
                .map(|&(id, expires)| Fact::Remembered { id, expires }),
            Key::TriggerInstance(id) => self
                .trigger_instances
                .get(id)
                .map(|instance| Fact::TriggerInstance(Arc::clone(instance))),
            Key::Enforcement(id) => self.enforcements.get(id).map(|_| Fact::Exists),
            Key::EnforcementOf(instance, rule) => self
                .by_trigger_instance
                .get(instance)
                .and_then(|of| of.iter().find(|(by, _)| by == rule))
                .map(|_| Fact::Exists),
            Key::Execution(id) => self.executions.get(id).map(|execution| Fact::Execution {
                revision: execution.progress.revision,
                status: execution.state().status(),
            }),
            Key::Pieces(id) => {
                let last = self.pieces.get(id).and_then(|pieces| pieces.last());
                Some(Fact::Next(last.map_or(0, |(number, _)| number + 1)))
            }
            Key::Output(id) => {
                let count = self.output.get(id).map_or(0, Vec::len);
                Some(Fact::Next(count as u64))
            }
            Key::Document(kind, key) => self
                .documents
                .get(&(*kind, Arc::clone(key)))
                .map(|document| Fact::Document(Arc::clone(document))),
            Key::DocumentId(kind, id) => self
                .document_ids
                .get(&(*kind, *id))
                .map(|key| Fact::DocumentKey(Arc::clone(key))),
            Key::Lease(name) => self
                .leases
                .get(name)
                .map(|&(holder, until)| Fact::Lease { holder, until }),
            Key::Server(lease) => self.servers.get(lease).map(|server| Fact::Server {
                until: server.until,
            }),
        };
        Ok(fact.unwrap_or(Fact::Absent))
    }
}

impl State {
    /// Carries out a command that was decided.
    pub(super) fn apply(&mut self, command: Command) {
        match command {
            Command::Remember { key, id, expires } => {
                self.remembered.insert(key, (id, expires));
            }
            Command::InsertTriggerInstance(instance) => self.put_trigger_instance(instance),
            Command::FinishTriggerInstance { id, status } => {
                if let Some(instance) = self.trigger_instances.get(&id) {
                    let instance = TriggerInstance {
                        status,
                        ..TriggerInstance::clone(instance)
                    };
                    self.put_trigger_instance(Arc::new(instance));
                }
            }
            Command::InsertEnforcement(enforcement) => self.put_enforcement(enforcement),
            Command::InsertExecution { execution, result }
            | Command::UpdateExecution {
                execution, result, ..
            } => self.put_execution(execution, result),
            Command::AppendPieces {
                execution,
                at,
                pieces,
            } => {
                if !pieces.is_empty() {
                    let kept = self.pieces.entry(execution).or_default();
                    kept.extend((at..).zip(pieces));
                }
            }
            Command::ReplacePieces {
                execution,
                at,
                snapshot,
            } => {
                self.pieces.insert(execution, vec![(at, snapshot)]);
            }
            Command::AppendOutput {
                execution, chunks, ..
            } => {
                if !chunks.is_empty() {
                    let kept = self.output.entry(execution).or_default();
                    kept.extend_from_slice(&chunks);
                }
            }
            Command::PutDocument { document, .. } => self.put_document(document),
            Command::DeleteDocument { kind, key, .. } => self.remove_document(kind, key),
            Command::PutContent { hash, text } => {
                self.contents.entry(hash).or_insert(text);
            }
            Command::HoldLease {
                name,
                holder,
                until,
            } => {
                self.leases.insert(name, (holder, until));
            }
            Command::ReleaseLease { name, holder } => {
                if self.leases.get(&name).is_some_and(|(by, _)| *by == holder) {
                    self.leases.remove(&name);
                }
            }
            Command::RequireServer(_) => {}
            Command::Record(record) => self.put_audit(record),
        }
    }

    /// Numbers the changes and keeps them; returns the position of the last, or 0.
    pub(super) fn record(&mut self, changes: &mut [Change]) -> u64 {
        if changes.is_empty() {
            return 0;
        }
        let mut next = self.last_position + 1;
        decide::number(changes, &mut next);
        self.last_position = next - 1;
        self.changes.extend(changes.iter().map(|change| Change {
            position: change.position,
            at: change.at,
            operation: change.operation,
            subject: change.subject.clone(),
            record: None,
        }));
        self.last_position
    }

    fn put_execution(&mut self, execution: Arc<Execution>, result: Option<Payload>) {
        let (id, request) = (execution.id(), &execution.request);
        if let Some(result) = result {
            self.results.insert(id, result);
        }
        if execution.state().is_ended() {
            self.unfinished.remove(&id);
        } else {
            self.unfinished.insert(id);
        }
        let place = (request.requested, id);
        if self.by_requested.insert(place) {
            let of_action = self.by_action.entry(request.action.clone()).or_default();
            of_action.insert(place);
            self.by_root.entry(request.root).or_default().insert(place);
            if let Some(parent) = request.parent {
                self.children.entry(parent).or_default().insert(id);
            } else {
                self.top.insert(place);
            }
        }
        self.executions.insert(id, execution);
    }

    fn remove_execution(&mut self, id: ExecutionId) {
        self.results.remove(&id);
        self.pieces.remove(&id);
        self.output.remove(&id);
        let Some(execution) = self.executions.remove(&id) else {
            return;
        };
        let request = &execution.request;
        let place = (request.requested, id);
        self.unfinished.remove(&id);
        self.by_requested.remove(&place);
        self.top.remove(&place);
        remove_from(&mut self.by_action, &request.action, &place);
        remove_from(&mut self.by_root, &request.root, &place);
        if let Some(parent) = request.parent {
            remove_from(&mut self.children, &parent, &id);
        }
    }

    fn put_trigger_instance(&mut self, instance: Arc<TriggerInstance>) {
        let place = (instance.occurred, instance.id);
        if instance.status == TriggerInstanceStatus::Pending {
            self.pending.insert(place);
        } else {
            self.pending.remove(&place);
        }
        self.by_occurred.insert(place);
        self.trigger_instances.insert(instance.id, instance);
    }

    fn remove_trigger_instance(&mut self, id: TriggerInstanceId) {
        if let Some(instance) = self.trigger_instances.remove(&id) {
            let place = (instance.occurred, id);
            self.by_occurred.remove(&place);
            self.pending.remove(&place);
        }
        for (_, enforcement) in self.by_trigger_instance.remove(&id).unwrap_or_default() {
            if let Some(enforcement) = self.enforcements.remove(&enforcement) {
                let place = (enforcement.enforced, enforcement.id);
                self.by_enforced.remove(&place);
            }
        }
    }

    fn put_enforcement(&mut self, enforcement: Arc<Enforcement>) {
        self.by_trigger_instance
            .entry(enforcement.trigger_instance)
            .or_default()
            .push((enforcement.rule.clone(), enforcement.id));
        self.by_enforced
            .insert((enforcement.enforced, enforcement.id));
        self.enforcements.insert(enforcement.id, enforcement);
    }

    /// Whether an unfinished execution answers the event.
    fn is_needed(&self, instance: TriggerInstanceId) -> bool {
        let enforcements = self.by_trigger_instance.get(&instance);
        enforcements.into_iter().flatten().any(|(_, enforcement)| {
            match self.enforcements.get(enforcement).map(|kept| &kept.outcome) {
                Some(EnforcementOutcome::Execution(execution)) => {
                    self.unfinished.contains(execution)
                }
                _ => false,
            }
        })
    }

    fn put_audit(&mut self, record: Arc<AuditRecord>) {
        let number = self.audit.back().map_or(0, |last| last.number) + 1;
        let record = Arc::unwrap_or_clone(record);
        self.audit
            .push_back(Arc::new(AuditRecord { number, ..record }));
    }

    fn put_document(&mut self, document: Arc<Document>) {
        let (kind, key) = (document.kind, Arc::clone(&document.key));
        let id = document.id;
        if let Some(former) = self.documents.insert((kind, Arc::clone(&key)), document) {
            self.document_ids.remove(&(kind, former.id));
        }
        self.document_ids.insert((kind, id), key);
    }

    fn remove_document(&mut self, kind: DocumentKind, key: Str) {
        if let Some(document) = self.documents.remove(&(kind, key)) {
            self.document_ids.remove(&(kind, document.id));
        }
    }

    pub(super) fn register_server(&mut self, name: &str, boot: &str, until: Timestamp) -> Server {
        self.last_lease += 1;
        let lease = Lease(self.last_lease);
        let server = Server {
            lease,
            name: Arc::from(name),
            boot: Arc::from(boot),
            until,
        };
        self.servers.insert(lease, server.clone());
        server
    }

    pub(super) fn renew_server(&mut self, lease: Lease, now: Timestamp, until: Timestamp) -> bool {
        match self.servers.get_mut(&lease) {
            Some(server) if server.until > now => {
                server.until = until;
                true
            }
            _ => false,
        }
    }
}

fn remove_from<K: std::hash::Hash + Eq, V: Ord>(
    index: &mut HashMap<K, BTreeSet<V>>,
    key: &K,
    value: &V,
) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
