//! What follows from a task that has ended.

use std::collections::HashMap;
use std::sync::Arc;

use squall_value::{Dict, Str, Value};

use super::{Conductor, Joins, LogEntry, World};
use crate::chain;
use crate::context::{self, Known, VersionId};
use crate::definition::{Assignment, Join, Language};
use crate::graph::Edge;
use crate::piece::{Piece, StagedPiece};
use crate::state::Entry;
use crate::status::Status;

/// What has become of the tasks before a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    /// Enough of them lead to it.
    Satisfied,
    /// Some have not run yet, and something still runs.
    InProgress,
    /// It can't be reached any more.
    NotSatisfied,
}

impl Conductor {
    /// Evaluates the transitions of an ended entry and stages what follows. Returns the engine
    /// commands among it.
    pub(super) fn take_transitions(
        &mut self,
        index: usize,
        result: Value,
        world: World<'_>,
    ) -> Vec<(usize, usize)> {
        let definition = self.definition.clone();
        let (node, route) = {
            let entry = &self.state.entries[&index];
            (entry.node, entry.route)
        };
        let mut commands = Vec::new();
        let mut staged = Vec::new();
        let mut has_fail = false;
        // All targets of a transition see the same change, so that a join of them meets it once.
        let mut published: HashMap<usize, VersionId> = HashMap::new();
        for (position, edge) in definition.graph.outgoing(node).enumerate() {
            let taken = match self.criteria(index, edge, &result, world) {
                Ok(taken) => taken,
                Err(message) => {
                    self.transition_error(node, route, edge, message);
                    self.fail();
                    continue;
                }
            };
            self.record(Piece::Transition {
                entry: index,
                edge: position,
                taken,
            });
            if !taken {
                continue;
            }
            let version = match published.get(&edge.transition) {
                Some(version) => *version,
                None => match self.publish(index, edge, &result, world) {
                    Ok(set) => self.change(index, set),
                    Err(messages) => {
                        for message in messages {
                            self.transition_error(node, route, edge, message);
                        }
                        self.fail();
                        continue;
                    }
                },
            };
            published.insert(edge.transition, version);
            let target_route = self.target_route(edge, route);
            let from = (index, version);
            let id = self.arrive(from, edge, target_route, world.joins);
            let name = &**definition.graph.name(edge.to);
            if definition.is_command(name) {
                commands.push((edge.to, target_route));
                has_fail |= name == "fail";
            } else if self.state.staged[&id].ready {
                staged.push(id);
            }
        }
        if has_fail {
            for id in staged {
                self.record(Piece::RunOnFail { staged: id });
            }
        }
        if definition.graph.get(node).outgoing.is_empty() {
            self.record(Piece::Terminal {
                entry: index,
                terminal: true,
            });
        }
        commands
    }

