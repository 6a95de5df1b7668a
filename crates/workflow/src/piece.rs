//! The pieces that a run's state is made of, for a store to append.
//!
//! Every change of a conductor's state is one or more pieces; applying them in order to an empty
//! state gives the same state again. A piece says only what is new, so what one event adds to the
//! log does not depend on how large the workflow has become. The encoded form is a list whose first
//! element names the kind of piece.

use std::sync::Arc;

use squall_value::{Dict, Str, Value};

use crate::status::Status;

/// One change of a run's state.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// The run was set up with these inputs and this parent context. Route 0 exists from here on.
    Begun {
        /// Inputs as they were supplied.
        inputs: Value,
        /// What the parent execution handed down.
        context: Value,
        /// Seconds that the run may take.
        timeout: Option<i64>,
    },
    /// A version of the variables: `parent` with these names set.
    Version {
        /// Its number.
        id: u64,
        /// The version it was made from.
        parent: Option<u64>,
        /// The names that were set.
        set: Arc<Dict>,
    },
    /// A version in which a join repeats the change of version `of`.
    Repeat {
        /// Its number.
        id: u64,
        /// The version it was made from.
        parent: u64,
        /// The version whose change it repeats.
        of: u64,
    },
    /// A new route: the transitions that lead to it.
    Route {
        /// `<source>__t<key>` of each.
        transitions: Arc<Vec<Str>>,
    },
    /// The workflow's status.
    Status {
        /// The new status.
        status: Status,
        /// Whether it rests only because held tasks wait for a decision.
        by_hold: bool,
    },
    /// A task entry.
    Entry(EntryPiece),
    /// The status of an entry.
    EntryStatus {
        /// The entry.
        entry: usize,
        /// Its new status.
        status: Status,
    },
    /// A transition of an entry was evaluated.
    Transition {
        /// The entry.
        entry: usize,
        /// The position among the task's outgoing edges.
        edge: usize,
        /// Whether it is taken.
        taken: bool,
    },
    /// Whether an entry ends its branch, so that its variables count for the output.
    Terminal {
        /// The entry.
        entry: usize,
        /// The new answer.
        terminal: bool,
    },
    /// How often an entry was retried.
    Tally {
        /// The entry.
        entry: usize,
        /// The number of retries.
        tally: i64,
    },
    /// An entry failed and waits for a decision, or (null) no longer waits.
    Held {
        /// The entry.
        entry: usize,
        /// The result and the status it failed with.
        held: Option<(Value, Status)>,
    },
    /// A task waits to be started.
    Staged(StagedPiece),
    /// A further branch arrived at a staged task.
    Arrived {
        /// The staged task's number.
        staged: u64,
        /// The variables, with what the branch has changed.
        version: u64,
        /// Where it came from.
        prev: (Str, usize),
        /// Whether the task is ready.
        ready: bool,
    },
    /// A staged task runs although the workflow has failed.
    RunOnFail {
        /// The staged task's number.
        staged: u64,
    },
    /// A staged task with items has ended and is kept for a rerun, or is open again.
    Completed {
        /// The staged task's number.
        staged: u64,
        /// The new answer.
        completed: bool,
    },
    /// A task is no longer staged.
    Unstaged {
        /// The staged task's number.
        staged: u64,
    },
    /// The items of a staged task.
    Items {
        /// The staged task's number.
        staged: u64,
        /// The items as expressions see them.
        items: Arc<Vec<Value>>,
    },
    /// The status of an item.
    Item {
        /// The staged task's number.
        staged: u64,
        /// The item.
        item: usize,
        /// Its new status.
        status: Status,
    },
    /// An entry of the error list.
    Error {
        /// The entry.
        entry: Value,
    },
    /// An entry of the log.
    Log {
        /// The entry.
        entry: Value,
    },
    /// The errors of a task were removed, because it is run again.
    ErrorsRemoved {
        /// The task.
        task: Str,
    },
    /// A rerun of these entries.
    Rerun {
        /// The entries.
        entries: Vec<usize>,
    },
    /// The output, or null when it was cleared.
    Output {
        /// The output.
        output: Value,
    },
    /// The numbers from which counting goes on.
    Counters {
        /// The next entry.
        entry: usize,
        /// The next staged task.
        staged: u64,
        /// The next version.
        version: u64,
    },
    /// Everything that still matters; all earlier pieces can be dropped.
    Snapshot {
        /// Pieces that build the state from nothing.
        pieces: Vec<Piece>,
    },
}

