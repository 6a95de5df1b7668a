//! Python's `json.dumps`, separators and indent of any kind.

use squall_value::{Value, json, python};

/// How the text is laid out; the default is that of `json.dumps`.
pub(crate) struct Style {
    pub(crate) item_separator: String,
    pub(crate) key_separator: String,
    /// The indentation of one level; none puts all on one line.
    pub(crate) indent: Option<String>,
    pub(crate) sort_keys: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            item_separator: ", ".into(),
            key_separator: ": ".into(),
            indent: None,
            sort_keys: false,
        }
    }
}

/// JSON text, ASCII only; with an indent the blank after each item's separator is left out, as
/// Python does unless told otherwise.
pub(crate) fn dumps(value: &Value, style: &Style) -> String {
    let mut out = String::new();
    let item_separator = if style.indent.is_some() && style.item_separator == ", " {
        ","
    } else {
        &style.item_separator
    };
    Writer {
        out: &mut out,
        style,
        item_separator,
        level: 0,
    }
    .value(value);
    out
}

struct Writer<'a> {
    out: &'a mut String,
    style: &'a Style,
    item_separator: &'a str,
    level: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(_) | Value::BigInt(_) => python::write_repr(self.out, value),
            Value::Float(number) if number.is_nan() => self.out.push_str("NaN"),
            Value::Float(number) if number.is_infinite() => {
                let text = if *number > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                };
                self.out.push_str(text);
            }
            Value::Float(number) => python::write_float(self.out, *number),
            Value::String(text) => json::write_str(self.out, text, true),
            Value::List(items) => {
                self.items('[', ']', items.iter(), |writer, item| writer.value(item));
            }
            Value::Dict(dict) => {
                let mut entries: Vec<_> = dict.iter().collect();
                if self.style.sort_keys {
                    entries.sort_by(|a, b| a.0.cmp(b.0));
                }
                self.items('{', '}', entries.into_iter(), |writer, (key, item)| {
                    json::write_str(writer.out, key, true);
                    writer.out.push_str(&writer.style.key_separator);
                    writer.value(item);
                });
            }
        }
    }

    fn items<T>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.out.push(open);
        let is_empty = items.len() == 0;
        self.level += 1;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push_str(self.item_separator);
            }
            self.line();
            write(self, item);
        }
        self.level -= 1;
        if !is_empty {
            self.line();
        }
        self.out.push(close);
    }

    fn line(&mut self) {
        if let Some(indent) = &self.style.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(self.level));
        }
    }
}
