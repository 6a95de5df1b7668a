//! What every implementation of the port has to keep, as tests.
//!
//! Each public function in the modules below is one fact. A back end runs them all with
//! [`contract!`](crate::contract!), and [`durability::reopened`] if it is durable:
//!
//! ```text
//! async fn make() -> (Arc<dyn Store>, TempDir) { ... }
//! squall_store::contract!(make);
//! ```

pub mod audit;
pub mod commands;
pub mod documents;
pub mod durability;
pub mod feed;
pub mod hostile;
pub mod lists;
pub mod retention;
pub mod servers;
pub mod totals;
pub mod workflows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use squall_model::{
    ActionRef, Document, DocumentKind, Enforcement, EnforcementOutcome, Event, Execution,
    ExecutionId, ExecutionRequest, Id, Lease, Origin, Outcome, OutputChunk, OutputStream, Payload,
    Progress, RuleRef, Timestamp, TriggerInstance, TriggerInstanceId, TriggerInstanceStatus,
    TriggerRef,
};
use squall_value::{Str, Value, dict};

use crate::{Change, Command, CommitError, Committed, Refusal, Store, Subscription, Transaction};

/// Runs every fact of the contract as a test. `$make` is an `async fn` without arguments that gives
/// a new, empty store and whatever must live as long as it.
#[macro_export]
macro_rules! contract {
    ($make:path) => {
        $crate::contract! {
            $make =>
            commands {
                events_are_inserted_once, events_are_finished_once, remembered_keys_are_unique,
                remembered_keys_expire, executions_are_inserted_once,
                executions_are_updated_from_their_revision, results_are_kept_beside,
                one_enforcement_per_event_and_rule, contents_are_kept_under_their_hash,
                refused_transactions_leave_nothing, later_commands_see_earlier_ones,
                refused_transactions_do_not_fail_their_neighbours,
                one_of_many_concurrent_writers_wins, empty_transactions_hold,
                contradictory_commands_are_invalid,
            }
            workflows {
                pieces_are_numbered, snapshots_replace_pieces, output_is_numbered,
            }
            servers {
                leases_are_taken_and_kept, leases_are_taken_over_after_expiry,
                leases_are_given_up, servers_get_increasing_leases, servers_renew_while_alive,
                the_dead_are_fenced,
            }
            documents {
                documents_have_revisions, documents_expire, documents_are_deleted,
                documents_are_found_by_id, documents_are_listed_by_key,
            }
            feed {
                every_change_is_in_the_feed, live_changes_carry_records,
                concurrent_commits_are_in_one_order, laggards_are_told,
                the_feed_is_read_in_parts,
            }
            lists {
                executions_are_listed_newest_first, execution_filters_agree,
                pages_are_parts_of_the_whole, visibility_is_part_of_the_query,
                unfinished_executions_are_read_in_parts, children_are_found,
                totals_follow_updates, trigger_instance_filters_agree,
                pending_trigger_instances_are_found, enforcement_filters_agree,
            }
            audit {
                entries_come_with_their_transaction, audit_filters_agree, old_entries_go,
            }
            totals { totals_over_time_are_exact, }
            retention {
                old_trees_go_with_all_they_had, unfinished_trees_stay, purges_have_limits,
                old_output_goes, old_events_go_with_their_enforcements, old_changes_go,
                expired_keys_and_documents_go,
            }
            hostile { texts_survive, values_survive, large_things_survive, deep_values_are_refused, }
        }
    };
    ($make:path => $($module:ident { $($fact:ident),* $(,)? })*) => {
        $(mod $module {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                let (store, guard) = $make().await;
                let world = $crate::contract::World::new(store);
                $crate::contract::$module::$fact(&world).await;
                world.store.close().await;
                drop(guard);
            })*
        })*
    };
}

/// A store under test, and a source of ids, records and moments.
#[derive(Debug)]
pub struct World {
    /// The store.
    pub store: Arc<dyn Store>,
    last: AtomicU64,
}

