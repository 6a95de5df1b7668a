//! The recorded form of values.

use std::collections::BTreeMap;

use squall_value::{BigInt, Dict, Value as Data};
use squall_yaql::{Key, Map, Set, Value};

pub(crate) fn text<'v>(value: &'v Data, key: &str) -> &'v str {
    value.get(key).and_then(Data::as_str).unwrap_or_default()
}

/// `UnknownFunction` as `unknown_function`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

pub(crate) fn needs_decoding(data: &Data) -> bool {
    match data {
        Data::List(items) => items.iter().any(needs_decoding),
        Data::Dict(dict) => dict.contains_key("$t") || dict.values().any(needs_decoding),
        _ => false,
    }
}

/// Recorded data as YAQL's values.
pub(crate) fn decode(data: &Data) -> Value {
    let inner = || data.get("v").unwrap();
    match (data, data.get("$t").and_then(Data::as_str)) {
        (_, Some("float")) => Value::Float(inner().as_str().unwrap().parse().unwrap()),
        (_, Some("bigint")) => Value::from(Data::from(
            inner().as_str().unwrap().parse::<BigInt>().unwrap(),
        )),
        (_, Some("dict")) => {
            let mut map = Map::default();
            for pair in inner().as_list().unwrap() {
                let pair = pair.as_list().unwrap();
                map.insert(Key::new(decode(&pair[0])).unwrap(), decode(&pair[1]));
            }
            Value::dict(map).unwrap()
        }
        (_, Some(kind @ ("tuple" | "set" | "iter"))) => {
            let items: Vec<Value> = inner().as_list().unwrap().iter().map(decode).collect();
            match kind {
                "tuple" => Value::tuple(items).unwrap(),
                "set" => Value::Set(Set::from_values(items).unwrap()),
                _ => Value::lazy(items.into_iter()).unwrap(),
            }
        }
        (_, Some("timespan")) => {
            let micros = data.get("us").and_then(Data::as_int).unwrap();
            Value::TimeSpan(squall_yaql::TimeSpan::new(i128::from(micros)).unwrap())
        }
        (_, Some("datetime")) => {
            Value::from(squall_yaql::DateTime::from_iso(text(data, "v")).unwrap())
        }
        (_, Some(other)) => panic!("data with a {other}"),
        (Data::List(items), None) if items.iter().any(needs_decoding) => {
            Value::tuple(items.iter().map(decode).collect()).unwrap()
        }
        (Data::Dict(dict), None) if dict.values().any(needs_decoding) => {
            let entries = dict.iter();
            let entries = entries.map(|(key, item)| (Key::from_text(key.clone()), decode(item)));
            Value::dict(entries.collect()).unwrap()
        }
        _ => Value::from(data.clone()),
    }
}

