//! Choices among unevaluated arguments.

use super::Library;
use crate::call::Call;
use crate::error::Error;
use crate::lambda::LambdaRef;
use crate::value::Value;

pub(super) fn add(library: &mut Library) {
    library.function("!switch(*args: rule)", switch);
    library.function("selectCase(*args: lambda)", |call| {
        let cases = lambdas(call);
        for (index, case) in cases.iter().enumerate() {
            if case.call(call.ev, &[])?.is_truthy() {
                return Ok(Value::from(index));
            }
        }
        Ok(Value::from(cases.len()))
    });
    library.method("switchCase(case: int, *args: lambda)", |call| {
        let cases = lambdas(call);
        let chosen = usize::try_from(call.int(0)?).ok();
        let case = chosen.and_then(|index| cases.get(index)).or(cases.last());
        match case {
            Some(case) => case.call(call.ev, &[]),
            None => Ok(Value::Null),
        }
    });
    library.function("selectAllCases(*args: lambda)", |call| {
        let mut cases = lambdas(call).into_iter().enumerate();
        call.lazy(move |ev| {
            for (index, case) in cases.by_ref() {
                if case.call(ev, &[])?.is_truthy() {
                    return Ok(Some(Value::from(index)));
                }
            }
            Ok(None)
        })
    });
    library.function("examine(*args: lambda)", |call| {
        let mut cases = lambdas(call).into_iter();
        call.lazy(move |ev| match cases.next() {
            Some(case) => Ok(Some(Value::Bool(case.call(ev, &[])?.is_truthy()))),
            None => Ok(None),
        })
    });
    library.function("coalesce(*args: lambda)", |call| {
        for case in lambdas(call) {
            let value = case.call(call.ev, &[])?;
            if !matches!(value, Value::Null) {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    });
}

fn lambdas(call: &Call<'_, '_>) -> Vec<LambdaRef> {
    call.rest()
        .iter()
        .filter_map(|value| match value {
            Value::Function(lambda) => Some(lambda.clone()),
            _ => None,
        })
        .collect()
}

fn switch(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    for rule in std::mem::take(&mut call.rest) {
        if let Value::Rule(rule) = rule
            && let (Value::Function(condition), Value::Function(result)) = (&rule.0, &rule.1)
            && condition.call(call.ev, &[])?.is_truthy()
        {
            return result.call(call.ev, &[]);
        }
    }
    Ok(Value::Null)
}