/// The moment `seconds` after the beginning of the tests' time.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).expect("the tests' times are in this century")
}

/// A shared text.
#[must_use]
pub fn text(text: &str) -> Str {
    Arc::from(text)
}

impl World {
    /// A world around an empty store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> World {
        World {
            store,
            last: AtomicU64::new(0),
        }
    }

    /// An id that is greater than those before it.
    pub fn id<K>(&self) -> Id<K> {
        let count = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        Id::from_raw((1_767_225_600_u128 << 64) | u128::from(count))
    }

    /// Commits at [`at`]`(seconds)`.
    ///
    /// # Errors
    ///
    /// Those of [`Store::commit`].
    pub async fn commit(
        &self,
        seconds: i64,
        commands: Vec<Command>,
    ) -> Result<Committed, CommitError> {
        self.store
            .commit(Transaction::new(at(seconds), commands))
            .await
    }

    /// Commits what must hold.
    pub async fn hold(&self, seconds: i64, commands: Vec<Command>) -> Committed {
        match self.commit(seconds, commands).await {
            Ok(committed) => committed,
            Err(error) => panic!("the transaction was expected to hold: {error}"),
        }
    }

    /// Commits what must be refused; returns the command's place and the reason.
    pub async fn refuse(&self, seconds: i64, commands: Vec<Command>) -> (usize, Refusal) {
        match self.commit(seconds, commands).await {
            Err(CommitError::Refused { command, refusal }) => (command, refusal),
            other => panic!("the transaction was expected to be refused: {other:?}"),
        }
    }

    /// An execution that was just asked for.
    pub fn request(&self, action: &str, seconds: i64) -> ExecutionRequest {
        let id = self.id();
        let action = ActionRef::parse(action).expect("the tests name actions well");
        ExecutionRequest {
            id,
            action,
            runner: text("noop"),
            definition: text("4f53cda18c2baa0c"),
            parameters: dict! { "host" => "web01", "port" => 8080 },
            context: dict! { "user" => "stanley" },
            origin: Origin::User,
            user: text("stanley"),
            parent: None,
            root: id,
            trace_tag: None,
            notify: Value::Null,
            requested: at(seconds),
            tags: Vec::new(),
        }
    }

    /// A new execution without more to it.
    pub fn execution(&self, action: &str, seconds: i64) -> Arc<Execution> {
        requested(self.request(action, seconds))
    }

    /// Commits a new execution without more to it.
    pub async fn inserted(&self, action: &str, seconds: i64) -> Arc<Execution> {
        let execution = self.execution(action, seconds);
        self.hold(seconds, vec![insert(&execution)]).await;
        execution
    }

    /// A new event.
    pub fn event(&self, trigger: &str, seconds: i64) -> Arc<TriggerInstance> {
        Arc::new(TriggerInstance {
            id: self.id(),
            trigger: TriggerRef::parse(trigger).expect("the tests name triggers well"),
            payload: dict! { "body" => dict! { "n" => seconds } },
            occurred: at(seconds),
            status: TriggerInstanceStatus::Pending,
            trace_tag: None,
            source_execution: None,
            sender: None,
        })
    }

    /// An enforcement of `rule` for `event`.
    pub fn enforcement(
        &self,
        rule: &str,
        event: TriggerInstanceId,
        seconds: i64,
        outcome: EnforcementOutcome,
    ) -> Arc<Enforcement> {
        Arc::new(Enforcement {
            id: self.id(),
            rule: RuleRef::parse(rule).expect("the tests name rules well"),
            trigger_instance: event,
            enforced: at(seconds),
            outcome,
        })
    }

    /// A document of revision 1.
    pub fn document(&self, kind: DocumentKind, key: &str, seconds: i64) -> Document {
        Document {
            kind,
            key: text(key),
            id: self.id(),
            pack: None,
            body: dict! { "enabled" => true },
            revision: 1,
            changed: at(seconds),
            expires: None,
        }
    }

    /// All changes that the store has, read in one go.
    pub async fn changes(&self) -> Vec<Change> {
        let changes = self.store.changes_after(0, usize::MAX).await;
        changes.expect("the feed can be read")
    }
}