/// Recorded data as plain data: bytes are decoded, keys are text.
pub(crate) fn plain(data: &Data) -> Data {
    let inner = || data.get("v").unwrap();
    match (data, data.get("$t").and_then(Data::as_str)) {
        (_, Some("bytes")) => Data::from(String::from_utf8(base64(text(data, "b64"))).unwrap()),
        (_, Some("tuple" | "set")) => plain(inner()),
        (_, Some("bigint")) => Data::from(inner().as_str().unwrap().parse::<BigInt>().unwrap()),
        (_, Some("float")) => Data::Float(inner().as_str().unwrap().parse().unwrap()),
        (_, Some("dict")) => {
            let entries = inner().as_list().unwrap().iter().map(|entry| {
                let entry = entry.as_list().unwrap();
                (squall_value::python::str(&entry[0]), plain(&entry[1]))
            });
            Data::from(entries.collect::<Dict>())
        }
        (_, Some(other)) => panic!("data with a {other}"),
        (Data::List(items), None) => items.iter().map(plain).collect(),
        (Data::Dict(dict), None) => Data::from(
            dict.iter()
                .map(|(key, item)| (key.clone(), plain(item)))
                .collect::<Dict>(),
        ),
        (other, None) => other.clone(),
    }
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

/// The canonical form of a result.
pub(crate) fn encode(value: &Value) -> String {
    let list = |items: Vec<Value>| {
        format!(
            "[{}]",
            items.iter().map(encode).collect::<Vec<_>>().join(",")
        )
    };
    match value {
        Value::Float(number) if number.is_nan() => r#"{"$t":"float","v":"nan"}"#.into(),
        Value::Float(number) if number.is_infinite() => {
            let sign = if *number < 0.0 { "-" } else { "" };
            format!(r#"{{"$t":"float","v":"{sign}inf"}}"#)
        }
        Value::BigInt(number) => format!(r#"{{"$t":"bigint","v":"{number}"}}"#),
        Value::Sequence(items) => list(items.iter().collect()),
        Value::Set(set) => {
            let mut members: Vec<String> = set.iter().map(encode).collect();
            members.sort();
            format!(r#"{{"$t":"set","v":[{}]}}"#, members.join(","))
        }
        Value::Dict(dict) => encode_dict(dict.iter().collect()),
        Value::DateTime(time) => format!(r#"{{"$t":"datetime","v":"{}"}}"#, time.to_iso()),
        Value::TimeSpan(span) => format!(r#"{{"$t":"timespan","us":{}}}"#, span.micros),
        Value::Regex(regex) => {
            let flags = regex.flags();
            let letters = [
                (flags.ignore_case, 'i'),
                (flags.multi_line, 'm'),
                (flags.dot_all, 's'),
            ];
            let letters: String = letters
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, c)| *c)
                .collect();
            let pattern = Data::from(regex.pattern()).to_json();
            format!(r#"{{"$t":"regex","flags":"{letters}","pattern":{pattern}}}"#)
        }
        Value::Context(_) => r#"{"$t":"context"}"#.into(),
        Value::Function(_) => r#"{"$t":"function"}"#.into(),
        Value::Iterator(_) | Value::Ordering(_) | Value::View(_) => r#"{"$t":"iter"}"#.into(),
        scalar => scalar.to_data().unwrap().to_json(),
    }
}

fn encode_dict(mut entries: Vec<(Value, Value)>) -> String {
    let is_text = |(key, _): &(Value, Value)| matches!(key, Value::String(_));
    if entries.iter().all(is_text) {
        entries.sort_by_key(|(key, _)| key.as_str().map(str::to_owned));
        let entries = entries
            .iter()
            .map(|(key, item)| format!("{}:{}", encode(key), encode(item)));
        return format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    }
    let pairs = entries
        .iter()
        .map(|(key, item)| format!("[{},{}]", encode(key), encode(item)));
    let mut pairs: Vec<String> = pairs.collect();
    pairs.sort();
    format!(r#"{{"$t":"dict","v":[{}]}}"#, pairs.join(","))
}

/// A result as the workflow corpus writes it: JSON, what JSON can't say as Python's text.
pub(crate) fn encode_json(value: &Value) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    match value {
        Value::Sequence(items) => list(items.iter().map(|item| encode_json(&item)).collect()),
        Value::Set(set) => list(set.iter().map(encode_json).collect()),
        Value::Dict(dict) => {
            let mut entries: Vec<(String, String)> = dict
                .iter()
                .map(|(key, item)| {
                    let key = match &key {
                        Value::String(text) => text.to_string(),
                        Value::Null | Value::Bool(_) => key.to_data().unwrap().to_json(),
                        other => other.to_python_str().unwrap(),
                    };
                    (key, encode_json(&item))
                })
                .collect();
            entries.sort();
            let entries = entries
                .iter()
                .map(|(key, item)| format!("{}:{item}", Data::from(key.as_str()).to_json()));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::DateTime(_) | Value::TimeSpan(_) => {
            Data::from(value.to_python_str().unwrap()).to_json()
        }
        other => encode(other),
    }
}

/// A recorded expectation in the same canonical form.
pub(crate) fn canonical(data: &Data) -> String {
    let sorted = |items: &Data| {
        let mut items: Vec<String> = items.as_list().unwrap().iter().map(canonical).collect();
        items.sort();
        items.join(",")
    };
    match (data, data.get("$t").and_then(Data::as_str)) {
        (_, Some(kind @ ("set" | "dict"))) => {
            format!(
                r#"{{"$t":"{kind}","v":[{}]}}"#,
                sorted(data.get("v").unwrap())
            )
        }
        (_, Some("tuple")) => canonical(data.get("v").unwrap()),
        (_, Some("iter")) => r#"{"$t":"iter"}"#.to_owned(),
        (Data::Float(number), _) => encode(&Value::Float(*number)),
        (Data::BigInt(number), _) => format!(r#"{{"$t":"bigint","v":"{number}"}}"#),
        (Data::Dict(dict), kind) => {
            let entries: BTreeMap<_, _> = dict
                .iter()
                .filter(|(key, _)| kind.is_none() || &***key != "$t")
                .map(|(key, item)| {
                    (
                        key,
                        format!("{}:{}", Data::from(&**key).to_json(), canonical(item)),
                    )
                })
                .collect();
            let mut entries: Vec<String> = entries.into_values().collect();
            if let Some(kind) = kind {
                entries.insert(0, format!("\"$t\":\"{kind}\""));
            }
            format!("{{{}}}", entries.join(","))
        }
        (Data::List(items), _) => {
            format!(
                "[{}]",
                items.iter().map(canonical).collect::<Vec<_>>().join(",")
            )
        }
        (scalar, _) => scalar.to_json(),
    }
}

/// A multiset of characters, for lists whose order is open.
pub(crate) fn unordered(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars
}
