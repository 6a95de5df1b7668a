//! On whose account state changes, and what the audit record says of it.
//!
//! Whoever answers a request holds a [`Scope`] around all that it does ([`Scope::run`]), so that
//! what changes state need not be told who asked. [`commit`] is the door through which the engine and
//! the directory of users hand in their transactions: it adds an entry for each definition that
//! changes and for each execution that is asked for, so an entry costs no commit of its own and is
//! never there without the change, nor the change without it. What changes nothing (a refusal, a
//! secret that was shown) is noted in the scope, goes along with the next commit of the same
//! request, or is written at its end ([`Scope::finish`]).
//!
//! Outside of any scope changes are on the server's own account: it reads the files of packs and
//! roles when it starts.

mod change;

use std::sync::Arc;

use parking_lot::Mutex;
use squall_model::{
    AuditRecord, AuditResult, Author, Execution, Origin, Timestamp, TriggerInstance,
};
use squall_value::{Dict, Str, Value, dict};

use crate::{Command, CommitError, Committed, Store, Transaction};

/// The one member of a value that is stored sealed, wherever it stands in a document.
pub const SEALED: &str = "$sealed";

tokio::task_local! {
    static SCOPE: Arc<Scope>;
    static QUIET: ();
}

/// What an entry says, but for who and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// As in [`AuditRecord::action`].
    pub action: Str,
    /// As in [`AuditRecord::resource`].
    pub resource: Option<Str>,
    /// As in [`AuditRecord::result`].
    pub result: AuditResult,
    /// As in [`AuditRecord::reason`].
    pub reason: Option<Str>,
    /// As in [`AuditRecord::before`].
    pub before: Value,
    /// As in [`AuditRecord::after`].
    pub after: Value,
    /// As in [`AuditRecord::repeated`].
    pub repeated: u64,
}

impl Entry {
    /// Says that something was done.
    #[must_use]
    pub fn done(action: &str, resource: Option<Str>) -> Entry {
        Entry {
            action: Str::from(action),
            resource,
            result: AuditResult::Done,
            reason: None,
            before: Value::Null,
            after: Value::Null,
            repeated: 0,
        }
    }

    /// Says that something was refused.
    #[must_use]
    pub fn refused(action: &str, resource: Option<Str>, reason: &str) -> Entry {
        Entry {
            result: AuditResult::Refused,
            reason: Some(Str::from(reason)),
            ..Entry::done(action, resource)
        }
    }

    /// The entry on an author's account.
    #[must_use]
    pub fn by(self, author: Author, at: Timestamp) -> AuditRecord {
        AuditRecord {
            number: 0,
            at,
            author,
            action: self.action,
            resource: self.resource,
            result: self.result,
            reason: self.reason,
            before: self.before,
            after: self.after,
            repeated: self.repeated,
        }
    }
}

/// What is known of a request while it is answered.
#[derive(Debug)]
pub struct Scope(Mutex<Known>);

#[derive(Debug)]
struct Known {
    author: Author,
    /// What the request is about, as far as rights were asked for it.
    resource: Option<Str>,
    /// What it is to change, until something says it better.
    intent: Option<Entry>,
    /// What was refused, and on what.
    refusal: Option<(Str, Option<Str>)>,
    /// Whether events that it brings in are somebody's deed.
    emits: bool,
    /// What waits to be written.
    noted: Vec<Entry>,
}

impl Scope {
    /// A scope for a request of somebody.
    #[must_use]
    pub fn new(author: Author) -> Arc<Scope> {
        Arc::new(Scope(Mutex::new(Known {
            author,
            resource: None,
            intent: None,
            refusal: None,
            emits: false,
            noted: Vec::new(),
        })))
    }

    /// Runs `work` on the account of this scope's author.
    pub async fn run<F: Future>(self: Arc<Scope>, work: F) -> F::Output {
        SCOPE.scope(self, work).await
    }

    /// The scope that the running task is in.
    #[must_use]
    pub fn current() -> Option<Arc<Scope>> {
        SCOPE.try_with(Arc::clone).ok()
    }

    /// Says who it is, once that is known.
    pub fn recognised(&self, user: &Str, method: &str, delegate: Option<Str>) {
        let author = &mut self.0.lock().author;
        author.user = Str::clone(user);
        author.method = Str::from(method);
        author.delegate = delegate;
    }

    /// Who it is, as far as that is known.
    #[must_use]
    pub fn author(&self) -> Author {
        self.0.lock().author.clone()
    }

    /// Says by what somebody is to be recognised, before that has succeeded.
    pub fn presents(&self, user: &str, method: &str) {
        let author = &mut self.0.lock().author;
        author.user = Str::from(user);
        author.method = Str::from(method);
    }

    /// Says what the request is about. Entries that name nothing themselves are about that.
    pub fn about(&self, resource: &str) {
        self.0.lock().resource = Some(Str::from(resource));
    }

    /// What the request is about, if that was said.
    #[must_use]
    pub fn resource(&self) -> Option<Str> {
        self.0.lock().resource.clone()
    }

    /// Says what the request changes, for changes that no document shows: it becomes an entry,
    /// unless the same request makes entries of its own.
    pub fn intend(&self, action: &str) {
        let mut known = self.0.lock();
        known.intent = Some(Entry::done(action, known.resource.clone()));
    }

    /// Says that the events of the request are made by hand, where a source would tell them: each
    /// becomes an entry. What sources tell is its own record.
    pub fn emits(&self) {
        self.0.lock().emits = true;
    }

