//! Templates outside workflows.

use squall_expr::{Context, Error, Undefined, convert_jinja_to_raw_block, is_jinja_expression};
use squall_value::{Dict, Str, Value};

use crate::data::{canonical, plain, text};
use crate::world::World;
use crate::{Outcome, Replay};

pub(crate) fn run(replay: &Replay, case: &Value) -> Outcome {
    match evaluate(replay, case) {
        Ok(value) => Outcome::Value(canonical(&value)),
        Err(error) => error.into(),
    }
}

fn evaluate(replay: &Replay, case: &Value) -> Result<Value, Error> {
    let world = World::new(&replay.fixtures, "jinja");
    let user = Str::from(text(
        replay.fixtures.get("jinja").unwrap_or(&Value::Null),
        "user",
    ));
    let mut variables = Dict::new();
    let mut has_datastore = false;
    match case.get("context") {
        Some(Value::String(name)) if &**name == "@default" => {
            has_datastore = true;
            let defaults = replay
                .fixtures
                .get_path(&["jinja", "default_context"])
                .unwrap();
            variables = defaults.as_dict().unwrap().clone();
        }
        Some(other) => variables = plain(other).as_dict().unwrap().clone(),
        None => {}
    }
    let mut context = Context::new(&variables);
    if has_datastore {
        context = context.with_datastore(&world, Some(&user));
    }
    let expressions = &replay.expressions;
    Ok(match text(case, "op") {
        "render" => {
            let is_lenient = case.get("allow_undefined").and_then(Value::as_bool) == Some(true);
            let undefined = if is_lenient {
                Undefined::Lenient
            } else {
                Undefined::Strict
            };
            Value::from(expressions.render(text(case, "template"), &context, undefined)?)
        }
        "undeclared_variables" => expressions
            .undeclared_variables(text(case, "template"))?
            .into_iter()
            .map(Value::from)
            .collect(),
        "render_values" => {
            let mapping = plain(case.get("mapping").unwrap());
            match mapping.as_dict() {
                Some(mapping) => Value::from(expressions.render_values(mapping, &context)?),
                None => mapping,
            }
        }
        "is_jinja_expression" => {
            Value::from(is_jinja_expression(&plain(case.get("value").unwrap())))
        }
        "convert_jinja_to_raw_block" => {
            convert_jinja_to_raw_block(&plain(case.get("value").unwrap()))
        }
        other => panic!("unknown op {other}"),
    })
}
