//! Server-sent events (WHATWG HTML, section 9.2.6): bytes to events, however they are cut.

use crate::Event;

/// The longest event that is kept, in bytes.
const EVENT_BYTES_MAX: usize = 1 << 30;

/// Gathers bytes and gives the events that they make.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The line that is not ended yet.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    at_start: bool,
    name: String,
    data: String,
    id: Option<String>,
    has_data: bool,
}

/// An event that is longer than any server sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    pub(crate) fn new() -> Parser {
        Parser {
            at_start: true,
            ..Parser::default()
        }
    }

    /// Takes bytes in; complete events are added to `events`.
    pub(crate) fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                if self.line.len() + self.data.len() + rest.len() > EVENT_BYTES_MAX {
                    return Err(TooLong);
                }
                self.line.extend_from_slice(rest);
                return Ok(());
            };
            self.line.extend_from_slice(&rest[..at]);
            self.after_return = rest[at] == b'\r';
            rest = &rest[at + 1..];
            let line = std::mem::take(&mut self.line);
            if self.data.len() + line.len() > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
            self.line(&line, events);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let text = String::from_utf8_lossy(line);
        let mut text = &*text;
        if std::mem::take(&mut self.at_start) {
            text = text.trim_start_matches('\u{feff}');
        }
        if text.is_empty() {
            self.dispatch(events);
            return;
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // Comments (an empty field) and what is not known are skipped.
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            events.push(Event {
                name: if name.is_empty() {
                    "message".to_owned()
                } else {
                    name
                },
                data,
                id: self.id.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events in `text`, cut into pieces of every size.
    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        for size in 1..=text.len() {
            let mut parser = Parser::new();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                parser.push(piece, &mut events).unwrap();
            }
            let shown: Vec<String> = events
                .iter()
                .map(|event| {
                    let id = event.id.as_deref().unwrap_or("-");
                    format!("{} {id} {:?}", event.name, event.data)
                })
                .collect();
            assert_eq!(shown, expect, "in pieces of {size}");
        }
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        check(
            "\n\nevent: st2.execution__update\nid: 7\ndata: {\"a\":1}\n\n",
            &[r#"st2.execution__update 7 "{\"a\":1}""#],
        );
        check(
            "data: é\r\n\r\ndata:2\r\rdata:3\n\n",
            &["message - \"é\"", "message - \"2\"", "message - \"3\""],
        );
        check("data: a\ndata: b\n\n", &[r#"message - "a\nb""#]);
        check("event: EOF\ndata: ''\n\n", &["EOF - \"''\""]);
    }

    #[test]
    fn comments_empty_events_and_unfinished_ones_are_skipped() {
        check(": hello\n\nevent: x\n\ndata: unfinished", &[]);
        check(
            "id: 3\n\ndata: y\n\ndata\n\n",
            &["message 3 \"y\"", "message 3 \"\""],
        );
        check("\u{feff}data: bom\n\n", &["message - \"bom\""]);
    }
}
