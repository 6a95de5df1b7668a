//! The outside world of the cases, made of their fixtures.

use std::sync::Arc;

use squall_expr::{CurrentTask, Error, Host, HostError, KeyScope, Scope, crypto};
use squall_value::{Dict, Str, Value};

/// A datastore in a table, and a clock that stands still.
pub(crate) struct World {
    pub(crate) keys: Value,
    pub(crate) crypto_key: Value,
    pub(crate) now: jiff::Timestamp,
}

impl World {
    pub(crate) fn new(fixtures: &Value, area: &str) -> World {
        World {
            keys: fixtures
                .get_path(&[area, "kv"])
                .cloned()
                .unwrap_or_default(),
            crypto_key: fixtures.get("crypto_key").cloned().unwrap_or_default(),
            now: "2024-06-01T12:00:00Z".parse().unwrap(),
        }
    }
}

impl Host for World {
    fn key(&self, scope: &KeyScope, name: &str, decrypt: bool) -> Result<Option<Value>, HostError> {
        let found = match scope {
            KeyScope::System => self.keys.get_path(&["st2kv.system", name]),
            KeyScope::User(user) => self
                .keys
                .get_path(&["st2kv.user", &format!("{user}:{name}")]),
        };
        match found.cloned() {
            Some(Value::String(text)) if decrypt => {
                self.decrypt(&text).map(|text| Some(text.into()))
            }
            other => Ok(other),
        }
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        let key = crypto::Key::from_json(&self.crypto_key.to_json()).unwrap();
        key.decrypt(ciphertext).map_err(|error| HostError {
            class: "ValueError",
            message: error.to_string(),
        })
    }

    fn now(&self) -> jiff::Timestamp {
        self.now
    }

    fn random(&self) -> u64 {
        7
    }
}

/// A workflow whose state is the data of a case.
pub(crate) struct Workflow {
    pub(crate) data: Value,
    pub(crate) executions: Value,
    pub(crate) world: World,
}

impl Workflow {
    fn current_route(&self) -> usize {
        let route = self.data.get_path(&["__current_task", "route"]);
        route
            .and_then(Value::as_int)
            .and_then(|route| usize::try_from(route).ok())
            .unwrap_or(0)
    }

    /// The latest entry of a task on a route, else on the longest earlier route that leads to it.
    fn entry(&self, task: &str, route: Option<usize>) -> Option<(usize, &Value)> {
        let state = self.data.get("__state")?;
        let mut route = route.unwrap_or_else(|| self.current_route());
        loop {
            if let Some(index) = state.get_path(&["tasks", &format!("{task}__r{route}")]) {
                let index = usize::try_from(index.as_int()?).ok()?;
                return Some((route, state.get("sequence")?.as_list()?.get(index)?));
            }
            if route == 0 {
                return None;
            }
            let routes = state.get("routes")?.as_list()?;
            let current = routes.get(route)?.as_list()?;
            route = (0..route).rev().find(|earlier| {
                let steps = routes[*earlier].as_list().unwrap_or_default();
                steps.iter().all(|step| current.contains(step))
            })?;
        }
    }
}

impl Scope for Workflow {
    fn variable(&self, name: &str) -> Option<Value> {
        self.data.get(name).cloned()
    }

    fn variables(&self) -> Arc<Dict> {
        match &self.data {
            Value::Dict(dict) => Arc::clone(dict),
            _ => Arc::default(),
        }
    }

    fn current_task(&self) -> Option<CurrentTask> {
        let task = self.data.get("__current_task")?;
        Some(CurrentTask {
            id: Str::from(task.get("id")?.as_str()?),
            route: self.current_route(),
            result: task.get("result").cloned(),
        })
    }

    fn task_status(&self, task: &str, route: Option<usize>) -> Option<Str> {
        let (_, entry) = self.entry(task, route)?;
        entry.get("status").and_then(Value::as_str).map(Str::from)
    }

    fn task(&self, task: &str, route: Option<usize>) -> Result<Value, Error> {
        let missing = || Error::function(format!("Unable to find task execution for \"{task}\"."));
        let (_, entry) = self.entry(task, route).ok_or_else(missing)?;
        let route = entry.get("route").cloned().unwrap_or_default();
        let workflow = self
            .data
            .get_path(&["st2", "workflow_execution_id"])
            .ok_or_else(missing)?;
        let executions = self.executions.as_list().unwrap_or_default();
        let found = executions.iter().filter(|execution| {
            execution.get("task_id").and_then(Value::as_str) == Some(task)
                && execution
                    .get("workflow_execution")
                    .is_none_or(|id| id == workflow)
                && ["task_route", "route"]
                    .iter()
                    .any(|key| execution.get(key) == Some(&route))
        });
        let latest = found.max_by_key(|execution| {
            execution
                .get("start_timestamp")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        });
        let latest = latest.ok_or_else(missing)?;
        let field = |name: &str| latest.get(name).cloned().unwrap_or_default();
        Ok(squall_value::dict! {
            "task_execution_id" => field("id"),
            "workflow_execution_id" => workflow.clone(),
            "task_name" => task,
            "task_id" => task,
            "route" => route,
            "result" => field("result"),
            "status" => field("status"),
            "start_timestamp" => field("start_timestamp"),
            "end_timestamp" => field("end_timestamp"),
        })
    }

    fn item(&self) -> Option<Value> {
        self.data.get("__current_item").cloned()
    }

    fn host(&self) -> &dyn Host {
        &self.world
    }
}
