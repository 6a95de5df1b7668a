//! Which transactions hold: the one place where conditions are judged, shared by all back ends.
//!
//! A back end gathers waiting transactions into a batch and lets an [`Overlay`] decide them one
//! after the other. The overlay asks the back end for what is stored ([`Facts`]), keeps what the
//! accepted transactions of the batch will make of it, and forgets what a refused one wanted. So a
//! back end writes only transactions that are known to hold, and never has to undo one.

use std::collections::HashMap;
use std::sync::Arc;

use squall_model::{
    Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, Lease, OutputChunk,
    RawId, RuleRef, Status, Timestamp, TriggerInstance, TriggerInstanceId, TriggerInstanceStatus,
};
use squall_value::{Str, Value, json};

use crate::{
    Change, Command, CommitError, Error, Operation, Record, Refusal, Subject, Transaction,
};

/// What a decision may have to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// What a remembered key stands for: [`Fact::Remembered`].
    Remembered(Str),
    /// An event: [`Fact::TriggerInstance`].
    TriggerInstance(TriggerInstanceId),
    /// Whether an enforcement has this id: [`Fact::Exists`].
    Enforcement(EnforcementId),
    /// Whether an enforcement is there for this event and rule: [`Fact::Exists`].
    EnforcementOf(TriggerInstanceId, RuleRef),
    /// How far an execution got: [`Fact::Execution`].
    Execution(ExecutionId),
    /// The next free number of the pieces of an execution: [`Fact::Next`], never absent.
    Pieces(ExecutionId),
    /// The next free number of the output of an execution: [`Fact::Next`], never absent.
    Output(ExecutionId),
    /// A document, even if expired: [`Fact::Document`].
    Document(DocumentKind, Str),
    /// Which key the document of this id has: [`Fact::DocumentKey`].
    DocumentId(DocumentKind, RawId),
    /// Who holds singleton work: [`Fact::Lease`].
    Lease(Str),
    /// Until when a server is taken to be alive: [`Fact::Server`].
    Server(Lease),
}

/// The answer to a [`Key`].
#[derive(Debug, Clone)]
pub enum Fact {
    /// There is no such thing.
    Absent,
    /// There is; more does not matter.
    Exists,
    /// A remembered key.
    Remembered {
        /// What it stands for.
        id: RawId,
        /// Until when.
        expires: Timestamp,
    },
    /// An event.
    TriggerInstance(Arc<TriggerInstance>),
    /// An execution.
    Execution {
        /// Its revision.
        revision: u64,
        /// Its status.
        status: Status,
    },
    /// A number.
    Next(u64),
    /// A document.
    Document(Arc<Document>),
    /// The key of a document.
    DocumentKey(Str),
    /// A lease.
    Lease {
        /// Who holds it.
        holder: Lease,
        /// Until when.
        until: Timestamp,
    },
    /// A server.
    Server {
        /// Until when it is taken to be alive.
        until: Timestamp,
    },
}

/// What a back end holds, as of the beginning of the batch.
pub trait Facts {
    /// Looks a fact up.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of the back end; it fails the transaction that asked.
    fn look_up(&mut self, key: &Key) -> Result<Fact, Error>;
}

/// An accepted transaction.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What it changes, in order, with records; positions are 0 until [`number`] sets them.
    pub changes: Vec<Change>,
    /// The status that each changed execution had before, in the order of the `UpdateExecution`
    /// commands.
    pub former: Vec<Status>,
}

/// Gives changes their positions, from `next` on, which it moves behind the last.
pub fn number(changes: &mut [Change], next: &mut u64) {
    for change in changes {
        change.position = *next;
        *next += 1;
    }
}

