//! What the conductor leaves to its host: which execution carries out which task, and what items
//! have returned so far. Kept as notes between the conductor's own pieces.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use squall_model::{Execution, ExecutionId, Status, TaskOrigin, Timestamp};
use squall_value::{Dict, Str, Value, dict};

/// The place of a child in the workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) task: Str,
    pub(super) route: usize,
    pub(super) item: Option<usize>,
    /// How many items the task has, if it runs over items.
    pub(super) items: Option<usize>,
    /// When the task has to be over.
    pub(super) deadline: Option<Timestamp>,
}

/// A change of the host's part of the state, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Note {
    Started(ExecutionId, Place),
    Ended(ExecutionId),
    /// A task of a chain could not be asked for.
    Refused(Refused),
}

/// A task of a chain that failed without an execution, because it could not be asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    pub(super) task: Str,
    /// Its number among the tasks of the chain that have ended.
    pub(super) place: usize,
    pub(super) at: Timestamp,
    /// What stands for its result.
    pub(super) result: Value,
}

/// The host's part of a workflow's state.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// In the order of their start, so that what is done about all of them has an order.
    active: BTreeMap<ExecutionId, Place>,
    items: HashMap<(Str, usize), Items>,
    /// The latest finished run of each task, when the workflow's text asks for such records.
    records: Option<HashMap<(Str, usize), Record>>,
    /// The finished tasks of an action chain in order, which are its result.
    history: Option<Vec<Value>>,
    /// Those of them that never had an execution.
    refused: Vec<Refused>,
}

/// What the items of a task have returned.
#[derive(Debug, Default)]
struct Items {
    ids: Vec<Option<ExecutionId>>,
    /// When all of them have to be over.
    deadline: Option<Timestamp>,
    /// The same list that the conductor is shown; shared, so that showing it costs nothing.
    results: Arc<Vec<Value>>,
}

impl Children {
    pub(super) fn new(keep_records: bool, is_chain: bool) -> Children {
        Children {
            records: keep_records.then(HashMap::new),
            history: is_chain.then(Vec::new),
            ..Children::default()
        }
    }

    /// The place of a child that has not ended.
    pub(super) fn place(&self, id: ExecutionId) -> Option<&Place> {
        self.active.get(&id)
    }

    /// All children that have not ended.
    pub(super) fn active(&self) -> impl Iterator<Item = (&ExecutionId, &Place)> {
        self.active.iter()
    }

    /// Whether anything of a task is under way.
    pub(super) fn has_active(&self, task: &str, route: usize) -> bool {
        let mut places = self.active.values();
        places.any(|place| &*place.task == task && place.route == route)
    }

    /// When the items of a task have to be over that began earlier.
    pub(super) fn items_deadline(&self, task: &Str, route: usize) -> Option<Timestamp> {
        self.items.get(&(task.clone(), route))?.deadline
    }

    /// Takes a note in.
    pub(super) fn apply(&mut self, note: &Note) {
        match note {
            Note::Started(id, place) => {
                if let (Some(item), Some(count)) = (place.item, place.items) {
                    let items = self
                        .items
                        .entry((place.task.clone(), place.route))
                        .or_default();
                    items.ids.resize(count, None);
                    items.deadline = place.deadline;
                    let results = Arc::make_mut(&mut items.results);
                    results.resize(count, Value::Null);
                    if let Some(known) = items.ids.get_mut(item) {
                        *known = Some(*id);
                        results[item] = Value::Null;
                    }
                }
                self.active.insert(*id, place.clone());
            }
            Note::Ended(id) => {
                self.active.remove(id);
            }
            Note::Refused(refused) => self.refused.push(refused.clone()),
        }
    }

    /// Enters what an item returned, and gives the list of all items.
    pub(super) fn item_ended(&mut self, place: &Place, result: &Value) -> Option<Value> {
        let item = place.item?;
        let items = self.items.get_mut(&(place.task.clone(), place.route))?;
        if let Some(slot) = Arc::make_mut(&mut items.results).get_mut(item) {
            *slot = result.clone();
        }
        Some(Value::List(Arc::clone(&items.results)))
    }

    /// The ended children whose results must be read again after a restart.
    pub(super) fn item_ids(&self) -> Vec<ExecutionId> {
        let ids = self
            .items
            .values()
            .flat_map(|items| items.ids.iter().flatten());
        ids.copied()
            .filter(|id| !self.active.contains_key(id))
            .collect()
    }

    /// Enters results that were read again.
    pub(super) fn restore_results(&mut self, results: &HashMap<ExecutionId, Value>) {
        for items in self.items.values_mut() {
            let slots = Arc::make_mut(&mut items.results);
            for (slot, id) in slots.iter_mut().zip(&items.ids) {
                if let Some(result) = id.and_then(|id| results.get(&id)) {
                    *slot = result.clone();
                }
            }
        }
    }

    /// Whether records of finished tasks are kept.
    pub(super) fn keeps_records(&self) -> bool {
        self.records.is_some() || self.history.is_some()
    }

