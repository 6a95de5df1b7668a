//! One object, member by member.

use squall_value::Value;

use super::Screen;
use super::paint::{Cell, Paint, safe};

/// Names with what belongs to them, in order.
#[derive(Debug, Default)]
pub(crate) struct Details {
    entries: Vec<(String, Body)>,
}

#[derive(Debug)]
enum Body {
    Line(Cell),
    Block(String),
}

impl Details {
    pub(crate) fn new() -> Details {
        Details::default()
    }

    /// A short text; empty ones are left out.
    pub(crate) fn line(&mut self, name: &str, cell: Cell) -> &mut Details {
        if !cell.text.is_empty() {
            self.entries.push((name.to_owned(), Body::Line(cell)));
        }
        self
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) -> &mut Details {
        self.line(name, Cell::new(text))
    }

    /// Any value: short ones on the line, others below as YAML.
    pub(crate) fn value(&mut self, name: &str, value: &Value) -> &mut Details {
        match value {
            Value::Null => {}
            Value::String(text) if !text.contains('\n') => {
                self.text(name, text);
            }
            Value::String(text) => self.block(name, text),
            Value::List(items) if items.is_empty() => {}
            Value::Dict(members) if members.is_empty() => {}
            Value::List(_) | Value::Dict(_) => self.block(name, &squall_yaml::to_yaml(value)),
            Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
                self.text(name, &value.to_json());
            }
        }
        self
    }

    /// Lines below the name.
    pub(crate) fn block(&mut self, name: &str, text: &str) {
        if !text.trim().is_empty() {
            let text = text.trim_end().to_owned();
            self.entries.push((name.to_owned(), Body::Block(text)));
        }
    }

    /// All members of an object, those of `first` before the others.
    pub(crate) fn members(&mut self, value: &Value, first: &[&str]) -> &mut Details {
        for name in first {
            if let Some(value) = value.get(name) {
                self.value(name, value);
            }
        }
        for (name, value) in value.as_dict().into_iter().flat_map(|dict| dict.iter()) {
            if !first.contains(&&**name) {
                self.value(name, value);
            }
        }
        self
    }

    pub(crate) fn render(&self, screen: &Screen) -> String {
        let lines = self.entries.iter();
        let widest = lines
            .filter(|(_, body)| matches!(body, Body::Line(_)))
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        let mut out = String::new();
        for (name, body) in &self.entries {
            let title = Paint::Faint.apply(&format!("{name}:"), screen.color);
            out.push_str(&title);
            match body {
                Body::Line(cell) => {
                    let pad = widest - name.chars().count() + 1;
                    out.extend(std::iter::repeat_n(' ', pad));
                    let text = safe(&cell.text, false);
                    out.push_str(&cell.paint.apply(&text, screen.color));
                }
                Body::Block(text) => {
                    for line in safe(text, screen.color).lines() {
                        out.push_str("\n  ");
                        out.push_str(line);
                        out.truncate(out.trim_end_matches(' ').len());
                    }
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::tz::TimeZone;
    use squall_value::json;

    use super::*;

    #[test]
    fn short_values_stand_beside_their_names_and_others_below() {
        let value = json::read(
            r#"{"ref": "core.local", "tags": [], "enabled": true, "id": "65a1", "note": "a\n\nb",
                "parameters": {"cmd": {"type": "string"}}, "gone": null}"#,
        )
        .unwrap();
        let mut details = Details::new();
        details.members(&value, &["id", "ref"]);
        expect![[r"
            id:      65a1
            ref:     core.local
            enabled: true
            note:
              a

              b
            parameters:
              cmd:
                type: string
        "]]
        .assert_eq(&details.render(&Screen::plain(TimeZone::UTC)));
    }
}