/// A task entry as it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryPiece {
    /// Its number: entries count up in the order in which tasks started.
    pub entry: usize,
    /// The task.
    pub task: Str,
    /// The route.
    pub route: usize,
    /// The variables that it saw.
    pub version: u64,
    /// Where it came from: `<source>__t<key>` and the source's entry.
    pub prev: Arc<Vec<(Str, usize)>>,
    /// How often and after how many seconds it is retried.
    pub retry: Option<(i64, i64)>,
}

/// A staged task as it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedPiece {
    /// Its number.
    pub staged: u64,
    /// The task.
    pub task: Str,
    /// The route.
    pub route: usize,
    /// The variables that it will see.
    pub version: u64,
    /// Where it comes from: `<source>__t<key>` and the source's entry.
    pub prev: Arc<Vec<(Str, usize)>>,
    /// Whether it may start.
    pub ready: bool,
    /// The delay in seconds, if this is a retry.
    pub retry: Option<i64>,
    /// Whether it waits until the items of the same task are over that run now.
    pub behind: bool,
}

fn pairs(prev: &[(Str, usize)]) -> Value {
    prev.iter()
        .flat_map(|(id, entry)| [Value::from(id.clone()), Value::from(*entry)])
        .collect()
}

fn texts(items: &[Str]) -> Value {
    items.iter().map(|text| Value::from(text.clone())).collect()
}

macro_rules! encode {
    ($($part:expr),* $(,)?) => { squall_value::list![$($part),*] };
}