    /// Keeps the record of a task's run, or of an item of it, if the workflow asks for such records.
    pub(super) fn record(&mut self, execution: &Execution, origin: &TaskOrigin, result: &Value) {
        if let Some(history) = &mut self.history {
            history.push(chain_task(execution, &origin.task, result));
        }
        let Some(records) = &mut self.records else {
            return;
        };
        let place = (origin.task.clone(), origin.route);
        let record = match origin.item {
            None => Record::Plain(task_record(execution, origin, result)),
            Some(item) => {
                let known = records.remove(&place);
                let count = self.items.get(&place).map_or(0, |items| items.ids.len());
                let mut items = known
                    .and_then(|record| record.of_turn(origin.turn))
                    .unwrap_or_else(|| ItemRecords {
                        turn: origin.turn,
                        first: task_record(execution, origin, &Value::Null),
                        items: Vec::new(),
                    });
                items.enter(execution, item, count, result);
                Record::Items(items)
            }
        };
        records.insert(place, record);
    }

    /// The finished tasks of an action chain, in their order.
    pub(super) fn history(&self) -> Option<Value> {
        let mut ran = self.history.as_ref()?.iter().cloned();
        let mut tasks = Vec::new();
        for refused in &self.refused {
            tasks.extend(ran.by_ref().take(refused.place.saturating_sub(tasks.len())));
            tasks.push(refused_task(refused));
        }
        tasks.extend(ran);
        Some(Value::from(tasks))
    }

    /// The note that a task of a chain could not be asked for.
    pub(super) fn refusal(&self, task: &Str, at: Timestamp, result: Value) -> Note {
        let place = self.history.as_ref().map_or(0, Vec::len) + self.refused.len();
        let task = task.clone();
        Note::Refused(Refused {
            task,
            place,
            at,
            result,
        })
    }

    /// Whether the last task of an action chain ran out of time.
    pub(super) fn ended_late(&self) -> bool {
        let last = self.history.as_ref().and_then(|tasks| tasks.last());
        let state = last.and_then(|task| task.get("state"));
        state.and_then(Value::as_str) == Some(Status::Timeout.as_str())
    }

    /// The record of a task's latest run.
    pub(super) fn task_record(&self, task: &str, route: usize) -> Option<Value> {
        let record = self.records.as_ref()?.get(&(Str::from(task), route))?;
        Some(record.shown())
    }

    /// The notes from which [`Children::apply`] makes the same state again.
    pub(super) fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        for ((task, route), items) in &self.items {
            for (item, id) in items.ids.iter().enumerate() {
                let Some(id) = id.filter(|id| !self.active.contains_key(id)) else {
                    continue;
                };
                let (task, count) = (task.clone(), Some(items.ids.len()));
                let place = Place {
                    task,
                    route: *route,
                    item: Some(item),
                    items: count,
                    deadline: items.deadline,
                };
                notes.extend([Note::Started(id, place), Note::Ended(id)]);
            }
        }
        notes.extend(
            self.active
                .iter()
                .map(|(id, place)| Note::Started(*id, place.clone())),
        );
        notes.extend(self.refused.iter().cloned().map(Note::Refused));
        notes
    }
}

/// The record of a task's run, which the function `task` gives.
#[derive(Debug)]
enum Record {
    Plain(Value),
    Items(ItemRecords),
}

/// The record of a task that runs over items, as far as they have ended.
#[derive(Debug)]
struct ItemRecords {
    /// Which run of the task it is.
    turn: u64,
    /// The record of the item that ended first.
    first: Value,
    items: Vec<Option<Value>>,
}

impl Record {
    fn of_turn(self, turn: u64) -> Option<ItemRecords> {
        match self {
            Record::Items(items) if items.turn == turn => Some(items),
            Record::Items(_) | Record::Plain(_) => None,
        }
    }

    fn shown(&self) -> Value {
        match self {
            Record::Plain(record) => record.clone(),
            Record::Items(items) => items.shown(),
        }
    }
}

impl ItemRecords {
    fn enter(&mut self, execution: &Execution, item: usize, count: usize, result: &Value) {
        if self.items.len() <= item.max(count.saturating_sub(1)) {
            self.items.resize(count.max(item + 1), None);
        }
        let status = execution.state().status().as_str();
        self.items[item] = Some(dict! { "status" => status, "result" => result.clone() });
        if let Value::Dict(first) = &mut self.first {
            let ended = execution.progress.ended.map(|ended| ended.to_string());
            Arc::make_mut(first).insert("end_timestamp", Value::from(ended));
        }
    }

    /// As StackStorm's. The status is left to the conductor, which knows it of all items together;
    /// one that could not be started has no record.
    fn shown(&self) -> Value {
        let items: Value = self.items.iter().cloned().map(Value::from).collect();
        let mut shown = self.first.clone();
        if let Value::Dict(shown) = &mut shown {
            let shown = Arc::make_mut(shown);
            shown.remove("status");
            shown.insert("result", dict! { "items" => items });
        }
        shown
    }
}

