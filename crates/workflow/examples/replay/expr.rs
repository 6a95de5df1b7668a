//! Cases of kind `expr`: single expressions with their values or errors.

use std::sync::Arc;

use squall_expr::{CurrentTask, Error, Expressions, Host, HostError, KeyScope, Scope};
use squall_value::{Dict, Str, Value};

/// The world of the recorded cases: a table for a datastore, and no clock.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) keys: Dict,
}

impl Host for Table {
    fn key(&self, scope: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        let scope = match scope {
            KeyScope::System => "system",
            KeyScope::User(_) => "user",
        };
        let key = self.keys.get(&format!("{scope}.{name}"));
        Ok(key.or_else(|| self.keys.get(name)).cloned())
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        Ok(ciphertext.to_owned())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        4
    }
}

impl squall_workflow::Host for Table {
    fn task_record(&self, _: &str, _: usize) -> Option<Value> {
        None
    }
}

/// Variables with the internal ones beside them, as the reference engine passes them.
struct Data<'a> {
    data: &'a Dict,
    table: Table,
}

impl Data<'_> {
    fn entries(&self) -> &[Value] {
        let state = self.data.get("__state");
        let sequence = state.and_then(|state| state.get("sequence"));
        sequence.and_then(Value::as_list).unwrap_or_default()
    }

    fn find(&self, task: &str, route: usize) -> Option<&Value> {
        let tasks = self.data.get("__state")?.get("tasks")?;
        let index = tasks.get(&format!("{task}__r{route}"))?.as_int()?;
        self.entries().get(usize::try_from(index).ok()?)
    }

    fn route(&self, route: usize) -> Vec<Value> {
        let routes = self
            .data
            .get("__state")
            .and_then(|state| state.get("routes"));
        let routes = routes.and_then(Value::as_list).unwrap_or_default();
        let route = routes.get(route).and_then(Value::as_list);
        route.unwrap_or_default().to_vec()
    }
}

impl Scope for Data<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        self.data.get(name).cloned()
    }

    fn variables(&self) -> Arc<Dict> {
        let visible = self.data.iter().filter(|(name, _)| !name.starts_with("__"));
        Arc::new(
            visible
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    fn current_task(&self) -> Option<CurrentTask> {
        let current = self.data.get("__current_task")?;
        let id = Str::from(current.get("id")?.as_str()?);
        let route = current.get("route").and_then(Value::as_int).unwrap_or(0);
        Some(CurrentTask {
            id,
            route: usize::try_from(route).unwrap_or(0),
            result: current.get("result").cloned(),
        })
    }

    fn task_status(&self, task: &str, route: Option<usize>) -> Option<Str> {
        let own = self.current_task().map_or(0, |current| current.route);
        let entry = match route {
            Some(route) => self.find(task, route),
            None => self.find(task, own).or_else(|| {
                let known = self.route(own);
                (0..own)
                    .rev()
                    .filter(|earlier| self.route(*earlier).iter().all(|id| known.contains(id)))
                    .find_map(|earlier| self.find(task, earlier))
            }),
        };
        entry?.get("status")?.as_str().map(Str::from)
    }

    fn task(&self, task: &str, _: Option<usize>) -> Result<Value, Error> {
        Err(Error::function(format!(
            "Unable to find task execution for \"{task}\"."
        )))
    }

    fn item(&self) -> Option<Value> {
        self.data.get("__current_item").cloned()
    }

    fn host(&self) -> &dyn Host {
        &self.table
    }
}

/// What differs.
pub(crate) fn run(case: &Value) -> Vec<String> {
    let expressions = Expressions::default();
    let empty = Value::empty_dict();
    let shared = case.get("data").unwrap_or(&empty);
    let rows = case
        .get("cases")
        .and_then(Value::as_list)
        .unwrap_or_default();
    let mut failures = Vec::new();
    for row in rows {
        let data = row.get("data").unwrap_or(shared);
        if let Some(failure) = one(&expressions, row, data.as_dict().unwrap_or(&Dict::new())) {
            failures.push(failure);
        }
    }
    failures
}

fn one(expressions: &Expressions, row: &Value, data: &Dict) -> Option<String> {
    let statement = row.get("statement").cloned().unwrap_or_default();
    let expect = row.get("expect").cloned().unwrap_or_default();
    let got = match row.get("op").and_then(Value::as_str) {
        Some("evaluate") => {
            let scope = Data {
                data,
                table: Table::default(),
            };
            let compiled = expressions.compile(&statement);
            match expressions.evaluate(&compiled, &scope) {
                Ok(value) => squall_value::dict! { "value" => value },
                Err(error) => squall_value::dict! { "raises" => error.to_string() },
            }
        }
        Some("validate") => {
            let found = expressions.validate(&statement).len();
            squall_value::dict! { "errors" => found }
        }
        Some("extract_vars") => {
            let plain = row.get("lang").is_some();
            let found = expressions.references(&statement);
            let vars: Value = found
                .iter()
                .map(|found| {
                    if plain {
                        Value::from(found.name.as_str())
                    } else {
                        squall_value::list![
                            found.language.name(),
                            found.statement.as_str(),
                            found.name.as_str()
                        ]
                    }
                })
                .collect();
            squall_value::dict! { "vars" => vars }
        }
        _ => return Some("unknown op".to_owned()),
    };
    let same = match (
        expect.get("raises"),
        expect.get("errors"),
        expect.get("value"),
    ) {
        (Some(_), _, _) => got.get("raises").is_some(),
        (_, Some(errors), _) => {
            let count = errors.as_list().unwrap_or_default().len();
            got.get("errors") == Some(&Value::from(count))
        }
        (_, _, Some(value)) => got.get("value").is_some_and(|got| alike(got, value)),
        // The languages' own packages check what they extract; here, that something is found.
        _ => {
            let count = |value: &Value| value.get("vars").and_then(Value::as_list).map(<[_]>::len);
            count(&got) == count(&expect)
        }
    };
    (!same).then(|| format!("{statement:?}\n    expected {expect:?}\n    got      {got:?}"))
}

/// Equal, or equal once lists that were sets are sorted.
fn alike(got: &Value, expected: &Value) -> bool {
    if got == expected {
        return true;
    }
    match (got, expected) {
        (Value::List(got), Value::List(expected)) => {
            let sorted = |items: &[Value]| {
                let mut texts: Vec<String> = items.iter().map(Value::to_json).collect();
                texts.sort();
                texts
            };
            got.len() == expected.len()
                && (got
                    .iter()
                    .zip(expected.iter())
                    .all(|(got, expected)| alike(got, expected))
                    || sorted(got) == sorted(expected))
        }
        (Value::Dict(got), Value::Dict(expected)) => {
            got.len() == expected.len()
                && got
                    .iter()
                    .all(|(key, value)| expected.get(key).is_some_and(|other| alike(value, other)))
        }
        _ => false,
    }
}