/// The execution that `request` begins.
#[must_use]
pub fn requested(request: ExecutionRequest) -> Arc<Execution> {
    let progress = Progress::requested(request.requested);
    Arc::new(Execution {
        request: Arc::new(request),
        progress,
    })
}

/// The execution after some events, under the next revision.
#[must_use]
pub fn advanced(execution: &Execution, events: &[Event], seconds: i64) -> Arc<Execution> {
    let start = execution.progress.clone();
    let progress = events.iter().fold(start, |progress, event| {
        let next = progress.after(*event, at(seconds));
        next.expect("the tests keep to the table of states")
    });
    Arc::new(Execution {
        request: Arc::clone(&execution.request),
        progress: progress.revised(),
    })
}

/// The execution as it is after it ran and ended.
#[must_use]
pub fn ended(execution: &Execution, outcome: Outcome, seconds: i64) -> Arc<Execution> {
    let lease = Lease(1);
    let finish = Event::Finish { lease, outcome };
    let events = [Event::Admit, Event::Start { lease }, finish];
    advanced(execution, &events, seconds)
}

/// The same under revision 1: what a store sees when the first commit finds it ended.
#[must_use]
pub fn at_first(execution: &Execution) -> Arc<Execution> {
    let mut execution = execution.clone();
    execution.progress.revision = 1;
    Arc::new(execution)
}

/// A command that inserts an execution without a result.
#[must_use]
pub fn insert(execution: &Arc<Execution>) -> Command {
    Command::InsertExecution {
        execution: Arc::clone(execution),
        result: None,
    }
}

/// A command that updates an execution from the revision before.
#[must_use]
pub fn update(execution: &Arc<Execution>) -> Command {
    Command::UpdateExecution {
        execution: Arc::clone(execution),
        from: execution.progress.revision - 1,
        result: None,
    }
}

/// A command that inserts an event.
#[must_use]
pub fn emit(event: &Arc<TriggerInstance>) -> Command {
    Command::InsertTriggerInstance(Arc::clone(event))
}

/// A command that puts a document: new if its revision is 1.
#[must_use]
pub fn put(document: &Document) -> Command {
    Command::PutDocument {
        document: Arc::new(document.clone()),
        from: Some(document.revision - 1).filter(|from| *from > 0),
    }
}

/// A payload of this JSON text.
#[must_use]
pub fn payload(json: &str) -> Payload {
    Payload {
        json: Arc::from(json),
    }
}

/// Output: one chunk per line.
#[must_use]
pub fn chunks(lines: &[&str]) -> Arc<Vec<OutputChunk>> {
    let chunk = |line: &&str| OutputChunk {
        stream: if line.starts_with("E:") {
            OutputStream::Stderr
        } else {
            OutputStream::Stdout
        },
        at: at(5),
        text: text(line),
    };
    Arc::new(lines.iter().map(chunk).collect())
}

/// The ids of executions, for comparison.
#[must_use]
pub fn ids(executions: &[Arc<Execution>]) -> Vec<ExecutionId> {
    executions.iter().map(|execution| execution.id()).collect()
}

/// The next message of a subscription. The limit turns a lost message into a failure instead of a
/// test that never ends.
pub async fn next(subscription: &mut Subscription) -> Arc<Vec<Change>> {
    let next = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await;
    next.expect("a change is delivered")
        .expect("the subscriber is not behind, and the store is there")
}

/// Changes without their records, as they are read from the store.
#[must_use]
pub fn bare(changes: &[Change]) -> Vec<Change> {
    let bare = changes.iter().cloned().map(|change| Change {
        record: None,
        ..change
    });
    bare.collect()
}
