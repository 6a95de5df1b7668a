//! What an expression may look at: the ports that callers implement.

use std::sync::Arc;

use squall_value::{Dict, Str, Value};

use crate::Error;

/// What an expression may look at besides its own text.
///
/// Implemented by whoever evaluates expressions: the workflow conductor, rules, parameters.
pub trait Scope {
    /// A workflow variable by name. Names that begin with `__` are never asked for.
    fn variable(&self, name: &str) -> Option<Value>;

    /// All visible variables as one dictionary, without names that begin with `__`. Asked for only
    /// when an expression needs the whole.
    fn variables(&self) -> Arc<Dict>;

    /// The task that is completing or being rendered, for `result()`, `succeeded()` and their kind.
    fn current_task(&self) -> Option<CurrentTask>;

    /// The status of the latest entry of `task`, or `None` if it has no entry. Without a route, the
    /// implementer takes the current task's; a task that is absent from the route is looked up in
    /// the earlier routes that lead to it.
    fn task_status(&self, task: &str, route: Option<usize>) -> Option<Str>;

    /// The record behind the `task()` function.
    ///
    /// # Errors
    ///
    /// [`Error::function`] with `Unable to find task execution for "<task>".` when there is none.
    fn task(&self, task: &str, route: Option<usize>) -> Result<Value, Error>;

    /// The current item of a with-items task.
    fn item(&self) -> Option<Value>;

    /// The outside world: datastore, clock.
    fn host(&self) -> &dyn Host;
}

/// The task of which `result()`, `succeeded()`, `failed()` and `completed()` speak.
#[derive(Clone, Debug)]
pub struct CurrentTask {
    /// Its name in the workflow.
    pub id: Str,
    /// The route by which it was reached.
    pub route: usize,
    /// What its action returned, if it has.
    pub result: Option<Value>,
}

/// The part of the datastore that a key lives in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyScope {
    /// Keys of the whole installation.
    System,
    /// Keys of one user.
    User(Str),
}

/// The outside world as expressions see it.
pub trait Host {
    /// Looks a datastore item up. `Ok(None)` when there is none.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the datastore can't answer or the value can't be decrypted.
    fn key(&self, scope: &KeyScope, name: &str, decrypt: bool) -> Result<Option<Value>, HostError>;

    /// Decrypts a datastore value (see [`crate::crypto`]).
    ///
    /// # Errors
    ///
    /// [`HostError`] when there is no key or the text was not encrypted with it.
    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError>;

    /// The time.
    fn now(&self) -> jiff::Timestamp;

    /// A random number.
    fn random(&self) -> u64;

    /// Asked now and then during long evaluations: `true` ends them with a limit error. The place
    /// for a bound on wall time, which this crate can't measure.
    fn is_out_of_time(&self) -> bool {
        false
    }
}

/// The outside world could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// The class that StackStorm reports for it.
    pub class: &'static str,
    /// What happened.
    pub message: String,
}

/// The variables of a template outside workflows, with or without the datastore.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub(crate) variables: &'a Dict,
    pub(crate) datastore: Option<Datastore<'a>>,
}

/// How templates outside workflows reach the datastore: `st2kv.system.x`, `st2kv.user.x`.
#[derive(Clone, Copy)]
pub(crate) struct Datastore<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) user: Option<&'a Str>,
    /// A further name for the system's keys: criteria of rules know them as `system` too.
    pub(crate) alias: Option<&'a str>,
}

impl<'a> Context<'a> {
    /// Plain variables.
    #[must_use]
    pub fn new(variables: &'a Dict) -> Context<'a> {
        Context {
            variables,
            datastore: None,
        }
    }

    /// Adds `st2kv` with `st2kv.system` and, if a user is given, `st2kv.user`; it hides a variable
    /// of that name. Filters that need the outside world ask `host` too.
    #[must_use]
    pub fn with_datastore(self, host: &'a dyn Host, user: Option<&'a Str>) -> Context<'a> {
        Context {
            datastore: Some(Datastore {
                host,
                user,
                alias: None,
            }),
            ..self
        }
    }

    /// Makes the system's keys known under a further top-level name, as rules do with `system`.
    /// Without [`Context::with_datastore`] it has no effect.
    #[must_use]
    pub fn with_system_alias(self, name: &'a str) -> Context<'a> {
        Context {
            datastore: self.datastore.map(|datastore| Datastore {
                alias: Some(name),
                ..datastore
            }),
            ..self
        }
    }
}

/// What a template outside workflows does with a missing variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Undefined {
    /// Reading it fails.
    Strict,
    /// It is empty text. Attributes of it still fail.
    Lenient,
}

/// Bounds on the evaluation of one expression or template.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps of evaluation: nodes visited, elements produced.
    pub steps: u64,
    /// Bytes of text and elements of collections (16 bytes each) that one evaluation may produce.
    pub bytes: u64,
    /// Nesting of expressions in the source and of calls and macros at run time.
    pub depth: usize,
    /// Compiled texts kept for reuse; with 0 each text is compiled whenever it is used.
    pub cached: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            steps: 10_000_000,
            bytes: 256 << 20,
            depth: 100,
            cached: 4096,
        }
    }
}
