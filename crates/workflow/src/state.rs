//! The state of a run: what pieces build, with everything counted that decisions look at.
//!
//! [`State::apply`] is the only place that changes it. Counters and indexes are kept up to date
//! there, so that no decision has to look at all tasks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use squall_value::{Str, Value};

use crate::context::{Contexts, Known, VersionId};
use crate::definition::{Definition, Language};
use crate::piece::{EntryPiece, Piece, StagedPiece};
use crate::status::{self, Status};

/// A task entry that still matters.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) node: usize,
    pub(crate) route: usize,
    pub(crate) version: VersionId,
    pub(crate) prev: Arc<Vec<(Str, usize)>>,
    /// By position among the task's outgoing edges; `None` where it was not evaluated.
    pub(crate) next: Vec<Option<bool>>,
    pub(crate) status: Status,
    pub(crate) is_terminal: bool,
    pub(crate) retry: Option<Retry>,
    /// The result and status of a failure that waits for a decision.
    pub(crate) held: Option<(Value, Status)>,
}

/// The retries of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) count: i64,
    pub(crate) delay: i64,
    pub(crate) tally: i64,
}

/// A task that waits to be started, or one with items in progress.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    pub(crate) node: usize,
    pub(crate) route: usize,
    pub(crate) version: VersionId,
    pub(crate) prev: Arc<Vec<(Str, usize)>>,
    pub(crate) ready: bool,
    pub(crate) is_completed: bool,
    pub(crate) run_on_fail: bool,
    pub(crate) retry: Option<i64>,
    /// Waits until the items of the same task are over that run now.
    pub(crate) behind: bool,
    pub(crate) items: Option<Items>,
    /// What the join has taken so far; rebuilt when it is missing.
    pub(crate) known: Option<Known>,
}

/// The items of a task in progress.
#[derive(Clone, Debug)]
pub(crate) struct Items {
    pub(crate) values: Arc<Vec<Value>>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) counts: Counts,
    /// Items without status, to be started.
    pub(crate) unset: BTreeSet<usize>,
}

/// How many have each status.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts([usize; status::ALL.len()]);

impl Counts {
    fn add(&mut self, status: Status) {
        self.0[status as usize] += 1;
    }

    fn remove(&mut self, status: Status) {
        self.0[status as usize] -= 1;
    }

    pub(crate) fn of(&self, wanted: impl Fn(Status) -> bool) -> usize {
        let all = status::ALL.into_iter();
        all.filter(|status| wanted(*status))
            .map(|status| self.0[status as usize])
            .sum()
    }

    pub(crate) fn active(&self) -> usize {
        self.of(Status::is_active)
    }

    pub(crate) fn has(&self, wanted: &[Status]) -> bool {
        wanted.iter().any(|status| self.0[*status as usize] > 0)
    }
}

/// What has arrived at a join on a route.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrivals {
    /// Tasks before it that have an entry.
    pub(crate) entered: usize,
    /// Tasks before it whose latest entry took an edge to it.
    pub(crate) taken: usize,
}

/// The state of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) inputs: Value,
    pub(crate) context: Value,
    pub(crate) timeout: Option<i64>,
    pub(crate) status: Status,
    pub(crate) paused_by_hold: bool,
    pub(crate) contexts: Contexts,
    pub(crate) routes: Vec<Arc<Vec<Str>>>,
    pub(crate) entries: BTreeMap<usize, Entry>,
    pub(crate) next_entry: usize,
    /// The latest entry of each task on each route.
    pub(crate) latest: HashMap<(usize, usize), usize>,
    /// Statuses of the latest entries, held ones apart.
    pub(crate) counts: Counts,
    /// Latest entries that are active.
    pub(crate) active: BTreeSet<usize>,
    /// Latest entries that wait for a decision.
    pub(crate) held: BTreeSet<usize>,
    pub(crate) terminals: BTreeSet<usize>,
    pub(crate) arrivals: HashMap<(usize, usize), Arrivals>,
    pub(crate) staged: BTreeMap<u64, Staged>,
    pub(crate) next_staged: u64,
    pub(crate) staged_by_task: HashMap<(usize, usize), u64>,
    /// Those that wait behind the items of the same task.
    pub(crate) behind: HashMap<(usize, usize), u64>,
    /// Staged tasks that are ready and not completed.
    pub(crate) ready: BTreeSet<u64>,
    /// Of these, the ones that may have something to hand out.
    pub(crate) pollable: BTreeSet<u64>,
    /// Staged joins that still wait.
    pub(crate) waiting: BTreeSet<u64>,
    /// Staged tasks that run although the workflow has failed.
    pub(crate) run_on_fail: BTreeSet<u64>,
    pub(crate) errors: Vec<Value>,
    pub(crate) log: Vec<Value>,
    /// Places in `errors` by a hash of the entry.
    error_places: HashMap<u64, Vec<usize>>,
    pub(crate) reruns: Vec<Vec<usize>>,
    /// Entries from this number on were made since the last rerun.
    pub(crate) rerun_at: usize,
    pub(crate) output: Value,
}