    fn criteria(
        &self,
        index: usize,
        edge: &Edge,
        result: &Value,
        world: World<'_>,
    ) -> Result<bool, String> {
        let Some(when) = &edge.when else {
            return Ok(true);
        };
        let view = self.view_of(index, result, world);
        match when.evaluate(world.expressions, &view) {
            Ok(truth) => Ok(truth.is_truthy()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The variables that a transition sets, or all errors in them.
    fn publish(
        &self,
        index: usize,
        edge: &Edge,
        result: &Value,
        world: World<'_>,
    ) -> Result<Dict, Vec<String>> {
        let name = self.name(edge.from);
        let transition = &self.definition.tasks[name].next[edge.transition];
        if self.definition.language == Language::Chain {
            return self.publish_chain(index, &transition.publish, result, world);
        }
        let mut set = Dict::new();
        if transition.publish.is_empty() {
            return Ok(set);
        }
        let mut view = self.view_of(index, result, world);
        let mut errors = Vec::new();
        for variable in &transition.publish {
            match variable.value.evaluate(world.expressions, &view) {
                Ok(value) => {
                    view.set(&variable.name, value.clone());
                    set.insert(variable.name.clone(), value);
                }
                Err(error) => errors.push(error.to_string()),
            }
        }
        if errors.is_empty() {
            Ok(set)
        } else {
            Err(errors)
        }
    }

    /// What the end of a chain's task sets: its result under its name, and what it publishes.
    fn publish_chain(
        &self,
        index: usize,
        publish: &[Assignment],
        result: &Value,
        world: World<'_>,
    ) -> Result<Dict, Vec<String>> {
        let entry = &self.state.entries[&index];
        let name = self.name(entry.node);
        let mut values = self.state.contexts.values(entry.version);
        context::assign(&mut values, name, result.clone());
        let mapping: Dict = publish
            .iter()
            .map(|variable| (variable.name.clone(), variable.value.source().clone()))
            .collect();
        let rendered = chain::render(&self.definition, world, &values, self.user(), &mapping);
        let rendered =
            rendered.map_err(|reason| vec![reason.in_task("publish parameter", name)])?;
        let mut set = Dict::new();
        set.insert(name.clone(), result.clone());
        for (name, value) in rendered {
            set.insert(format!("{}{name}", chain::PUBLISHED), value.clone());
            set.insert(name, value);
        }
        Ok(set)
    }

    fn transition_error(&mut self, node: usize, route: usize, edge: &Edge, message: String) {
        let mut entry = LogEntry::error(message).at(&self.name(node).clone(), route);
        entry.transition = Some(edge.id.clone());
        self.add_error(&entry);
    }

    /// The route on which an edge's target runs. Taking an edge into a split task makes a new one.
    fn target_route(&mut self, edge: &Edge, route: usize) -> usize {
        if !self.definition.graph.get(edge.to).is_split {
            return route;
        }
        let known = self.state.routes[route].clone();
        if known.contains(&edge.back_id) {
            return route;
        }
        let mut transitions: Vec<Str> = (*known).clone();
        transitions.push(edge.back_id.clone());
        self.record(Piece::Route {
            transitions: Arc::new(transitions),
        });
        self.state.routes.len() - 1
    }

    /// The variables of an entry with those in `set` set.
    fn change(&mut self, index: usize, set: Dict) -> VersionId {
        let version = self.state.entries[&index].version;
        if set.is_empty() {
            return version;
        }
        let id = self.state.contexts.next_id();
        self.record(Piece::Version {
            id,
            parent: Some(version),
            set: Arc::new(set),
        });
        id
    }

    /// Brings a branch, which is an entry and the variables after it, to the target of `edge`.
    fn arrive(
        &mut self,
        (index, version): (usize, VersionId),
        edge: &Edge,
        route: usize,
        joins: Joins,
    ) -> u64 {
        let inbound_route = self.state.entries[&index].route;
        let ready = self.inbound(edge.to, inbound_route) == Inbound::Satisfied;
        let prev = (edge.back_id.clone(), index);
        let staged = self.state.staged(edge.to, route).map(|(id, _)| id);
        let waiting = self.state.behind.get(&(edge.to, route)).copied();
        let is_held = |(_, entry): (usize, &Entry)| entry.held.is_some();
        let behind = waiting.is_some()
            || staged.is_some_and(|id| self.belongs_to_a_run(id))
            || self.state.latest(edge.to, route).is_some_and(is_held);
        match if behind { waiting } else { staged } {
            Some(id) => {
                let version = match joins {
                    Joins::ByChange => self.merge_branch(id, version),
                    Joins::ByBranch => self.lay_over(id, version),
                };
                self.record(Piece::Arrived {
                    staged: id,
                    version,
                    prev,
                    ready,
                });
                id
            }
            None => {
                let id = self.state.next_staged;
                let earlier = match joins {
                    Joins::ByChange => self.joined_before_rerun(edge.to, route),
                    Joins::ByBranch => None,
                };
                let version = earlier.map_or(version, |into| self.merge(into, version));
                self.record(Piece::Staged(StagedPiece {
                    staged: id,
                    task: self.name(edge.to).clone(),
                    route,
                    version,
                    prev: Arc::new(vec![prev]),
                    ready,
                    retry: None,
                    behind,
                }));
                id
            }
        }
    }

    /// Whether a staged task is part of a run that has begun: its items have, or it is to be tried
    /// again. Who arrives then must not touch it: it waits behind it for a run of its own.
    fn belongs_to_a_run(&self, id: u64) -> bool {
        let staged = &self.state.staged[&id];
        let latest = self.state.latest(staged.node, staged.route);
        let is_under_way = latest.is_some_and(|(_, entry)| entry.status.is_under_way());
        let has_items = staged.items.is_some() && !staged.is_completed;
        staged.retry.is_some() || has_items && is_under_way
    }

    /// Lets what has arrived at a task wait behind the run of it that goes on.
    pub(super) fn put_behind(&mut self, node: usize, route: usize) {
        let Some((id, staged)) = self.state.staged(node, route) else {
            return;
        };
        let latest = self.state.latest(node, route);
        let is_fresh = latest.is_none_or(|(_, entry)| entry.status == Status::Unset);
        let is_own = staged.retry.is_some() || staged.items.is_some() || is_fresh;
        if is_own || self.state.behind.contains_key(&(node, route)) {
            return;
        }
        self.move_staged(id, true);
    }

    fn move_staged(&mut self, id: u64, behind: bool) {
        let staged = &self.state.staged[&id];
        let run_on_fail = staged.run_on_fail;
        let next = self.state.next_staged;
        let piece = StagedPiece {
            staged: next,
            task: self.name(staged.node).clone(),
            route: staged.route,
            version: staged.version,
            prev: staged.prev.clone(),
            ready: staged.ready,
            retry: None,
            behind,
        };
        self.record(Piece::Staged(piece));
        if run_on_fail {
            self.record(Piece::RunOnFail { staged: next });
        }
        self.record(Piece::Unstaged { staged: id });
    }

    /// A run of a task is over: what arrived meanwhile has its turn.
    pub(super) fn call_up(&mut self, node: usize, route: usize) {
        let Some(id) = self.state.behind.get(&(node, route)).copied() else {
            return;
        };
        self.move_staged(id, false);
    }

    /// The variables that a join had before a rerun. The branches that do not run again have left
    /// theirs there, and nowhere else.
    fn joined_before_rerun(&self, node: usize, route: usize) -> Option<u64> {
        self.definition.graph.get(node).barrier.as_ref()?;
        let (index, entry) = self.state.latest(node, route)?;
        (index < self.state.rerun_at).then_some(entry.version)
    }

    /// The variables of a staged task with what the branch that ends in `from` has changed on top.
    fn merge_branch(&mut self, id: u64, from: u64) -> u64 {
        let staged = self.state.staged.get_mut(&id).expect("the caller found it");
        let into = staged.version;
        let mut known = staged.known.take();
        let version = self.merge_known(into, from, &mut known);
        if let Some(staged) = self.state.staged.get_mut(&id) {
            staged.known = known;
        }
        version
    }

    /// The variables of a staged task with all that was ever set on the branch that ends in `from`
    /// on top.
    fn lay_over(&mut self, id: u64, from: u64) -> u64 {
        let mut version = self.state.staged[&id].version;
        for set in self.state.contexts.set_on_the_way(from) {
            let next = self.state.contexts.next_id();
            self.record(Piece::Version {
                id: next,
                parent: Some(version),
                set: Arc::new(set),
            });
            version = next;
        }
        version
    }

    fn merge(&mut self, into: u64, from: u64) -> u64 {
        self.merge_known(into, from, &mut None)
    }

    fn merge_known(&mut self, into: u64, from: u64, known: &mut Option<Known>) -> u64 {
        let missing = self.state.contexts.missing(into, from, known);
        let mut version = into;
        for of in missing {
            let next = self.state.contexts.next_id();
            self.record(Piece::Repeat {
                id: next,
                parent: version,
                of,
            });
            version = next;
            let change = self.state.contexts.get(next).map(|version| version.change);
            if let (Some(known), Some(change)) = (known.as_mut(), change) {
                known.extend(next, change);
            }
        }
        version
    }

    /// What has become of the tasks before `node`, as seen on a route.
    pub(super) fn inbound(&self, node: usize, route: usize) -> Inbound {
        let target = self.definition.graph.get(node);
        let requirement = match target.barrier {
            // Whoever asks has just arrived.
            None => return Inbound::Satisfied,
            Some(Join::All) => target.sources,
            // Zero is as good as one: someone has arrived.
            Some(Join::Count(count)) => count.max(1),
        };
        let arrivals = self
            .state
            .arrivals
            .get(&(node, route))
            .copied()
            .unwrap_or_default();
        if arrivals.taken >= requirement {
            return Inbound::Satisfied;
        }
        let is_open = arrivals.entered < target.sources;
        let is_moving =
            self.is_active() || !self.state.ready.is_empty() || !self.state.held.is_empty();
        if is_open && is_moving {
            Inbound::InProgress
        } else {
            Inbound::NotSatisfied
        }
    }
}