    /// Says that rights were missing, for whoever answers.
    pub fn denied(&self, action: &str, resource: Option<&str>) {
        self.0.lock().refusal = Some((Str::from(action), resource.map(Str::from)));
    }

    /// The rights that were missing, if that was said: for what, and on what.
    #[must_use]
    pub fn refusal(&self) -> Option<(Str, Option<Str>)> {
        self.0.lock().refusal.clone()
    }

    /// Leaves an entry for the next commit of the request, or for its end.
    pub fn note(&self, entry: Entry) {
        self.0.lock().noted.push(entry);
    }

    /// Takes what waits. With it goes the intent: as an entry, if there is no other.
    fn take(&self, others: bool) -> Vec<Entry> {
        let mut known = self.0.lock();
        let mut taken = std::mem::take(&mut known.noted);
        for entry in &mut taken {
            entry.resource = entry.resource.take().or_else(|| known.resource.clone());
        }
        let intent = known.intent.take().filter(|_| !others);
        taken.extend(intent);
        taken
    }

    fn put_back(&self, entries: Vec<Entry>) {
        self.0.lock().noted.splice(0..0, entries);
    }

    /// Writes what still waits at the end of a request. What it had intended counts only if it was
    /// done.
    ///
    /// # Errors
    ///
    /// Those of [`Store::commit`].
    pub async fn finish(
        &self,
        store: &dyn Store,
        at: Timestamp,
        was_done: bool,
    ) -> Result<(), CommitError> {
        let entries = self.take(!was_done);
        if entries.is_empty() {
            return Ok(());
        }
        let author = self.author();
        let records = entries
            .into_iter()
            .map(|entry| Command::Record(Arc::new(entry.by(author.clone(), at))));
        let transaction = Transaction::new(at, records.collect());
        store.commit(transaction).await.map(drop)
    }
}

/// Keeps the scope of the caller around work that is set going beside it.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let scope = Scope::current();
    async move {
        match scope {
            Some(scope) => scope.run(work).await,
            None => work.await,
        }
    }
}

/// Runs work whose changes of documents are no changes for people: secrets sealed with another key.
pub async fn quietly<F: Future>(work: F) -> F::Output {
    QUIET.scope((), work).await
}

/// Commits a transaction, together with the entries that it makes.
///
/// # Errors
///
/// Those of [`Store::commit`], and of reading what a document was before.
pub async fn commit(
    store: &dyn Store,
    mut transaction: Transaction,
) -> Result<Committed, CommitError> {
    let scope = Scope::current();
    let is_quiet = QUIET.try_with(|()| ()).is_ok();
    let mut made = Vec::new();
    for command in &transaction.commands {
        match command {
            Command::PutDocument { document, from } if !is_quiet => {
                made.extend(change::put(store, document, *from, transaction.at).await?);
            }
            Command::DeleteDocument { kind, key, .. } if !is_quiet => {
                made.extend(change::deleted(store, *kind, key, transaction.at).await?);
            }
            Command::InsertExecution { execution, .. } => {
                let author = scope.as_ref().map(|scope| scope.author());
                made.extend(author.and_then(|author| request(execution, &author.user)));
            }
            Command::InsertTriggerInstance(instance)
                if scope.as_ref().is_some_and(|scope| scope.0.lock().emits) =>
            {
                made.push(emitted(instance));
            }
            _ => {}
        }
    }
    let noted = scope.as_ref().map(|scope| scope.take(!made.is_empty()));
    let noted = noted.unwrap_or_default();
    if made.is_empty() && noted.is_empty() {
        return store.commit(transaction).await;
    }
    let author = scope
        .as_ref()
        .map_or_else(Author::server, |scope| scope.author());
    let at = transaction.at;
    let records = made.into_iter().chain(noted.iter().cloned());
    let records = records.map(|entry| Command::Record(Arc::new(entry.by(author.clone(), at))));
    // At the end, so that a refusal names the commands by the places that the caller gave them.
    transaction.commands.extend(records);
    let done = store.commit(transaction).await;
    if let (Err(_), Some(scope)) = (&done, scope) {
        scope.put_back(noted);
    }
    done
}

/// Somebody asks for an execution. What rules and workflows ask for has its own trail, from the
/// event or the workflow on.
fn request(execution: &Execution, asker: &str) -> Option<Entry> {
    let request = &execution.request;
    let action = match request.origin {
        Origin::User => "action_execute",
        Origin::Rerun(_) => "execution_rerun",
        Origin::Rule(_) | Origin::Task(_) => return None,
    };
    let resource = format!("action:{}:{}", request.action.pack(), request.action.name());
    let mut entry = Entry::done(action, Some(Str::from(resource)));
    // The execution itself holds the parameters, sealed where they are secret.
    let mut after = Dict::new();
    after.insert("execution", request.id.to_string());
    if *request.user != *asker {
        // Administrators may ask on behalf of others.
        after.insert("user", request.user.clone());
    }
    entry.after = Value::from(after);
    Some(entry)
}

/// Somebody makes an event by hand. What rules make of it has its own trail, from the event on.
fn emitted(instance: &TriggerInstance) -> Entry {
    let resource = format!(
        "trigger:{}",
        instance.trigger.as_str().replacen('.', ":", 1)
    );
    let mut entry = Entry::done("trigger_emit", Some(Str::from(resource)));
    // The event itself holds the payload, sealed where it is secret.
    entry.after = dict! { "trigger_instance" => instance.id.to_string() };
    entry
}
