//! Any expression ends within its budget, whatever it does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squall_value::json;
use squall_yaql::{Budget, Context, Detached, Engine, Options};

fuzz_target!(|text: &str| {
    let engine = Engine::new(Options {
        delegates: true,
        ..Options::default()
    });
    let Ok(expression) = engine.parse(text) else {
        return;
    };
    let data = json::read(r#"{"l": [3, 1, null], "d": {"a": [1, {"b": 2}]}, "s": "a-b"}"#)
        .expect("the data is JSON");
    let context = Context::new(engine.library());
    context.set("$", engine.input(data)).expect("the data is shallow");
    let mut budget = Budget {
        steps: 20_000,
        memory: 4 << 20,
        ..Budget::new()
    };
    if let Ok(value) = expression.evaluate(&context, &Detached, &mut budget) {
        let _ = value.to_python_str();
        let _ = value.to_data();
    }
});
