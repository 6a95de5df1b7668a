//! How much CPU time expressions take; with an argument, those that have it in their name:
//! `cargo run --release -p squall-expr --example bench`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;

use nix::time::{ClockId, clock_gettime};

use squall_expr::{
    Context, CurrentTask, Error, Expressions, Host, HostError, KeyScope, Limits, Scope, Undefined,
};
use squall_value::{Dict, Str, Value, dict};

struct World;

impl Host for World {
    fn key(&self, _: &KeyScope, _: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok(None)
    }
    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        Ok(ciphertext.into())
    }
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
    fn random(&self) -> u64 {
        0
    }
}

struct Workflow(Arc<Dict>);

impl Scope for Workflow {
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
            result: Some(dict! { "a" => 1 }),
        })
    }
    fn task_status(&self, _: &str, _: Option<usize>) -> Option<Str> {
        Some("succeeded".into())
    }
    fn task(&self, task: &str, _: Option<usize>) -> Result<Value, Error> {
        Err(Error::function(task))
    }
    fn item(&self) -> Option<Value> {
        None
    }
    fn host(&self) -> &dyn Host {
        &World
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    std::time::Duration::from(time).as_secs_f64()
}

fn measure(name: &str, rounds: u32, mut work: impl FnMut()) {
    if std::env::args()
        .nth(1)
        .is_some_and(|only| !name.contains(&only))
    {
        return;
    }
    for _ in 0..rounds / 10 + 1 {
        work();
    }
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = cpu_seconds();
        for _ in 0..rounds {
            work();
        }
        best = best.min((cpu_seconds() - start) / f64::from(rounds));
    }
    println!("{name:58} {:10.3} µs", best * 1e6);
}

fn main() {
    let items: Value = (0..1000)
        .map(|n| dict! { "name" => format!("vm{n}"), "cpu" => n % 16, "up" => n % 3 == 0 })
        .collect();
    let variables = dict! { "x" => 1, "vms" => items };
    let scope = Workflow(Arc::new(variables.as_dict().unwrap().clone()));
    let expressions = Expressions::default();
    let forgetful = Expressions::new(Limits {
        cached: 0,
        ..Limits::default()
    });
    for text in [
        "{{ ctx().x }}",
        "<% ctx().x %>",
        "<% ctx(x) %>",
        "<% result().a %>",
        "<% succeeded() %>",
        "{{ ctx().vms | selectattr('up') | map(attribute='name') | list }}",
        "<% ctx().vms.where($.up).select($.name) %>",
    ] {
        let rounds = if text.contains("vms") { 100 } else { 20_000 };
        let statement = Value::from(text);
        let compiled = expressions.compile(&statement);
        measure(text, rounds, || {
            expressions.evaluate(&compiled, &scope).unwrap();
        });
        measure(&format!("{text}  (parsed each time)"), rounds, || {
            let compiled = forgetful.compile(&statement);
            forgetful.evaluate(&compiled, &scope).unwrap();
        });
    }
    let template = "{{ x }}".repeat(10);
    let context = variables.as_dict().unwrap();
    measure("a template of ten expressions", 10_000, || {
        let context = Context::new(context);
        expressions
            .render(&template, &context, Undefined::Strict)
            .unwrap();
    });
    let name = "a template of ten expressions  (parsed each time)";
    measure(name, 10_000, || {
        let context = Context::new(context);
        forgetful
            .render(&template, &context, Undefined::Strict)
            .unwrap();
    });
}