impl State {
    /// Applies a piece.
    ///
    /// # Errors
    ///
    /// What the piece speaks of that is not there. A conductor's own pieces always fit.
    pub(crate) fn apply(&mut self, definition: &Definition, piece: &Piece) -> Result<(), String> {
        match piece {
            Piece::Begun {
                inputs,
                context,
                timeout,
            } => {
                self.inputs = inputs.clone();
                self.context = context.clone();
                self.timeout = *timeout;
                if definition.language == Language::Chain {
                    self.contexts.replace_values();
                }
            }
            Piece::Version { id, parent, set } => {
                self.contexts.add(*id, *parent, *id, set.clone());
            }
            Piece::Repeat { id, parent, of } => {
                let of = self.contexts.get(*of).ok_or("an unknown version")?;
                let (change, set) = (of.change, of.set.clone());
                self.contexts.add(*id, Some(*parent), change, set);
            }
            Piece::Route { transitions } => self.routes.push(transitions.clone()),
            Piece::Status { status, by_hold } => {
                self.status = *status;
                self.paused_by_hold = *by_hold;
            }
            Piece::Entry(piece) => self.add_entry(definition, piece)?,
            Piece::EntryStatus { .. }
            | Piece::Transition { .. }
            | Piece::Terminal { .. }
            | Piece::Tally { .. }
            | Piece::Held { .. } => self.change_entry(definition, piece)?,
            Piece::Staged(piece) => self.stage(definition, piece)?,
            Piece::Arrived { .. }
            | Piece::RunOnFail { .. }
            | Piece::Completed { .. }
            | Piece::Unstaged { .. }
            | Piece::Items { .. }
            | Piece::Item { .. } => self.change_staged(piece)?,
            Piece::Error { entry } => self.add_error(entry.clone()),
            Piece::Log { entry } => self.log.push(entry.clone()),
            Piece::ErrorsRemoved { task } => self.remove_errors(task),
            Piece::Rerun { entries } => {
                self.reruns.push(entries.clone());
                self.rerun_at = self.next_entry;
            }
            Piece::Output { output } => self.output = output.clone(),
            Piece::Counters {
                entry,
                staged,
                version,
            } => {
                self.next_entry = *entry;
                self.next_staged = *staged;
                self.contexts.count_from(*version);
            }
            Piece::Snapshot { pieces } => {
                *self = State::default();
                for piece in pieces {
                    self.apply(definition, piece)?;
                }
            }
        }
        Ok(())
    }

    fn add_entry(&mut self, definition: &Definition, piece: &EntryPiece) -> Result<(), String> {
        let graph = &definition.graph;
        let node = graph.find(&piece.task).ok_or("an unknown task")?;
        let key = (node, piece.route);
        let is_first = match self.latest.insert(key, piece.entry) {
            None => true,
            Some(old) => {
                self.supersede(definition, old);
                false
            }
        };
        if is_first {
            for (target, _) in joins_after(definition, node) {
                self.arrivals
                    .entry((target, piece.route))
                    .or_default()
                    .entered += 1;
            }
        }
        self.contexts.hold(piece.version);
        self.counts.add(Status::Unset);
        let entry = Entry {
            node,
            route: piece.route,
            version: piece.version,
            prev: piece.prev.clone(),
            next: Vec::new(),
            status: Status::Unset,
            is_terminal: false,
            retry: piece.retry.map(|(count, delay)| Retry {
                count,
                delay,
                tally: 0,
            }),
            held: None,
        };
        self.entries.insert(piece.entry, entry);
        self.next_entry = self.next_entry.max(piece.entry + 1);
        Ok(())
    }