impl Piece {
    /// The piece as data.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Piece::Begun {
                inputs,
                context,
                timeout,
            } => encode!["begun", inputs.clone(), context.clone(), *timeout],
            Piece::Version { id, parent, set } => {
                encode!["version", *id, *parent, Value::Dict(set.clone())]
            }
            Piece::Repeat { id, parent, of } => encode!["repeat", *id, *parent, *of],
            Piece::Route { transitions } => encode!["route", texts(transitions)],
            Piece::Status { status, by_hold } => encode!["status", status.as_str(), *by_hold],
            Piece::Entry(piece) => encode![
                "entry",
                piece.entry,
                piece.task.clone(),
                piece.route,
                piece.version,
                pairs(&piece.prev),
                piece.retry.map(|(count, delay)| encode![count, delay]),
            ],
            Piece::EntryStatus { entry, status } => encode!["is", *entry, status.as_str()],
            Piece::Transition { entry, edge, taken } => encode!["next", *entry, *edge, *taken],
            Piece::Terminal { entry, terminal } => encode!["term", *entry, *terminal],
            Piece::Tally { entry, tally } => encode!["tally", *entry, *tally],
            Piece::Held { entry, held } => encode![
                "held",
                *entry,
                held.as_ref()
                    .map(|(result, status)| encode![result.clone(), status.as_str()]),
            ],
            Piece::Staged(piece) => encode![
                "staged",
                piece.staged,
                piece.task.clone(),
                piece.route,
                piece.version,
                pairs(&piece.prev),
                piece.ready,
                piece.retry,
                piece.behind,
            ],
            other => other.to_value_of_staged(),
        }
    }

    fn to_value_of_staged(&self) -> Value {
        match self {
            Piece::Arrived {
                staged,
                version,
                prev,
                ready,
            } => encode!["arrived", *staged, *version, prev.0.clone(), prev.1, *ready],
            Piece::RunOnFail { staged } => encode!["onfail", *staged],
            Piece::Completed { staged, completed } => encode!["done", *staged, *completed],
            Piece::Unstaged { staged } => encode!["unstaged", *staged],
            Piece::Items { staged, items } => {
                encode!["items", *staged, Value::List(items.clone())]
            }
            Piece::Item {
                staged,
                item,
                status,
            } => encode!["item", *staged, *item, status.as_str()],
            Piece::Error { entry } => encode!["error", entry.clone()],
            Piece::Log { entry } => encode!["log", entry.clone()],
            Piece::ErrorsRemoved { task } => encode!["forgive", task.clone()],
            Piece::Rerun { entries } => encode![
                "rerun",
                entries
                    .iter()
                    .map(|entry| Value::from(*entry))
                    .collect::<Value>()
            ],
            Piece::Output { output } => encode!["output", output.clone()],
            Piece::Counters {
                entry,
                staged,
                version,
            } => encode!["counters", *entry, *staged, *version],
            Piece::Snapshot { pieces } => encode![
                "snapshot",
                pieces.iter().map(Piece::to_value).collect::<Value>()
            ],
            // The other half of the kinds is encoded by the caller.
            _ => Value::Null,
        }
    }

    /// Reads a piece from data; `None` if no conductor wrote it.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Piece> {
        let parts = value.as_list()?;
        let kind = parts.first()?.as_str()?;
        let parts = Parts(parts.get(1..)?);
        let piece = match kind {
            "begun" => Piece::Begun {
                inputs: parts.value(0)?,
                context: parts.value(1)?,
                timeout: parts.value(2)?.as_int(),
            },
            "version" => Piece::Version {
                id: parts.number(0)?,
                parent: parts.optional(1)?,
                set: parts.dict(2)?,
            },
            "repeat" => Piece::Repeat {
                id: parts.number(0)?,
                parent: parts.number(1)?,
                of: parts.number(2)?,
            },
            "route" => Piece::Route {
                transitions: Arc::new(
                    parts
                        .list(0)?
                        .iter()
                        .map(|text| text.as_str().map(Str::from))
                        .collect::<Option<_>>()?,
                ),
            },
            "status" => Piece::Status {
                status: parts.status(0)?,
                by_hold: parts.truth(1)?,
            },
            "entry" => Piece::Entry(parts.entry()?),
            "staged" => Piece::Staged(parts.staged()?),
            "snapshot" => {
                let pieces = parts.list(0)?.iter().map(Piece::from_value);
                Piece::Snapshot {
                    pieces: pieces.collect::<Option<_>>()?,
                }
            }
            _ => return parts.small(kind),
        };
        Some(piece)
    }
}

/// The elements of an encoded piece after its kind.
struct Parts<'a>(&'a [Value]);

