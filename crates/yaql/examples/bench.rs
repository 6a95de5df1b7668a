//! Prints nanoseconds per evaluation of some common expressions, with and without reading them.
//!
//! `cargo run --release -p squall-yaql --example bench`

use std::sync::Arc;

use squall_value::{Dict, Value as Data, dict, json};
use squall_yaql::{Body, Budget, Call, Context, Engine, Error, Host, Kind, Library, Value};

/// A host whose `ctx()` is a dictionary that is only looked at, never copied.
struct Workflow {
    variables: Arc<Dict>,
}

impl Host for Workflow {
    fn call(&self, _function: u32, _call: &mut Call<'_, '_>) -> Result<Value, Error> {
        Ok(Value::HostDict(0))
    }

    fn dict_get(&self, _dict: u32, key: &str) -> Result<Option<Data>, Error> {
        Ok(self.variables.get(key).cloned())
    }

    fn dict(&self, _dict: u32) -> Result<Arc<Dict>, Error> {
        Ok(self.variables.clone())
    }
}

fn items(count: i64) -> Data {
    (0..count)
        .map(|index| dict! { "a" => index % 11, "b" => format!("item {index}") })
        .collect()
}

/// Runs `work` until it took a while; nanoseconds per run.
#[allow(clippy::disallowed_methods)] // Measuring is what this program is for.
fn measure(mut work: impl FnMut()) -> f64 {
    let mut runs = 1_u32;
    loop {
        let start = std::time::Instant::now();
        for _ in 0..runs {
            work();
        }
        let taken = start.elapsed();
        if taken.as_millis() > 200 {
            return taken.as_secs_f64() * 1e9 / f64::from(runs);
        }
        runs *= 2;
    }
}

#[allow(clippy::print_stdout)] // A program for people.
fn main() {
    let engine = Engine::default();
    let mut library = Library::over(engine.library());
    library
        .register("ctx(key=null)", Kind::Function, Body::Host(0))
        .expect("the signature is well-formed");
    let library = Arc::new(library);
    let data = dict! {
        "x" => 1, "name" => "web-1", "big" => items(10_000),
        "doc" => json::read(r#"{"a": {"b": {"c": [1, 2, 3]}}}"#).expect("JSON"),
    };
    let Data::Dict(variables) = data else {
        return;
    };
    let host = Workflow { variables };
    let thousand = items(1000);
    println!("{:>12} {:>12}  expression", "evaluate", "with parse");
    for text in [
        "1 + 2",
        "ctx().x",
        "ctx(x)",
        "ctx().doc.a.b.c[1]",
        "ctx().x > 0 and ctx().name = 'web-1'",
        "$.where($.a > 5).select($.b)",
        "$.where($.a > 5).select($.b).len()",
        "$.select($.a).sum()",
        "$.orderBy($.a).first().b",
        "$.groupBy($.a, $.b).toDict($[0], $[1].len())",
        "$.select($.b).join(',')",
        "range(1000).select($ * $).sum()",
        "let(f => 3) -> $.select($.a * $f).max()",
        "'a,b,c'.split(',').select($.toUpper())",
        "$.b.where($ =~ '9$').len()",
    ] {
        let expression = engine.parse(text).expect("a valid expression");
        let context = Context::new(library.clone());
        context
            .set("$", Value::from(thousand.clone()))
            .expect("shallow data");
        let run = |expression: &squall_yaql::Expression| {
            expression
                .evaluate(&context, &host, &mut Budget::new())
                .expect("an expression that succeeds")
        };
        let evaluated = measure(|| drop(run(&expression)));
        let parsed = measure(|| drop(run(&engine.parse(text).expect("valid"))));
        println!("{evaluated:>12.0} {parsed:>12.0}  {text}");
    }
}