fn task_record(execution: &Execution, origin: &TaskOrigin, result: &Value) -> Value {
    let parent = execution.request.parent.map(|parent| parent.to_string());
    dict! {
        "task_execution_id" => execution.id().to_string(),
        "workflow_execution_id" => parent,
        "task_name" => origin.task.clone(),
        "task_id" => origin.task.clone(),
        "route" => origin.route,
        "result" => result.clone(),
        "status" => execution.state().status().as_str(),
        "start_timestamp" => execution.request.requested.to_string(),
        "end_timestamp" => execution.progress.ended.map(|ended| ended.to_string()),
    }
}

/// A finished task as StackStorm lists it in the result of an action chain.
fn chain_task(execution: &Execution, task: &Str, result: &Value) -> Value {
    listed(&ChainTask {
        task,
        id: Some(execution.id()),
        created: execution.request.requested,
        updated: execution.progress.ended,
        status: execution.state().status(),
        result,
    })
}

/// One that could not be asked for: it has no execution.
fn refused_task(refused: &Refused) -> Value {
    listed(&ChainTask {
        task: &refused.task,
        id: None,
        created: refused.at,
        updated: Some(refused.at),
        status: Status::Failed,
        result: &refused.result,
    })
}

/// What StackStorm tells of a task of a chain.
struct ChainTask<'a> {
    task: &'a Str,
    id: Option<ExecutionId>,
    created: Timestamp,
    updated: Option<Timestamp>,
    status: Status,
    result: &'a Value,
}

fn listed(task: &ChainTask<'_>) -> Value {
    let id = task.id.map(|id| Value::from(id.to_string()));
    let id = id.unwrap_or_default();
    dict! {
        "id" => task.task.clone(),
        "name" => task.task.clone(),
        "execution_id" => id.clone(),
        "liveaction_id" => id,
        "workflow" => Value::Null,
        "created_at" => task.created.to_string(),
        "updated_at" => task.updated.map(|updated| updated.to_string()),
        "state" => task.status.as_str(),
        "result" => task.result.clone(),
    }
}

impl Note {
    pub(super) fn to_value(&self) -> Value {
        let mut body = Dict::new();
        match self {
            Note::Started(id, place) => {
                body.insert("started", id.to_string());
                body.insert("task", place.task.clone());
                body.insert("route", place.route);
                if let Some(item) = place.item {
                    body.insert("item", item);
                }
                if let Some(items) = place.items {
                    body.insert("items", items);
                }
                if let Some(deadline) = place.deadline {
                    body.insert("deadline", deadline.as_microsecond());
                }
            }
            Note::Ended(id) => drop(body.insert("ended", id.to_string())),
            Note::Refused(refused) => {
                body.insert("refused", refused.task.clone());
                body.insert("place", refused.place);
                body.insert("at", refused.at.as_microsecond());
                body.insert("result", refused.result.clone());
            }
        }
        Value::from(body)
    }

    /// The note behind a stored value; `None` when it is a piece of the conductor, which are lists.
    pub(super) fn from_value(value: &Value) -> Option<Note> {
        let id = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok())
        };
        let number = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_int)
                .and_then(|number| usize::try_from(number).ok())
        };
        if let Some(id) = id("ended") {
            return Some(Note::Ended(id));
        }
        let time = |name: &str| {
            let at = value.get(name).and_then(Value::as_int)?;
            Timestamp::from_microsecond(at).ok()
        };
        if let Some(task) = value.get("refused").and_then(Value::as_str) {
            return Some(Note::Refused(Refused {
                task: Str::from(task),
                place: number("place")?,
                at: time("at")?,
                result: value.get("result")?.clone(),
            }));
        }
        let place = Place {
            task: Str::from(value.get("task")?.as_str()?),
            route: number("route")?,
            item: number("item"),
            items: number("items"),
            deadline: time("deadline"),
        };
        Some(Note::Started(id("started")?, place))
    }
}

#[cfg(test)]
mod tests {
    use squall_model::Id;

    use super::*;

    fn place(item: usize) -> Place {
        Place {
            task: "t".into(),
            route: 1,
            item: Some(item),
            items: Some(3),
            deadline: None,
        }
    }

    #[test]
    fn notes_rebuild_the_state() {
        let mut children = Children::new(false, false);
        for item in 0..3 {
            children.apply(&Note::Started(Id::from_raw(item as u128 + 1), place(item)));
        }
        children.item_ended(&place(1), &Value::from("b"));
        children.apply(&Note::Ended(Id::from_raw(2)));

        let mut again = Children::new(false, false);
        for note in children.notes() {
            again.apply(&Note::from_value(&note.to_value()).unwrap());
        }
        assert_eq!(again.item_ids(), [Id::from_raw(2)]);
        again.restore_results(&HashMap::from([(Id::from_raw(2), Value::from("b"))]));
        let all = again.item_ended(&place(0), &Value::from("a")).unwrap();
        assert_eq!(all.to_json(), r#"["a","b",null]"#);
        assert_eq!(again.active().count(), 2);
    }
}
