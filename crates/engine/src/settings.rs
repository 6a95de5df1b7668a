//! What an operator may set about the engine.

use std::path::PathBuf;
use std::time::Duration;

use squall_value::Str;
use squall_workflow::Joins;

/// The engine's settings, with the defaults that suit one machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many actions may have a process at the same time.
    pub slots: usize,
    /// How long the answer to a repeated event is remembered.
    pub dedupe: Duration,
    /// How long a server's entry holds without being renewed.
    pub lease: Duration,
    /// How long an action has to end by itself after it was told to.
    pub grace: Duration,
    /// The largest payload of an event and the largest set of parameters, in bytes of JSON.
    pub payload_bytes_max: usize,
    /// How deep workflows may call workflows.
    pub nesting_max: usize,
    /// Whether every step of a workflow needs the right of the one who asked for it, instead of its
    /// publisher's.
    pub check_every_step: bool,
    /// Whether the end of every execution becomes an event, as in StackStorm, instead of only those
    /// that an enabled rule listens for.
    pub all_internal_triggers: bool,
    /// Whose variables a workflow's join sees where its branches disagree.
    pub joins: Joins,
    /// After how many pieces of state a workflow's are replaced by one snapshot, if they have as
    /// many bytes as the last.
    pub pieces_max: u64,
    /// What is kept for how long.
    pub retention: Retention,
    /// The address of the API, handed to actions; empty hands out none.
    pub api_url: String,
    /// Whether the store has one server at a time, so that any other entry in it is a dead one.
    pub single_server: bool,
    /// Where packs have their virtual environments, one directory each.
    pub virtualenvs: Option<PathBuf>,
    /// Where the configurations of packs lie, `PACK.yaml` each.
    pub configs: Option<PathBuf>,
    /// Where the operator says which resources of packs are enabled: `_global.yaml`, `PACK.yaml`.
    pub overrides: Option<PathBuf>,
    /// What tells this program from others: with another one, packs are read anew even when their
    /// files are the same.
    pub build: Str,
    /// The user on whose behalf rules run actions.
    pub system_user: Str,
}

/// What is kept for how long. `None` keeps for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Executions with their results, counted from the end of the topmost.
    pub executions: Option<Duration>,
    /// What actions printed, counted from their end.
    pub output: Option<Duration>,
    /// Events and enforcements.
    pub trigger_instances: Option<Duration>,
    /// The audit record.
    pub audit: Option<Duration>,
    /// The change feed: how far back a client of the stream can resume.
    pub changes: Option<Duration>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            slots: 64,
            dedupe: DAY,
            lease: Duration::from_secs(20),
            grace: Duration::from_secs(10),
            payload_bytes_max: 8 << 20,
            nesting_max: 64,
            check_every_step: false,
            all_internal_triggers: false,
            joins: Joins::default(),
            pieces_max: 2_000,
            retention: Retention::default(),
            api_url: String::new(),
            single_server: true,
            virtualenvs: None,
            configs: None,
            overrides: None,
            build: Str::from(""),
            system_user: Str::from("stanley"),
        }
    }
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            executions: Some(90 * DAY),
            output: Some(30 * DAY),
            trigger_instances: Some(30 * DAY),
            audit: Some(400 * DAY),
            changes: Some(DAY),
        }
    }
}
