//! Contexts, definitions and calls by name.

use super::Library;
use crate::call::Call;
use crate::error::{Error, Kind};
use crate::iterator::Iter;
use crate::lambda::publish;
use crate::resolve::{self, Input, Request};
use crate::value::Value;
use squall_value::Str;

pub(super) fn add(library: &mut Library) {
    library.method("unpack(sequence: iterable, *args: str)", unpack);
    library.function("with(*args)", |call| {
        let context = call.context.child()?;
        publish(&context, call.rest(), &[])?;
        Ok(Value::Context(context))
    });
    library.function("let(*args, **kwargs)", |call| {
        let context = call.context.child()?;
        publish(&context, call.rest(), call.named())?;
        Ok(Value::Context(context))
    });
    library.function("def(name: str, func: lambda)", |call| {
        let context = call.context.child()?;
        let lambda = call.lambda(1)?;
        context.define(camel_case(&call.str(0)?), lambda.body().clone());
        call.ev.note_definition();
        Ok(Value::Context(context))
    });
    library.function("#operator_->(left: context, right: lambda)", |call| {
        let right = call.lambda(1)?;
        match call.value(0) {
            Value::Context(context) => right.call_in(call.ev, &context),
            _ => Ok(Value::Null),
        }
    });
    library.method(
        "assert(obj, condition: lambda, message: str='Assertion failed')",
        |call| {
            let value = match call.value(0) {
                iterator @ Value::Iterator(_) => {
                    let cursor = call.ev.cursor(&iterator)?;
                    Value::Iterator(Iter::memorized(cursor)?)
                }
                other => other,
            };
            if call.lambda(1)?.call1(call.ev, value.clone())?.is_truthy() {
                return Ok(value);
            }
            let message = call.str(2)?;
            Err(Error::new(Kind::Assertion, "AssertionError", &*message))
        },
    );
    library.function(
        "call(name: str, args: sequence, kwargs: dict, receiver=—)",
        by_name,
    );
}

/// `lambda(…)` and calls of values.
pub(super) fn add_delegates(library: &mut Library) {
    library.function("#call(callable: callable, *args, **kwargs)", |call| {
        let lambda = call.lambda(0)?;
        let (args, named) = (
            std::mem::take(&mut call.rest),
            std::mem::take(&mut call.named),
        );
        lambda.call_named(call.ev, &args, &named)
    });
    library.function("lambda(func: lambda)", |call| Ok(call.value(0)));
}

fn unpack(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let names: Vec<Str> = call
        .rest()
        .iter()
        .filter_map(|name| name.as_str().map(Str::from))
        .collect();
    let context = call.context.child()?;
    let mut source = call.cursor(0)?;
    if names.is_empty() {
        let mut number = 0_u64;
        // The reference takes one element to see whether the collection fits its names, and an
        // iterator has then lost it.
        if matches!(call.value(0), Value::Iterator(_) | Value::Ordering(_)) {
            source.next(call.ev)?;
        }
        while let Some(item) = source.next(call.ev)? {
            number += 1;
            call.ev.charge(100)?;
            context.set(&number.to_string(), item)?;
        }
        return Ok(Value::Context(context));
    }
    let mut items = Vec::new();
    while items.len() <= names.len()
        && let Some(item) = source.next(call.ev)?
    {
        items.push(item);
    }
    if items.len() != names.len() {
        return Err(Error::value_error(format!(
            "Cannot unpack {} elements into {}",
            items.len(),
            names.len()
        )));
    }
    for (name, item) in names.iter().zip(items) {
        context.set(name, item)?;
    }
    Ok(Value::Context(context))
}

fn by_name(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let name = call.str(0)?;
    let (args, kwargs) = (call.sequence(1)?, call.dict(2)?);
    let receiver = call.given(3);
    let mut positional: Vec<Input> = receiver.clone().map(Input::Value).into_iter().collect();
    positional.extend(args.iter().map(Input::Value));
    let mut named = Vec::new();
    for (key, value) in kwargs.iter() {
        match key {
            Value::String(key) if is_keyword(&key) => named.push((key, Input::Value(value))),
            Value::String(_) => {}
            other => {
                return Err(Error::type_error(format!(
                    "expected string or bytes-like object, got '{}'",
                    other.type_name()
                )));
            }
        }
    }
    resolve::call(
        call.ev,
        Request {
            name: name.trim_end_matches('_'),
            context: call.context,
            receiver: receiver.as_ref(),
            positional,
            named,
        },
    )
}

fn is_keyword(text: &str) -> bool {
    !text.starts_with("__")
        && text.starts_with(|c: char| crate::lexer::is_word(c) && !crate::lexer::is_digit(c))
}

/// The name under which a definition is known: `my_name` becomes `myName`.
fn camel_case(name: &str) -> Str {
    let name = name.trim_end_matches('_');
    let mut out = String::with_capacity(name.len());
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '_' && !out.is_empty() && crate::lexer::is_word(*next) => {
                out.extend(next.to_uppercase());
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Str::from(out)
}