/// The keys that deciding a command may ask for; a back end that reads ahead reads these.
pub fn keys(command: &Command, mut want: impl FnMut(Key)) {
    match command {
        Command::Remember { key, .. } => want(Key::Remembered(Arc::clone(key))),
        Command::InsertTriggerInstance(instance) => want(Key::TriggerInstance(instance.id)),
        Command::FinishTriggerInstance { id, .. } => want(Key::TriggerInstance(*id)),
        Command::InsertEnforcement(enforcement) => {
            want(Key::Enforcement(enforcement.id));
            want(enforcement_of(enforcement));
        }
        Command::InsertExecution { execution, .. } | Command::UpdateExecution { execution, .. } => {
            want(Key::Execution(execution.id()))
        }
        Command::AppendPieces { execution, .. } | Command::ReplacePieces { execution, .. } => {
            want(Key::Pieces(*execution));
        }
        Command::AppendOutput { execution, .. } => want(Key::Output(*execution)),
        Command::PutDocument { document, .. } => {
            want(Key::Document(document.kind, Arc::clone(&document.key)));
            want(Key::DocumentId(document.kind, document.id));
        }
        Command::DeleteDocument { kind, key, .. } => want(Key::Document(*kind, Arc::clone(key))),
        Command::PutContent { .. } | Command::Record(_) => {}
        Command::HoldLease { name, .. } | Command::ReleaseLease { name, .. } => {
            want(Key::Lease(Arc::clone(name)));
        }
        Command::RequireServer(lease) => want(Key::Server(*lease)),
    }
}

fn enforcement_of(enforcement: &Enforcement) -> Key {
    Key::EnforcementOf(enforcement.trigger_instance, enforcement.rule.clone())
}

/// What the accepted transactions of a batch make of the stored facts.
#[derive(Debug, Default)]
pub struct Overlay {
    known: HashMap<Key, Fact>,
    /// The keys that came since facts were forgotten last: only they are looked at next time.
    entered: Vec<Key>,
    /// What the transaction under decision replaced, so that its refusal can be undone.
    undo: Vec<(Key, Option<Fact>)>,
}

impl Overlay {
    /// An overlay that knows nothing yet.
    #[must_use]
    pub fn new() -> Overlay {
        Overlay::default()
    }

    /// Enters a fact that was read ahead.
    pub fn enter(&mut self, key: Key, fact: Fact) {
        self.replace(key, fact);
    }

    fn replace(&mut self, key: Key, fact: Fact) -> Option<Fact> {
        let former = self.known.insert(key.clone(), fact);
        if former.is_none() {
            self.entered.push(key);
        }
        former
    }

    /// How many facts it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it holds no fact.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Forgets those of the facts entered since the last call that `keep` does not want kept. What
    /// was kept once stays: a batch costs what it brought, however much is known.
    pub fn forget(&mut self, mut keep: impl FnMut(&Key) -> bool) {
        for key in self.entered.drain(..) {
            if !keep(&key) {
                self.known.remove(&key);
            }
        }
    }

    /// Decides a transaction on top of those that were accepted before.
    ///
    /// # Errors
    ///
    /// [`CommitError::Refused`] with the first command whose condition does not hold, or the back
    /// end's error. The overlay is then as it was before.
    pub fn decide(
        &mut self,
        facts: &mut dyn Facts,
        transaction: &Transaction,
    ) -> Result<Accepted, CommitError> {
        self.undo.clear();
        let mut decision = Decision {
            overlay: self,
            facts,
            at: transaction.at,
            accepted: Accepted {
                changes: Vec::with_capacity(transaction.commands.len()),
                former: Vec::new(),
            },
        };
        for (index, command) in transaction.commands.iter().enumerate() {
            match decision.command(command) {
                Ok(()) => {}
                Err(stop) => {
                    self.roll_back();
                    return Err(match stop {
                        Stop::Refusal(refusal) => CommitError::Refused {
                            command: index,
                            refusal,
                        },
                        Stop::Store(error) => CommitError::Store(error),
                    });
                }
            }
        }
        Ok(decision.accepted)
    }

    fn roll_back(&mut self) {
        while let Some((key, former)) = self.undo.pop() {
            match former {
                Some(fact) => self.known.insert(key, fact),
                None => self.known.remove(&key),
            };
        }
    }
}