    /// `old` is no longer the latest entry of its task: it counts no more, and unless its variables
    /// are needed for the output, nobody will ask for it again.
    fn supersede(&mut self, definition: &Definition, old: usize) {
        let Some(entry) = self.entries.get(&old) else {
            return;
        };
        self.active.remove(&old);
        if !self.held.remove(&old) {
            self.counts.remove(entry.status);
        }
        for (target, edges) in joins_after(definition, entry.node) {
            if edges
                .clone()
                .any(|edge| entry.next.get(edge) == Some(&Some(true)))
                && let Some(arrivals) = self.arrivals.get_mut(&(target, entry.route))
            {
                arrivals.taken -= 1;
            }
        }
        if !entry.is_terminal {
            self.drop_entry(old);
        }
    }

    fn drop_entry(&mut self, index: usize) {
        if let Some(entry) = self.entries.remove(&index) {
            if entry.is_under_way() {
                self.contexts.end_use(entry.version);
            }
            self.contexts.release(entry.version);
        }
    }

    fn change_entry(&mut self, definition: &Definition, piece: &Piece) -> Result<(), String> {
        const MISSING: &str = "an unknown entry";
        match piece {
            Piece::EntryStatus {
                entry: index,
                status,
            } => {
                let entry = self.entries.get_mut(index).ok_or(MISSING)?;
                if entry.held.is_none()
                    && self.latest.get(&(entry.node, entry.route)) == Some(index)
                {
                    self.counts.remove(entry.status);
                    self.counts.add(*status);
                    if status.is_active() {
                        self.active.insert(*index);
                    } else {
                        self.active.remove(index);
                    }
                }
                let change = |entry: &mut Entry| entry.status = *status;
                change_use(&mut self.contexts, entry, change);
            }
            Piece::Transition {
                entry: index,
                edge,
                taken,
            } => {
                let entry = self.entries.get_mut(index).ok_or(MISSING)?;
                let outgoing = &definition.graph.get(entry.node).outgoing;
                let target = definition.graph.edges()[*outgoing.get(*edge).ok_or("no edge")?].to;
                if entry.next.len() <= *edge {
                    entry.next.resize(*edge + 1, None);
                }
                let counts = *taken
                    && definition.graph.get(target).barrier.is_some()
                    && !taken_to(definition, entry, target);
                entry.next[*edge] = Some(*taken);
                if counts {
                    self.arrivals
                        .entry((target, entry.route))
                        .or_default()
                        .taken += 1;
                }
            }
            Piece::Terminal {
                entry: index,
                terminal,
            } => {
                let entry = self.entries.get_mut(index).ok_or(MISSING)?;
                entry.is_terminal = *terminal;
                if *terminal {
                    self.terminals.insert(*index);
                } else {
                    self.terminals.remove(index);
                    if self.latest.get(&(entry.node, entry.route)) != Some(index) {
                        self.drop_entry(*index);
                    }
                }
            }
            Piece::Tally {
                entry: index,
                tally,
            } => {
                let entry = self.entries.get_mut(index).ok_or(MISSING)?;
                entry.retry.as_mut().ok_or("no retry")?.tally = *tally;
            }
            Piece::Held { entry: index, held } => {
                let entry = self.entries.get_mut(index).ok_or(MISSING)?;
                match (entry.held.is_some(), held.is_some()) {
                    (false, true) => {
                        self.counts.remove(entry.status);
                        self.active.remove(index);
                        self.held.insert(*index);
                    }
                    (true, false) => {
                        self.counts.add(entry.status);
                        self.held.remove(index);
                    }
                    _ => {}
                }
                let change = |entry: &mut Entry| entry.held.clone_from(held);
                change_use(&mut self.contexts, entry, change);
            }
            _ => return Err("not a change of an entry".to_owned()),
        }
        Ok(())
    }

