//! The operators under their internal names, for `call('#operator_+', [1, 2], {})` and for literals.

use super::Library;
use crate::ast::Operator;
use crate::call::Call;
use crate::error::Error;
use crate::operators;
use crate::value::{Dict, Key, Map, Value};

const BINARY: [Operator; 14] = [
    Operator::Plus,
    Operator::Minus,
    Operator::Multiply,
    Operator::Divide,
    Operator::Modulo,
    Operator::Greater,
    Operator::Less,
    Operator::GreaterOrEqual,
    Operator::LessOrEqual,
    Operator::Equal,
    Operator::NotEqual,
    Operator::In,
    Operator::Match,
    Operator::NotMatch,
];

pub(super) fn add(library: &mut Library) {
    for operator in BINARY {
        let signature = format!("{}(left, right)", operator.function_name());
        library.function(&signature, move |call| {
            let (left, right) = (call.value(0), call.value(1));
            operators::binary(call.ev, operator, &left, &right)
        });
    }
    for operator in [Operator::UnaryPlus, Operator::UnaryMinus, Operator::Not] {
        let signature = format!("{}(op)", operator.function_name());
        library.function(&signature, move |call| {
            operators::unary(operator, &call.value(0))
        });
    }
    library.function("#list(*args)", |call| {
        let items = std::mem::take(&mut call.rest);
        call.ev
            .charge(items.len() as u64 * crate::iterator::VALUE_BYTES)?;
        Value::tuple(items)
    });
    library.function("!#map(*args: rule-pair)", rules);
    library.function("!dict(*args: rule-pair)", rules);
    library.function("!dict(items: iterable)", from_items);
    library.function("#indexer(dict: dict, key)", index);
    library.function("#indexer(dict: dict, key, default)", index);
    library.function("#indexer(list: sequence, index: int)", index);
}

fn index(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (target, key, default) = (call.value(0), call.value(1), call.given(2));
    call.ev.index(target, &key, default)
}

fn rules(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut map = Map::default();
    for rule in std::mem::take(&mut call.rest) {
        if let Value::Rule(rule) = rule {
            call.ev.charge(3 * crate::iterator::VALUE_BYTES)?;
            map.insert(Key::new(rule.0.clone())?, rule.1.clone());
        }
    }
    Ok(Value::Dict(Dict::new(map, false)?))
}

fn from_items(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut source = call.cursor(0)?;
    let mut map = Map::default();
    while let Some(item) = source.next(call.ev)? {
        call.ev.charge(3 * crate::iterator::VALUE_BYTES)?;
        let (key, value) = match &item {
            Value::String(text) => {
                let mut chars = text.chars().map(|c| Value::from(c.to_string()));
                (chars.next(), chars.next())
            }
            other => {
                let mut pair = call.ev.cursor(other)?;
                (pair.next(call.ev)?, pair.next(call.ev)?)
            }
        };
        let (Some(key), Some(value)) = (key, value) else {
            return Err(Error::empty(""));
        };
        map.insert(Key::new(key)?, value);
    }
    Value::dict(map)
}
