//! What expressions of a run may look at.

use std::sync::Arc;

use squall_expr::{CurrentTask, Error, Scope};
use squall_value::{Dict, Str, Value, dict};

use super::{Conductor, World};
use crate::context::{self, Values};

/// The view of one task, or of the workflow where there is no task.
pub(super) struct View<'a> {
    pub(super) conductor: &'a Conductor,
    pub(super) world: World<'a>,
    pub(super) values: Values,
    /// What was set in this view alone. Apart, because a map that is shared is copied where it is
    /// changed.
    own: Values,
    pub(super) current: Option<CurrentTask>,
    pub(super) item: Option<Value>,
}

impl<'a> View<'a> {
    pub(super) fn new(conductor: &'a Conductor, world: World<'a>, values: Values) -> View<'a> {
        View {
            conductor,
            world,
            values,
            own: Values::default(),
            current: None,
            item: None,
        }
    }

    /// Sets a name for this view.
    pub(super) fn set(&mut self, name: &Str, value: Value) {
        let known = self.own.get(name).or_else(|| self.values.get(name));
        let place = known.map_or(self.values.len() + self.own.len(), |(place, _)| *place);
        self.own.insert(name.clone(), (place, value));
    }

    /// Looks at these variables from now on; what was set in the view is forgotten.
    pub(super) fn look_at(&mut self, values: Values) {
        self.values = values;
        self.own = Values::default();
    }
}

impl Conductor {
    /// The latest entry of a task as seen from a route: on the route itself, else on the newest
    /// earlier route that leads to it, which is one whose transitions are all among its own.
    pub(super) fn find_entry(&self, task: &str, route: usize) -> Option<usize> {
        let node = self.definition.graph.find(task)?;
        if let Some(index) = self.state.latest.get(&(node, route)) {
            return Some(*index);
        }
        let own = self.state.routes.get(route)?;
        (0..route)
            .rev()
            .filter(|earlier| {
                self.state.routes[*earlier]
                    .iter()
                    .all(|transition| own.contains(transition))
            })
            .find_map(|earlier| self.state.latest.get(&(node, earlier)).copied())
    }
}

impl Scope for View<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        let own = self.own.get(name);
        let found = own.or_else(|| self.values.get(name));
        found.map(|(_, value)| value.clone())
    }

    fn variables(&self) -> Arc<Dict> {
        let mut all = self.values.clone();
        all.extend(self.own.clone());
        Arc::new(context::visible(&all))
    }

    fn current_task(&self) -> Option<CurrentTask> {
        self.current.clone()
    }

    fn task_status(&self, task: &str, route: Option<usize>) -> Option<Str> {
        let own = self.current.as_ref().map_or(0, |current| current.route);
        let index = self.conductor.find_entry(task, route.unwrap_or(own))?;
        let entry = self.conductor.state.entries.get(&index)?;
        Some(Str::from(entry.status.as_str()))
    }

    fn task(&self, task: &str, route: Option<usize>) -> Result<Value, Error> {
        let missing = || Error::function(format!("Unable to find task execution for \"{task}\"."));
        let own = self.current.as_ref().map_or(0, |current| current.route);
        let index = self
            .conductor
            .find_entry(task, route.unwrap_or(own))
            .ok_or_else(missing)?;
        let entry = self
            .conductor
            .state
            .entries
            .get(&index)
            .ok_or_else(missing)?;
        if let Some(mut record) = self.world.host.task_record(task, entry.route) {
            if let Value::Dict(members) = &mut record
                && !members.contains_key("status")
            {
                Arc::make_mut(members).insert("status", entry.status.as_str());
            }
            return Ok(record);
        }
        // It has no execution: it has no action, or there were no items.
        let result = match self.conductor.is_itemized(task) {
            true => dict! { "items" => Value::empty_list() },
            false => Value::Null,
        };
        Ok(dict! {
            "task_id" => task,
            "task_name" => task,
            "route" => entry.route,
            "result" => result,
            "status" => entry.status.as_str(),
        })
    }

    fn item(&self) -> Option<Value> {
        self.item.clone()
    }

    fn host(&self) -> &dyn squall_expr::Host {
        self.world.host
    }
}
