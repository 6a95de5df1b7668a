//! Cases of kind `expr`: single expressions with their values or errors.

use std::sync::Arc;

use squall_expr::{CurrentTask, Error, Expressions, Host, HostError, KeyScope, Language, Scope};
use squall_value::{Dict, Str, Value};

/// The world of the recorded cases: a table for a datastore, and a clock that stands in 2026.
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
        jiff::Timestamp::constant(1_790_000_000, 0)
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
        let own = route.unwrap_or_else(|| self.current_task().map_or(0, |current| current.route));
        let entry = self.find(task, own).or_else(|| {
            let known = self.route(own);
            (0..own)
                .rev()
                .filter(|earlier| self.route(*earlier).iter().all(|id| known.contains(id)))
                .find_map(|earlier| self.find(task, earlier))
        });
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

/// What differs, but for the rows that differ on purpose.
pub(crate) fn run(case: &Value, on_purpose: impl Fn(usize) -> bool) -> Vec<String> {
    let expressions = Expressions::default();
    let empty = Value::empty_dict();
    let shared = case.get("data").unwrap_or(&empty);
    let rows = case
        .get("cases")
        .and_then(Value::as_list)
        .unwrap_or_default();
    let mut failures = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let data = row.get("data").unwrap_or(shared);
        let failure = one(&expressions, row, data.as_dict().unwrap_or(&Dict::new()));
        match (failure, on_purpose(number)) {
            (Some(failure), false) => failures.push(format!("#{number} {failure}")),
            (None, true) => failures.push(format!("#{number} is listed as different, but is not")),
            _ => {}
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
            match expressions.evaluate_rich(&compiled, &scope) {
                Ok(value) => squall_value::dict! { "value" => recorded(&value) },
                Err(error) => squall_value::dict! { "raises" => error.class.to_string() },
            }
        }
        Some("validate") => {
            let found = expressions.validate(&statement).into_iter().map(|invalid| {
                squall_value::dict! {
                    "type" => invalid.language.map(Language::name),
                    "expression" => invalid.expression,
                    "message" => invalid.message,
                }
            });
            squall_value::dict! { "errors" => found.collect::<Value>() }
        }
        Some("extract_vars") => {
            let language = row.get("lang").and_then(Value::as_str);
            squall_value::dict! { "vars" => references(expressions, &statement, language) }
        }
        _ => return Some("unknown op".to_owned()),
    };
    let wanted = match expect.get("raises") {
        // The messages' tails are Python's.
        Some(raises) => squall_value::dict! { "raises" => raises.get("type").cloned() },
        None => expect,
    };
    (got != wanted).then(|| format!("{statement:?}\n    expected {wanted:?}\n    got      {got:?}"))
}

/// The references of a text in one language, or of any statement in both; sorted.
fn references(expressions: &Expressions, statement: &Value, language: Option<&str>) -> Value {
    let mut found: Vec<Value> = match language {
        Some(language) => {
            let both = [Language::Yaql, Language::Jinja];
            let language = both.into_iter().find(|known| known.name() == language);
            let text = statement.as_str().unwrap_or_default();
            let found = language.map(|language| squall_expr::context_references(text, language));
            found
                .unwrap_or_default()
                .into_iter()
                .map(Value::from)
                .collect()
        }
        None => {
            let found = expressions.references(statement).into_iter();
            let found = found.map(|found| {
                squall_value::list![found.language.name(), found.statement, found.name]
            });
            found.collect()
        }
    };
    found.sort_by_key(Value::to_json);
    found.into_iter().collect()
}

/// A result as the recordings write it: sets as lists sorted by their JSON text, and what JSON can't
/// say as Python's text.
fn recorded(value: &squall_yaql::Value) -> Value {
    use squall_yaql::Value as Rich;
    let text = |value: &Rich| Value::from(value.to_python_str().unwrap_or_default());
    match value {
        Rich::Sequence(items) => items.iter().map(|item| recorded(&item)).collect(),
        Rich::Set(set) => {
            let mut items: Vec<Value> = set.iter().map(recorded).collect();
            items.sort_by_key(Value::to_json);
            items.into_iter().collect()
        }
        Rich::Dict(dict) => {
            let entries = dict.iter().map(|(key, item)| {
                let key = match &key {
                    Rich::String(text) => text.clone(),
                    Rich::Null | Rich::Bool(_) => {
                        Str::from(key.to_data().unwrap_or_default().to_json())
                    }
                    other => Str::from(other.to_python_str().unwrap_or_default()),
                };
                (key, recorded(&item))
            });
            Value::from(entries.collect::<Dict>())
        }
        Rich::DateTime(_) | Rich::TimeSpan(_) => text(value),
        other => other.to_data().unwrap_or_else(|_| text(other)),
    }
}