impl Parts<'_> {
    fn value(&self, at: usize) -> Option<Value> {
        self.0.get(at).cloned()
    }

    fn number(&self, at: usize) -> Option<u64> {
        self.0.get(at)?.as_int()?.try_into().ok()
    }

    fn size(&self, at: usize) -> Option<usize> {
        self.0.get(at)?.as_int()?.try_into().ok()
    }

    /// A number or null.
    fn optional(&self, at: usize) -> Option<Option<u64>> {
        match self.0.get(at)? {
            Value::Null => Some(None),
            _ => self.number(at).map(Some),
        }
    }

    fn truth(&self, at: usize) -> Option<bool> {
        self.0.get(at)?.as_bool()
    }

    fn text(&self, at: usize) -> Option<Str> {
        self.0.get(at)?.as_str().map(Str::from)
    }

    fn status(&self, at: usize) -> Option<Status> {
        Status::parse(self.0.get(at)?.as_str()?)
    }

    fn list(&self, at: usize) -> Option<&Arc<Vec<Value>>> {
        match self.0.get(at)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    fn dict(&self, at: usize) -> Option<Arc<Dict>> {
        match self.0.get(at)? {
            Value::Dict(dict) => Some(dict.clone()),
            _ => None,
        }
    }

    fn pairs(&self, at: usize) -> Option<Arc<Vec<(Str, usize)>>> {
        let pairs = self.list(at)?.chunks_exact(2).map(|pair| {
            let entry = pair[1].as_int()?.try_into().ok()?;
            Some((Str::from(pair[0].as_str()?), entry))
        });
        pairs.collect::<Option<Vec<_>>>().map(Arc::new)
    }

    fn entry(&self) -> Option<EntryPiece> {
        let retry = match self.0.get(5)? {
            Value::List(pair) => Some((pair.first()?.as_int()?, pair.get(1)?.as_int()?)),
            _ => None,
        };
        Some(EntryPiece {
            entry: self.size(0)?,
            task: self.text(1)?,
            route: self.size(2)?,
            version: self.number(3)?,
            prev: self.pairs(4)?,
            retry,
        })
    }

    fn staged(&self) -> Option<StagedPiece> {
        Some(StagedPiece {
            staged: self.number(0)?,
            task: self.text(1)?,
            route: self.size(2)?,
            version: self.number(3)?,
            prev: self.pairs(4)?,
            ready: self.truth(5)?,
            retry: self.0.get(6)?.as_int(),
            behind: self.0.get(7).and_then(Value::as_bool).unwrap_or(false),
        })
    }

    fn small(&self, kind: &str) -> Option<Piece> {
        let piece = match kind {
            "is" => Piece::EntryStatus {
                entry: self.size(0)?,
                status: self.status(1)?,
            },
            "next" => Piece::Transition {
                entry: self.size(0)?,
                edge: self.size(1)?,
                taken: self.truth(2)?,
            },
            "term" => Piece::Terminal {
                entry: self.size(0)?,
                terminal: self.truth(1)?,
            },
            "tally" => Piece::Tally {
                entry: self.size(0)?,
                tally: self.0.get(1)?.as_int()?,
            },
            "held" => Piece::Held {
                entry: self.size(0)?,
                held: match self.0.get(1)? {
                    Value::List(pair) => Some((
                        pair.first()?.clone(),
                        Status::parse(pair.get(1)?.as_str()?)?,
                    )),
                    _ => None,
                },
            },
            "arrived" => Piece::Arrived {
                staged: self.number(0)?,
                version: self.number(1)?,
                prev: (self.text(2)?, self.size(3)?),
                ready: self.truth(4)?,
            },
            "onfail" => Piece::RunOnFail {
                staged: self.number(0)?,
            },
            "done" => Piece::Completed {
                staged: self.number(0)?,
                completed: self.truth(1)?,
            },
            "unstaged" => Piece::Unstaged {
                staged: self.number(0)?,
            },
            "items" => Piece::Items {
                staged: self.number(0)?,
                items: self.list(1)?.clone(),
            },
            "item" => Piece::Item {
                staged: self.number(0)?,
                item: self.size(1)?,
                status: self.status(2)?,
            },
            _ => return self.rest(kind),
        };
        Some(piece)
    }

    fn rest(&self, kind: &str) -> Option<Piece> {
        let piece = match kind {
            "error" => Piece::Error {
                entry: self.value(0)?,
            },
            "log" => Piece::Log {
                entry: self.value(0)?,
            },
            "forgive" => Piece::ErrorsRemoved {
                task: self.text(0)?,
            },
            "rerun" => {
                let entries = self.list(0)?.iter();
                let entries = entries.map(|entry| entry.as_int()?.try_into().ok());
                Piece::Rerun {
                    entries: entries.collect::<Option<_>>()?,
                }
            }
            "output" => Piece::Output {
                output: self.value(0)?,
            },
            "counters" => Piece::Counters {
                entry: self.size(0)?,
                staged: self.number(1)?,
                version: self.number(2)?,
            },
            _ => return None,
        };
        Some(piece)
    }
}