    fn stage(&mut self, definition: &Definition, piece: &StagedPiece) -> Result<(), String> {
        let node = definition
            .graph
            .find(&piece.task)
            .ok_or("an unknown task")?;
        let key = (node, piece.route);
        let by_task = match piece.behind {
            true => &mut self.behind,
            false => &mut self.staged_by_task,
        };
        if let Some(old) = by_task.insert(key, piece.staged) {
            self.unstage(old);
        }
        self.contexts.hold(piece.version);
        self.contexts.begin_use(piece.version);
        let staged = Staged {
            node,
            route: piece.route,
            version: piece.version,
            prev: piece.prev.clone(),
            ready: piece.ready,
            is_completed: false,
            run_on_fail: false,
            retry: piece.retry,
            behind: piece.behind,
            items: None,
            known: None,
        };
        self.staged.insert(piece.staged, staged);
        self.next_staged = self.next_staged.max(piece.staged + 1);
        self.index_staged(piece.staged);
        Ok(())
    }

    fn unstage(&mut self, id: u64) {
        if let Some(staged) = self.staged.remove(&id) {
            let key = (staged.node, staged.route);
            for by_task in [&mut self.staged_by_task, &mut self.behind] {
                if by_task.get(&key) == Some(&id) {
                    by_task.remove(&key);
                }
            }
            self.contexts.end_use(staged.version);
            self.contexts.release(staged.version);
        }
        self.index_staged(id);
    }

    fn change_staged(&mut self, piece: &Piece) -> Result<(), String> {
        const MISSING: &str = "an unknown staged task";
        let id = match piece {
            Piece::Arrived {
                staged: id,
                version,
                prev,
                ready,
            } => {
                let staged = self.staged.get_mut(id).ok_or(MISSING)?;
                self.contexts.hold(*version);
                self.contexts.move_use(staged.version, *version);
                self.contexts.release(staged.version);
                staged.version = *version;
                Arc::make_mut(&mut staged.prev).push(prev.clone());
                staged.ready = *ready;
                staged.items = None;
                staged.is_completed = false;
                id
            }
            Piece::RunOnFail { staged: id } => {
                self.staged.get_mut(id).ok_or(MISSING)?.run_on_fail = true;
                id
            }
            Piece::Completed {
                staged: id,
                completed,
            } => {
                self.staged.get_mut(id).ok_or(MISSING)?.is_completed = *completed;
                id
            }
            Piece::Unstaged { staged: id } => {
                self.unstage(*id);
                return Ok(());
            }
            Piece::Items { staged: id, items } => {
                self.staged.get_mut(id).ok_or(MISSING)?.items = Some(Items::new(items.clone()));
                id
            }
            Piece::Item {
                staged: id,
                item,
                status,
            } => {
                let staged = self.staged.get_mut(id).ok_or(MISSING)?;
                let items = staged.items.as_mut().ok_or("no items")?;
                items.set(*item, *status).ok_or("an unknown item")?;
                id
            }
            _ => return Err("not a change of a staged task".to_owned()),
        };
        self.index_staged(*id);
        Ok(())
    }

    fn index_staged(&mut self, id: u64) {
        let put = |set: &mut BTreeSet<u64>, is_in: bool| {
            if is_in {
                set.insert(id);
            } else {
                set.remove(&id);
            }
        };
        let staged = self.staged.get(&id);
        let is_ready =
            staged.is_some_and(|staged| staged.ready && !staged.is_completed && !staged.behind);
        let has_work = staged.is_some_and(|staged| {
            staged
                .items
                .as_ref()
                .is_none_or(|items| !items.unset.is_empty() || items.statuses.is_empty())
        });
        put(&mut self.ready, is_ready);
        put(&mut self.pollable, is_ready && has_work);
        put(
            &mut self.waiting,
            staged.is_some_and(|staged| !staged.ready),
        );
        put(
            &mut self.run_on_fail,
            is_ready && staged.is_some_and(|staged| staged.run_on_fail),
        );
    }