enum Stop {
    Refusal(Refusal),
    Store(Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refusal(refusal)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Store(error)
    }
}

struct Decision<'a> {
    overlay: &'a mut Overlay,
    facts: &'a mut dyn Facts,
    at: Timestamp,
    accepted: Accepted,
}

impl Decision<'_> {
    fn fact(&mut self, key: &Key) -> Result<Fact, Error> {
        if let Some(fact) = self.overlay.known.get(key) {
            return Ok(fact.clone());
        }
        let fact = self.facts.look_up(key)?;
        self.overlay.enter(key.clone(), fact.clone());
        Ok(fact)
    }

    fn set(&mut self, key: Key, fact: Fact) {
        let former = self.overlay.replace(key.clone(), fact);
        self.overlay.undo.push((key, former));
    }

    fn change(&mut self, operation: Operation, subject: Subject, record: Record) {
        self.accepted.changes.push(Change {
            position: 0,
            at: self.at,
            operation,
            subject,
            record: Some(record),
        });
    }

    fn command(&mut self, command: &Command) -> Result<(), Stop> {
        match command {
            Command::Remember { key, id, expires } => self.remember(key, *id, *expires),
            Command::InsertTriggerInstance(instance) => self.insert_trigger_instance(instance),
            Command::FinishTriggerInstance { id, status } => {
                self.finish_trigger_instance(*id, *status)
            }
            Command::InsertEnforcement(enforcement) => self.insert_enforcement(enforcement),
            Command::InsertExecution { execution, .. } => self.insert_execution(execution),
            Command::UpdateExecution {
                execution, from, ..
            } => self.update_execution(execution, *from),
            Command::AppendPieces {
                execution,
                at,
                pieces,
            } => self.take_numbers(Key::Pieces(*execution), *at, pieces.len()),
            Command::ReplacePieces { execution, at, .. } => {
                self.take_numbers(Key::Pieces(*execution), *at, 1)
            }
            Command::AppendOutput {
                execution,
                at,
                chunks,
            } => self.append_output(*execution, *at, chunks),
            Command::PutDocument { document, from } => self.put_document(document, *from),
            Command::DeleteDocument { kind, key, from } => self.delete_document(*kind, key, *from),
            Command::PutContent { .. } => Ok(()),
            Command::Record(record) => {
                check_depth(&record.before)?;
                Ok(check_depth(&record.after)?)
            }
            Command::HoldLease {
                name,
                holder,
                until,
            } => self.hold_lease(name, *holder, *until),
            Command::ReleaseLease { name, holder } => self.release_lease(name, *holder),
            Command::RequireServer(lease) => match self.fact(&Key::Server(*lease))? {
                Fact::Server { until } if until > self.at => Ok(()),
                _ => Err(Refusal::Leased.into()),
            },
        }
    }

    fn remember(&mut self, key: &Str, id: RawId, expires: Timestamp) -> Result<(), Stop> {
        let key = Key::Remembered(Arc::clone(key));
        match self.fact(&key)? {
            Fact::Remembered { id, expires } if expires > self.at => {
                Err(Refusal::Duplicate(id).into())
            }
            _ => {
                self.set(key, Fact::Remembered { id, expires });
                Ok(())
            }
        }
    }

    fn absent(&mut self, key: &Key) -> Result<(), Stop> {
        match self.fact(key)? {
            Fact::Absent => Ok(()),
            _ => Err(Refusal::Exists.into()),
        }
    }

    fn insert_trigger_instance(&mut self, instance: &Arc<TriggerInstance>) -> Result<(), Stop> {
        check_depth(&instance.payload)?;
        let key = Key::TriggerInstance(instance.id);
        self.absent(&key)?;
        self.set(key, Fact::TriggerInstance(Arc::clone(instance)));
        self.change(
            Operation::Created,
            Subject::TriggerInstance(instance.id),
            Record::TriggerInstance(Arc::clone(instance)),
        );
        Ok(())
    }

    fn finish_trigger_instance(
        &mut self,
        id: TriggerInstanceId,
        status: TriggerInstanceStatus,
    ) -> Result<(), Stop> {
        if status == TriggerInstanceStatus::Pending {
            return Err(Refusal::Invalid("an event cannot be finished as pending").into());
        }
        let key = Key::TriggerInstance(id);
        let Fact::TriggerInstance(instance) = self.fact(&key)? else {
            return Err(Refusal::Missing.into());
        };
        if instance.status != TriggerInstanceStatus::Pending {
            return Err(Refusal::Changed.into());
        }
        let instance = Arc::new(TriggerInstance {
            status,
            ..TriggerInstance::clone(&instance)
        });
        self.set(key, Fact::TriggerInstance(Arc::clone(&instance)));
        self.change(
            Operation::Updated,
            Subject::TriggerInstance(id),
            Record::TriggerInstance(instance),
        );
        Ok(())
    }

    fn insert_enforcement(&mut self, enforcement: &Arc<Enforcement>) -> Result<(), Stop> {
        let (id, pair) = (
            Key::Enforcement(enforcement.id),
            enforcement_of(enforcement),
        );
        self.absent(&pair)?;
        self.absent(&id)?;
        self.set(id, Fact::Exists);
        self.set(pair, Fact::Exists);
        self.change(
            Operation::Created,
            Subject::Enforcement(enforcement.id),
            Record::Enforcement(Arc::clone(enforcement)),
        );
        Ok(())
    }

    fn insert_execution(&mut self, execution: &Arc<Execution>) -> Result<(), Stop> {
        let request = &execution.request;
        for value in [&request.parameters, &request.context, &request.notify] {
            check_depth(value)?;
        }
        let key = Key::Execution(execution.id());
        self.absent(&key)?;
        self.execution(key, Operation::Created, execution);
        Ok(())
    }

    fn update_execution(&mut self, execution: &Arc<Execution>, from: u64) -> Result<(), Stop> {
        if from.checked_add(1) != Some(execution.progress.revision) {
            return Err(Refusal::Invalid("a changed execution has the next revision").into());
        }
        let key = Key::Execution(execution.id());
        let Fact::Execution { revision, status } = self.fact(&key)? else {
            return Err(Refusal::Missing.into());
        };
        if revision != from {
            return Err(Refusal::Changed.into());
        }
        self.accepted.former.push(status);
        self.execution(key, Operation::Updated, execution);
        Ok(())
    }

    fn execution(&mut self, key: Key, operation: Operation, execution: &Arc<Execution>) {
        let status = execution.state().status();
        let revision = execution.progress.revision;
        self.set(key, Fact::Execution { revision, status });
        let id = execution.id();
        self.change(
            operation,
            Subject::Execution { id, status },
            Record::Execution(Arc::clone(execution)),
        );
    }

    fn take_numbers(&mut self, key: Key, at: u64, count: usize) -> Result<(), Stop> {
        match self.fact(&key)? {
            Fact::Next(next) if next == at => {
                if count > 0 {
                    self.set(key, Fact::Next(at + count as u64));
                }
                Ok(())
            }
            _ => Err(Refusal::Changed.into()),
        }
    }

    fn append_output(
        &mut self,
        execution: ExecutionId,
        at: u64,
        chunks: &Arc<Vec<OutputChunk>>,
    ) -> Result<(), Stop> {
        self.take_numbers(Key::Output(execution), at, chunks.len())?;
        if !chunks.is_empty() {
            self.change(
                Operation::Created,
                Subject::Output {
                    execution,
                    first: at,
                    count: chunks.len() as u64,
                },
                Record::Output(Arc::clone(chunks)),
            );
        }
        Ok(())
    }

    fn put_document(&mut self, document: &Arc<Document>, from: Option<u64>) -> Result<(), Stop> {
        check_depth(&document.body)?;
        if from.unwrap_or(0).checked_add(1) != Some(document.revision) {
            return Err(Refusal::Invalid("a changed document has the next revision").into());
        }
        let key = Key::Document(document.kind, Arc::clone(&document.key));
        let id = Key::DocumentId(document.kind, document.id);
        let former = self.live_document(&key)?;
        let operation = match (&former, from) {
            (None, Some(_)) => return Err(Refusal::Missing.into()),
            (Some(_), None) => return Err(Refusal::Exists.into()),
            (Some(former), Some(from)) if former.revision != from => {
                return Err(Refusal::Changed.into());
            }
            (Some(former), Some(_)) if former.id != document.id => {
                return Err(Refusal::Invalid("the id of a document never changes").into());
            }
            (Some(_), Some(_)) => Operation::Updated,
            (None, None) => {
                match self.fact(&id)? {
                    Fact::DocumentKey(key) if key != document.key => {
                        return Err(Refusal::Exists.into());
                    }
                    _ => {}
                }
                // An expired document may still be in the way; its id goes with it.
                if let Fact::Document(expired) = self.fact(&key)? {
                    self.set(Key::DocumentId(expired.kind, expired.id), Fact::Absent);
                }
                self.set(id, Fact::DocumentKey(Arc::clone(&document.key)));
                Operation::Created
            }
        };
        self.set(key, Fact::Document(Arc::clone(document)));
        self.document(operation, document);
        Ok(())
    }

    fn live_document(&mut self, key: &Key) -> Result<Option<Arc<Document>>, Error> {
        Ok(match self.fact(key)? {
            Fact::Document(document) if is_live(&document, self.at) => Some(document),
            _ => None,
        })
    }

    fn document(&mut self, operation: Operation, document: &Arc<Document>) {
        self.change(
            operation,
            Subject::Document {
                kind: document.kind,
                key: Arc::clone(&document.key),
                id: document.id,
            },
            Record::Document(Arc::clone(document)),
        );
    }

    fn delete_document(&mut self, kind: DocumentKind, key: &Str, from: u64) -> Result<(), Stop> {
        let key = Key::Document(kind, Arc::clone(key));
        let document = self.live_document(&key)?.ok_or(Refusal::Missing)?;
        if document.revision != from {
            return Err(Refusal::Changed.into());
        }
        self.set(key, Fact::Absent);
        self.set(Key::DocumentId(kind, document.id), Fact::Absent);
        self.document(Operation::Deleted, &document);
        Ok(())
    }

    fn hold_lease(&mut self, name: &Str, holder: Lease, until: Timestamp) -> Result<(), Stop> {
        let key = Key::Lease(Arc::clone(name));
        match self.fact(&key)? {
            Fact::Lease {
                holder: other,
                until,
            } if other != holder && until > self.at => Err(Refusal::Leased.into()),
            _ => {
                self.set(key, Fact::Lease { holder, until });
                Ok(())
            }
        }
    }

    fn release_lease(&mut self, name: &Str, holder: Lease) -> Result<(), Stop> {
        let key = Key::Lease(Arc::clone(name));
        if matches!(self.fact(&key)?, Fact::Lease { holder: by, .. } if by == holder) {
            self.set(key, Fact::Absent);
        }
        Ok(())
    }
}

/// Whether a document still exists at `now`.
#[must_use]
pub fn is_live(document: &Document, now: Timestamp) -> bool {
    document.expires.is_none_or(|expires| expires > now)
}

/// What nests deeper than the reader of JSON follows could be written but never read again.
fn check_depth(value: &Value) -> Result<(), Refusal> {
    fn fits(value: &Value, room: usize) -> bool {
        match value {
            Value::List(items) => room > 0 && items.iter().all(|item| fits(item, room - 1)),
            Value::Dict(dict) => room > 0 && dict.values().all(|item| fits(item, room - 1)),
            _ => true,
        }
    }
    if fits(value, json::DEPTH_MAX) {
        Ok(())
    } else {
        Err(Refusal::Invalid("a value nests too deeply to be kept"))
    }
}
