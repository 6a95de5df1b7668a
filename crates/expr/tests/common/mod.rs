//! A small world that expressions can look at.
#![allow(dead_code, clippy::unwrap_used)] // Each test binary uses its part.

use std::sync::Arc;

use squall_expr::{Context, Undefined};
use squall_expr::{CurrentTask, Error, Expressions, Host, HostError, KeyScope, Scope};
use squall_value::{Dict, Str, Value, dict, json};

/// One stored item, `a.b`; and a clock that may have run out.
pub(crate) struct World {
    /// What [`Host::is_out_of_time`] answers.
    pub(crate) is_out_of_time: bool,
}

/// A world with all the time there is.
pub(crate) static WORLD: World = World {
    is_out_of_time: false,
};

impl Host for World {
    fn key(&self, scope: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok((*scope == KeyScope::System && name == "a.b").then(|| Value::from("stored")))
    }
    fn decrypt(&self, _: &str) -> Result<String, HostError> {
        Ok("clear".into())
    }
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
    fn random(&self) -> u64 {
        1
    }
    fn is_out_of_time(&self) -> bool {
        self.is_out_of_time
    }
}

/// The variables of all cases.
pub(crate) fn variables() -> Dict {
    let variables = json::read(
        r#"{"a": 1, "f": 2.5, "s": "Hello World", "l": [3, 1, 2], "n": null, "u": "žluť",
            "d": {"x": 1, "y": {"z": [10, 20]}, "items": "shadow"},
            "vms": [{"name": "a", "cpu": 2, "up": true}, {"name": "b", "cpu": 1, "up": false}]}"#,
    )
    .unwrap();
    variables.as_dict().unwrap().clone()
}

/// Renders a template over [`variables`].
pub(crate) fn render(expressions: &Expressions, template: &str) -> Result<String, Error> {
    render_in(expressions, template, &WORLD)
}

/// Renders a template over [`variables`] in a world of the caller's.
pub(crate) fn render_in(
    expressions: &Expressions,
    template: &str,
    world: &World,
) -> Result<String, Error> {
    let variables = variables();
    let user = Str::from("stanley");
    let context = Context::new(&variables).with_datastore(world, Some(&user));
    expressions.render(template, &context, Undefined::Strict)
}

/// A workflow whose task `t` has succeeded.
pub(crate) struct Workflow<'a>(pub(crate) Arc<Dict>, pub(crate) &'a World);

impl Scope for Workflow<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }
    fn variables(&self) -> Arc<Dict> {
        Arc::clone(&self.0)
    }
    fn current_task(&self) -> Option<CurrentTask> {
        Some(CurrentTask {
            id: "t".into(),
            route: 0,
            result: Some(dict! { "stdout" => "out" }),
        })
    }
    fn task_status(&self, task: &str, _: Option<usize>) -> Option<Str> {
        (task == "t").then(|| "succeeded".into())
    }
    fn task(&self, task: &str, _: Option<usize>) -> Result<Value, Error> {
        if task == "t" {
            Ok(dict! { "id" => 17 })
        } else {
            Err(Error::function(format!("there is no task '{task}'")))
        }
    }
    fn item(&self) -> Option<Value> {
        Some("thing".into())
    }
    fn host(&self) -> &dyn Host {
        self.1
    }
}

/// Evaluates a statement in a [`Workflow`].
pub(crate) fn evaluate(expressions: &Expressions, statement: &Value) -> Result<Value, Error> {
    let mut variables = variables();
    // Texts that are expressions again: without an end, and with too many on the way.
    variables.insert("circle", "<% ctx(circle) %>");
    variables.insert("turn", "{{ ctx('turn') }}");
    variables.insert("fan0", "a");
    variables.insert("jan0", "a");
    for n in 1..15 {
        variables.insert(
            format!("fan{n}"),
            format!("<% ctx(fan{}) %>", n - 1).repeat(10),
        );
        variables.insert(
            format!("jan{n}"),
            format!("{{{{ ctx('jan{}') }}}}", n - 1).repeat(10),
        );
    }
    variables.insert("st2", dict! { "user" => "stanley" });
    let scope = Workflow(Arc::new(variables), &WORLD);
    expressions.evaluate(&expressions.compile(statement), &scope)
}