    fn add_error(&mut self, entry: Value) {
        let hash = hash(&entry);
        self.error_places
            .entry(hash)
            .or_default()
            .push(self.errors.len());
        self.errors.push(entry);
    }

    /// Whether the error list already has this very entry.
    pub(crate) fn has_error(&self, entry: &Value) -> bool {
        self.error_places
            .get(&hash(entry))
            .is_some_and(|places| places.iter().any(|place| self.errors[*place] == *entry))
    }

    fn remove_errors(&mut self, task: &str) {
        let kept = std::mem::take(&mut self.errors);
        self.error_places.clear();
        for entry in kept {
            if entry.get("task_id").and_then(Value::as_str) != Some(task) {
                self.add_error(entry);
            }
        }
    }

    /// The latest entry of a task on a route.
    pub(crate) fn latest(&self, node: usize, route: usize) -> Option<(usize, &Entry)> {
        let index = *self.latest.get(&(node, route))?;
        Some((index, self.entries.get(&index)?))
    }

    /// The staged task on a route.
    pub(crate) fn staged(&self, node: usize, route: usize) -> Option<(u64, &Staged)> {
        let id = *self.staged_by_task.get(&(node, route))?;
        Some((id, self.staged.get(&id)?))
    }

    /// Pieces that build this state from nothing.
    pub(crate) fn dump(&self, definition: &Definition) -> Vec<Piece> {
        let mut pieces = vec![Piece::Begun {
            inputs: self.inputs.clone(),
            context: self.context.clone(),
            timeout: self.timeout,
        }];
        self.dump_contexts(&mut pieces);
        pieces.extend(self.routes.iter().map(|transitions| Piece::Route {
            transitions: transitions.clone(),
        }));
        // The place of the last rerun among the entries says which of them are older.
        let older = self.entries.range(..self.rerun_at);
        older.for_each(|(index, entry)| dump_entry(definition, *index, entry, &mut pieces));
        let reruns = self.reruns.iter().cloned();
        pieces.extend(reruns.map(|entries| Piece::Rerun { entries }));
        let newer = self.entries.range(self.rerun_at..);
        newer.for_each(|(index, entry)| dump_entry(definition, *index, entry, &mut pieces));
        for (id, staged) in &self.staged {
            dump_staged(definition, *id, staged, &mut pieces);
        }
        let errors = self
            .errors
            .iter()
            .cloned()
            .map(|entry| Piece::Error { entry });
        pieces.extend(errors);
        pieces.extend(self.log.iter().cloned().map(|entry| Piece::Log { entry }));
        if !self.output.is_null() {
            let output = self.output.clone();
            pieces.push(Piece::Output { output });
        }
        pieces.push(Piece::Status {
            status: self.status,
            by_hold: self.paused_by_hold,
        });
        pieces.push(Piece::Counters {
            entry: self.next_entry,
            staged: self.next_staged,
            version: self.contexts.next_id(),
        });
        pieces
    }

    fn dump_contexts(&self, pieces: &mut Vec<Piece>) {
        // The first version that made a change stands for it; later ones repeat it. It may itself be
        // gone, so the change is found by its number, not by its version.
        let mut first: HashMap<u64, u64> = HashMap::new();
        for (id, version) in self.contexts.sorted() {
            let piece = match (first.get(&version.change), version.parent) {
                (Some(of), Some(parent)) => Piece::Repeat {
                    id,
                    parent,
                    of: *of,
                },
                (_, parent) => Piece::Version {
                    id,
                    parent,
                    set: version.set.clone(),
                },
            };
            first.entry(version.change).or_insert(id);
            pieces.push(piece);
        }
    }
}

impl Entry {
    /// Whether the entry's task runs, or waits for a decision: then it sees its variables.
    fn is_under_way(&self) -> bool {
        let is_open = self.status != Status::Unset && !self.status.is_completed();
        is_open || self.held.is_some()
    }
}

/// Changes an entry, which may begin or cease to see its variables by it.
fn change_use(contexts: &mut Contexts, entry: &mut Entry, change: impl FnOnce(&mut Entry)) {
    let before = entry.is_under_way();
    change(entry);
    match (before, entry.is_under_way()) {
        (false, true) => contexts.begin_use(entry.version),
        (true, false) => contexts.end_use(entry.version),
        _ => {}
    }
}

