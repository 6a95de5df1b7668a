//! Regular expressions.

use std::sync::Arc;

use squall_value::Value as Data;

use super::Library;
use crate::call::Call;
use crate::context::Context;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::iterator::VALUE_BYTES;
use crate::regex::{self, Flags, Regex, Spans};
use crate::regex_template::Template;
use crate::value::{Value, data_dict};

pub(super) fn add(library: &mut Library) {
    library.function(
        "regex(pattern: str, ignoreCase: bool?=false, multiLine: bool?=false, dotAll: bool?=false)",
        |call| {
            let pattern = call.str(0)?;
            let flags = Flags {
                ignore_case: call.truth(1),
                multi_line: call.truth(2),
                dot_all: call.truth(3),
            };
            call.ev.charge(pattern.len() as u64 * 64)?;
            call.ev.steps(pattern.len() as u64)?;
            let regex = if flags == Flags::default() {
                Regex::cached(&pattern, Flags::default())?
            } else {
                Arc::new(Regex::new(&pattern, flags)?)
            };
            Ok(Value::Regex(regex))
        },
    );
    library.function("isRegex(value)", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::Regex(_))))
    });
    library.function("escapeRegex(string: str)", |call| {
        let text = regex::escape(&call.str(0)?);
        call.ev.text(&text)
    });
    library.method("matches(regexp: regex, string: str)", |call| {
        let (regex, text) = (regex_at(call, 0)?, call.str(1)?);
        regex.is_match(call.ev, &text).map(Value::Bool)
    });
    library.method("matches(string: str, regexp: str)", |call| {
        let (text, regex) = (
            call.str(0)?,
            Regex::cached(&call.str(1)?, Flags::default())?,
        );
        regex.is_match(call.ev, &text).map(Value::Bool)
    });
    library.method(
        "search(regexp: regex, string: str, selector: lambda=null)",
        search,
    );
    library.method(
        "searchAll(regexp: regex, string: str, selector: lambda=null)",
        search_all,
    );
    for (receiver, argument) in [
        ("regexp: regex", "string: str"),
        ("string: str", "regexp: regex"),
    ] {
        let (regex_index, text_index) = if receiver.starts_with("regexp") {
            (0, 1)
        } else {
            (1, 0)
        };
        library.method(
            &format!("split({receiver}, {argument}, maxSplit: int=0)"),
            move |call| split(call, regex_index, text_index),
        );
        library.method(
            &format!("replace({receiver}, {argument}, repl: str, count: int=0)"),
            move |call| replace(call, regex_index, text_index),
        );
        library.method(
            &format!("replaceBy({receiver}, {argument}, repl: lambda, count: int=0)"),
            move |call| replace_by(call, regex_index, text_index),
        );
    }
}

fn regex_at(call: &Call<'_, '_>, index: usize) -> Result<Arc<Regex>, Error> {
    match call.value(index) {
        Value::Regex(regex) => Ok(regex),
        other => Err(Error::type_error(format!(
            "'{}' is no regular expression",
            other.type_name()
        ))),
    }
}

/// Sets `$1` to the whole match and `$2`, … to the groups.
fn publish(
    ev: &mut Evaluation<'_>,
    context: &Context,
    regex: &Regex,
    text: &str,
    spans: &Spans,
) -> Result<(), Error> {
    for (index, span) in spans.iter().enumerate() {
        ev.charge(8 * VALUE_BYTES)?;
        let record = match span {
            Some((start, end)) => {
                ev.steps((*end as u64) / 64)?;
                let position = |at: usize| Data::from(text[..at].chars().count());
                data_dict(vec![
                    ("value", Data::from(&text[*start..*end])),
                    ("start", position(*start)),
                    ("end", position(*end)),
                ])
            }
            None => data_dict(vec![
                ("value", Data::Null),
                ("start", Data::Int(-1)),
                ("end", Data::Int(-1)),
            ]),
        };
        context.set(&(index + 1).to_string(), record)?;
    }
    if regex.has_named_groups() {
        // The reference unpacks the values of named groups as if they were three fields.
        return Err(Error::value_error(
            "not enough values to unpack (expected 3, got 1)",
        ));
    }
    Ok(())
}

fn search(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (regex, text) = (regex_at(call, 0)?, call.str(1)?);
    let selector = call.lambda_or_null(2)?;
    let Some(spans) = regex.find(call.ev, &text, 0)? else {
        return Ok(Value::Null);
    };
    match selector {
        None => whole(call.ev, &text, &spans),
        Some(selector) => {
            let context = call.context.child()?;
            publish(call.ev, &context, &regex, &text, &spans)?;
            selector.call_in(call.ev, &context)
        }
    }
}

