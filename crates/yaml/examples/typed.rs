//! Prints what each YAML file named on standard input means, one line of JSON per file, with the
//! types spelled out, so that it can be compared with what another implementation reads.
//!
//! `{"documents": [...]}` or `{"error": "..."}`. Every value is `[type, value]`.

use std::io::{BufRead, Write};

use squall_value::{Value, dict, list};
use squall_yaml::{Entry, Kind, Node, Options, load_all};

fn typed(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => list!["null", Value::Null],
        Kind::Bool(truth) => list!["bool", *truth],
        Kind::Int(_) | Kind::BigInt(_) => list!["int", squall_value::python::str(&node.to_value())],
        Kind::Float(_) => list!["float", squall_value::python::str(&node.to_value())],
        Kind::String(text) => list!["str", text.clone()],
        Kind::Binary(_) => list!["bytes", node.to_value()],
        Kind::Date(date) => list!["date", date.to_string()],
        Kind::DateTime(time) => list!["datetime", time.to_string()],
        Kind::Sequence(items) => list!["list", items.iter().map(typed).collect::<Value>()],
        Kind::Mapping(mapping) => {
            let pair = |entry: &Entry| list![typed(&entry.key), typed(&entry.value)];
            list!["dict", mapping.iter().map(pair).collect::<Value>()]
        }
        Kind::Set(mapping) => {
            let key = |entry: &Entry| typed(&entry.key);
            list!["set", mapping.iter().map(key).collect::<Value>()]
        }
    }
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in std::io::stdin().lock().lines() {
        let bytes = std::fs::read(path?)?;
        let result = match String::from_utf8(bytes) {
            Ok(text) => match load_all(&text, &Options::default()) {
                Ok(documents) => {
                    let roots = documents.iter().map(|document| typed(&document.root));
                    dict! { "documents" => roots.collect::<Value>() }
                }
                Err(failure) => dict! { "error" => failure.to_string() },
            },
            Err(error) => dict! { "error" => error.to_string() },
        };
        writeln!(out, "{}", result.to_json())?;
    }
    out.flush()
}