fn dump_entry(definition: &Definition, index: usize, entry: &Entry, pieces: &mut Vec<Piece>) {
    pieces.push(Piece::Entry(EntryPiece {
        entry: index,
        task: definition.graph.name(entry.node).clone(),
        route: entry.route,
        version: entry.version,
        prev: entry.prev.clone(),
        retry: entry.retry.map(|retry| (retry.count, retry.delay)),
    }));
    if entry.status != Status::Unset {
        pieces.push(Piece::EntryStatus {
            entry: index,
            status: entry.status,
        });
    }
    for (edge, taken) in entry.next.iter().enumerate() {
        if let Some(taken) = *taken {
            pieces.push(Piece::Transition {
                entry: index,
                edge,
                taken,
            });
        }
    }
    if let Some(retry) = entry.retry.filter(|retry| retry.tally != 0) {
        pieces.push(Piece::Tally {
            entry: index,
            tally: retry.tally,
        });
    }
    if entry.is_terminal {
        pieces.push(Piece::Terminal {
            entry: index,
            terminal: true,
        });
    }
    if entry.held.is_some() {
        pieces.push(Piece::Held {
            entry: index,
            held: entry.held.clone(),
        });
    }
}

fn dump_staged(definition: &Definition, id: u64, staged: &Staged, pieces: &mut Vec<Piece>) {
    pieces.push(Piece::Staged(StagedPiece {
        staged: id,
        task: definition.graph.name(staged.node).clone(),
        route: staged.route,
        version: staged.version,
        prev: staged.prev.clone(),
        ready: staged.ready,
        retry: staged.retry,
        behind: staged.behind,
    }));
    if let Some(items) = &staged.items {
        pieces.push(Piece::Items {
            staged: id,
            items: items.values.clone(),
        });
        for (item, status) in items.statuses.iter().enumerate() {
            if *status != Status::Unset {
                pieces.push(Piece::Item {
                    staged: id,
                    item,
                    status: *status,
                });
            }
        }
    }
    if staged.run_on_fail {
        pieces.push(Piece::RunOnFail { staged: id });
    }
    if staged.is_completed {
        pieces.push(Piece::Completed {
            staged: id,
            completed: true,
        });
    }
}

/// The joins after a task, each with the positions of the edges that lead there. Edges are sorted by
/// target, so those positions are neighbours.
fn joins_after(definition: &Definition, node: usize) -> Vec<(usize, std::ops::Range<usize>)> {
    let graph = &definition.graph;
    let mut joins: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
    for (position, edge) in graph.outgoing(node).enumerate() {
        if graph.get(edge.to).barrier.is_none() {
            continue;
        }
        match joins.last_mut() {
            Some((target, range)) if *target == edge.to => range.end = position + 1,
            _ => joins.push((edge.to, position..position + 1)),
        }
    }
    joins
}

fn taken_to(definition: &Definition, entry: &Entry, target: usize) -> bool {
    let edges = definition.graph.outgoing(entry.node);
    edges
        .zip(&entry.next)
        .any(|(edge, taken)| edge.to == target && *taken == Some(true))
}

/// A hash of the data's text, the same in every process.
fn hash(value: &Value) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(value.to_json().as_bytes());
    hasher.finish()
}

impl Items {
    fn new(values: Arc<Vec<Value>>) -> Items {
        let mut counts = Counts::default();
        for _ in 0..values.len() {
            counts.add(Status::Unset);
        }
        Items {
            statuses: vec![Status::Unset; values.len()],
            counts,
            unset: (0..values.len()).collect(),
            values,
        }
    }

    fn set(&mut self, item: usize, status: Status) -> Option<()> {
        let slot = self.statuses.get_mut(item)?;
        self.counts.remove(*slot);
        self.counts.add(status);
        *slot = status;
        if status == Status::Unset {
            self.unset.insert(item);
        } else {
            self.unset.remove(&item);
        }
        Some(())
    }
}
