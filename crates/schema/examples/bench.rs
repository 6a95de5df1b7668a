//! How long parameters take. Run with `cargo run --release -p squall-schema --example bench`.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use squall_expr::{Expressions, Host, HostError, KeyScope};
use squall_schema::{ActionParameters, Sources};
use squall_value::{Dict, Str, Value, dict, list};

struct World;

impl Host for World {
    fn key(&self, _: &KeyScope, _: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok(None)
    }

    fn decrypt(&self, _: &str) -> Result<String, HostError> {
        Ok(String::new())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        0
    }
}

fn measure(name: &str, mut run: impl FnMut()) {
    const ROUNDS: u32 = 100_000;
    for _ in 0..ROUNDS / 10 {
        run();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        run();
    }
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    println!("{name:<40} {micros:>9.3} µs");
}

fn main() {
    let text = |extra: Value| {
        let mut definition = Dict::new();
        definition.insert("type", "string");
        definition.extend(extra.as_dict().cloned().unwrap_or_default());
        Value::from(definition)
    };
    let runner = dict! {
        "cmd" => text(dict! {}), "cwd" => text(dict! {}), "env" => dict! {"type" => "object"},
        "sudo" => dict! {"type" => "boolean", "default" => false},
        "timeout" => dict! {"type" => "integer", "default" => 60},
    };
    let action = dict! {
        "cmd" => dict! {"required" => true},
        "host" => text(dict! {"required" => true}),
        "password" => text(dict! {"secret" => true}),
        "level" => text(dict! {"enum" => list!["low", "high"], "default" => "low"}),
    };
    let (parameters, _) = ActionParameters::new(&runner, &action);
    let given = dict! {"cmd" => "date", "host" => "h1", "password" => "hunter2", "timeout" => "5"};
    let given = given.as_dict().cloned().unwrap_or_default();
    let expressions = Expressions::default();
    let context = dict! {"user" => "stanley", "pack" => "core"};
    let sources = Sources {
        action_context: &context,
        config: &|| Value::Null,
        additional: &Dict::new(),
        system_user: &Str::from("stanley"),
        expressions: &expressions,
        host: &World,
    };
    let live = parameters
        .live(&given, &sources)
        .expect("no template can fail");
    assert_eq!(parameters.validate(&live), Ok(()));
    let whole = Value::from(live.clone());
    measure("live, 9 parameters, no templates", || {
        let _ = black_box(parameters.live(black_box(&given), &sources));
    });
    measure("validate", || {
        let _ = black_box(parameters.validate(black_box(&live)));
    });
    measure("finalize", || {
        let _ = black_box(parameters.finalize(black_box(&live), &sources));
    });
    measure("mask", || {
        black_box(parameters.mask().apply(black_box(&whole)));
    });
}