fn whole(ev: &mut Evaluation<'_>, text: &str, spans: &Spans) -> Result<Value, Error> {
    match spans.first() {
        Some(Some((start, end))) => ev.text(&text[*start..*end]),
        _ => Ok(Value::Null),
    }
}

/// Where the whole match lies.
fn bounds(spans: &Spans) -> (usize, usize) {
    spans.first().copied().flatten().unwrap_or((0, 0))
}

fn search_all(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (regex, text) = (regex_at(call, 0)?, call.str(1)?);
    let selector = call.lambda_or_null(2)?;
    let outer = call.context.clone();
    let mut previous: Option<(usize, usize)> = None;
    call.lazy(move |ev| {
        let Some(spans) = regex.find_next(ev, &text, previous)? else {
            return Ok(None);
        };
        previous = Some(bounds(&spans));
        match &selector {
            None => whole(ev, &text, &spans).map(Some),
            Some(selector) => {
                let context = outer.child()?;
                publish(ev, &context, &regex, &text, &spans)?;
                selector.call_in(ev, &context).map(Some)
            }
        }
    })
}

/// How many replacements or splits are wanted; 0 is all, a negative number none.
fn wanted(count: i64, negative: u64) -> u64 {
    match count {
        0 => u64::MAX,
        count => u64::try_from(count).unwrap_or(negative),
    }
}

fn split(call: &mut Call<'_, '_>, regex_index: usize, text_index: usize) -> Result<Value, Error> {
    let (regex, text) = (regex_at(call, regex_index)?, call.str(text_index)?);
    let mut left = wanted(call.word(2)?, 0);
    let mut parts = Vec::new();
    let mut from = 0;
    let mut previous = None;
    while left > 0
        && let Some(spans) = regex.find_next(call.ev, &text, previous)?
    {
        left -= 1;
        call.ev.step()?;
        let (start, end) = bounds(&spans);
        previous = Some((start, end));
        parts.push(call.ev.text(&text[from..start])?);
        for span in &spans[1..] {
            parts.push(match span {
                Some((start, end)) => call.ev.text(&text[*start..*end])?,
                None => Value::Null,
            });
        }
        from = end;
    }
    parts.push(call.ev.text(&text[from..])?);
    Value::list(parts)
}

/// Replaces matches by what `with` gives for each.
fn substitute(
    ev: &mut Evaluation<'_>,
    regex: &Regex,
    text: &str,
    count: i64,
    mut with: impl FnMut(&mut Evaluation<'_>, &Spans, &mut String) -> Result<(), Error>,
) -> Result<Value, Error> {
    let mut left = wanted(count, 0);
    let mut out = String::new();
    let mut from = 0;
    let mut previous = None;
    while left > 0
        && let Some(spans) = regex.find_next(ev, text, previous)?
    {
        left -= 1;
        ev.step()?;
        let (start, end) = bounds(&spans);
        previous = Some((start, end));
        out.push_str(&text[from..start]);
        let before = out.len();
        with(ev, &spans, &mut out)?;
        ev.charge((out.len() - before) as u64)?;
        from = end;
    }
    out.push_str(&text[from..]);
    ev.charge(text.len() as u64)?;
    Ok(Value::from(out))
}

fn replace(call: &mut Call<'_, '_>, regex_index: usize, text_index: usize) -> Result<Value, Error> {
    let (regex, text) = (regex_at(call, regex_index)?, call.str(text_index)?);
    let template = Template::parse(&call.str(2)?, &regex)?;
    let count = call.word(3)?;
    substitute(call.ev, &regex, &text, count, |_, spans, out| {
        template.expand(&text, spans, out);
        Ok(())
    })
}

fn replace_by(
    call: &mut Call<'_, '_>,
    regex_index: usize,
    text_index: usize,
) -> Result<Value, Error> {
    let (regex, text) = (regex_at(call, regex_index)?, call.str(text_index)?);
    let (selector, count) = (call.lambda(2)?, call.word(3)?);
    let outer = call.context.clone();
    substitute(call.ev, &regex, &text, count, |ev, spans, out| {
        let context = outer.child()?;
        publish(ev, &context, &regex, &text, spans)?;
        match selector.call_in(ev, &context)? {
            Value::String(text) => {
                out.push_str(&text);
                Ok(())
            }
            // Python takes null for the empty text here.
            Value::Null => Ok(()),
            other => Err(Error::type_error(format!(
                "sequence item 0: expected str instance, {} found",
                other.type_name()
            ))),
        }
    })
}
