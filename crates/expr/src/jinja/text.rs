//! Python's text of values: `str` and `repr`.

use std::fmt::Write;

use squall_value::python::{write_float, write_str_repr};

use super::Res;
use super::value::{Moment, Val, ViewKind};

/// Containers nested more deeply are shown as `...`, as cyclic ones are.
const DEPTH_MAX: usize = 200;

/// `str(value)`.
///
/// # Errors
///
/// That of a missing value in strict mode.
pub(super) fn str(value: &Val) -> Res<squall_value::Str> {
    if let Val::Str(text) | Val::Safe(text) = value {
        return Ok(text.clone());
    }
    let mut out = String::new();
    write_str(&mut out, value)?;
    Ok(out.into())
}

/// Appends `str(value)`.
pub(super) fn write_str(out: &mut String, value: &Val) -> Res<()> {
    match value {
        Val::Str(text) | Val::Safe(text) => out.push_str(text),
        Val::Undefined(missing) if missing.is_lenient => {}
        Val::Undefined(missing) => return Err(missing.error()),
        Val::Date(date) => {
            let _ = write!(out, "{date}");
        }
        Val::Moment(moment) => out.push_str(&moment_text(moment, ' ')),
        other => {
            if let Val::Foreign(foreign) = other
                && let Ok(text) = foreign.to_python_str()
            {
                out.push_str(&text);
                return Ok(());
            }
            Repr {
                out,
                open: Vec::new(),
            }
            .write(other);
        }
    }
    Ok(())
}

/// `repr(value)`.
pub(super) fn repr(value: &Val) -> String {
    let mut out = String::new();
    Repr {
        out: &mut out,
        open: Vec::new(),
    }
    .write(value);
    out
}

struct Repr<'a> {
    out: &'a mut String,
    /// The containers that are being written, to stop at cycles.
    open: Vec<*const ()>,
}

impl Repr<'_> {
    fn write(&mut self, value: &Val) {
        match value {
            Val::None => self.out.push_str("None"),
            Val::Bool(truth) => self.out.push_str(if *truth { "True" } else { "False" }),
            Val::Int(number) => {
                let _ = write!(self.out, "{number}");
            }
            Val::Big(number) => {
                let _ = write!(self.out, "{number}");
            }
            Val::Float(number) => write_float(self.out, *number),
            Val::Str(text) => write_str_repr(self.out, text),
            Val::Safe(text) => {
                self.out.push_str("Markup(");
                write_str_repr(self.out, text);
                self.out.push(')');
            }
            Val::Bytes(bytes) => self.bytes(bytes),
            Val::List(list) => {
                let address = std::rc::Rc::as_ptr(list).cast();
                self.sequence(address, ("[", "]"), |repr| repr.items(list.to_vec().iter()));
            }
            Val::Tuple(tuple) => {
                let address = std::rc::Rc::as_ptr(tuple).cast();
                self.sequence(address, ("(", ")"), |repr| {
                    repr.items(tuple.items.iter());
                    if tuple.items.len() == 1 {
                        repr.out.push(',');
                    }
                });
            }
            Val::Dict(dict) => {
                let address = std::rc::Rc::as_ptr(dict).cast();
                self.sequence(address, ("{", "}"), |repr| repr.pairs(&dict.items()));
            }
            Val::Set(set) if set.items.borrow().is_empty() => {
                let _ = write!(self.out, "{}()", value.type_name());
            }
            Val::Set(set) => {
                let items: Vec<Val> = set.items.borrow().keys().map(|key| key.0.clone()).collect();
                let address = std::rc::Rc::as_ptr(set).cast();
                let around = match set.is_frozen {
                    true => ("frozenset({", "})"),
                    false => ("{", "}"),
                };
                self.sequence(address, around, |repr| repr.items(items.iter()));
            }
            other => self.object(other),
        }
    }

    fn sequence(
        &mut self,
        address: *const (),
        around: (&str, &str),
        write: impl FnOnce(&mut Self),
    ) {
        self.out.push_str(around.0);
        if self.open.contains(&address) || self.open.len() >= DEPTH_MAX {
            self.out.push_str("...");
        } else {
            self.open.push(address);
            write(self);
            self.open.pop();
        }
        self.out.push_str(around.1);
    }

    fn items<'v>(&mut self, items: impl Iterator<Item = &'v Val>) {
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.write(item);
        }
    }

    fn pairs(&mut self, pairs: &[(Val, Val)]) {
        for (index, (key, value)) in pairs.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.write(key);
            self.out.push_str(": ");
            self.write(value);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let has_single = bytes.contains(&b'\'');
        let quote = if has_single && !bytes.contains(&b'"') {
            '"'
        } else {
            '\''
        };
        self.out.push('b');
        self.out.push(quote);
        for byte in bytes {
            let _ = match byte {
                b'\\' => self.out.write_str("\\\\"),
                b'\n' => self.out.write_str("\\n"),
                b'\r' => self.out.write_str("\\r"),
                b'\t' => self.out.write_str("\\t"),
                byte if char::from(*byte) == quote => write!(self.out, "\\{quote}"),
                0x20..=0x7e => self.out.write_char(char::from(*byte)),
                byte => write!(self.out, "\\x{byte:02x}"),
            };
        }
        self.out.push(quote);
    }

    fn object(&mut self, value: &Val) {
        match value {
            Val::Date(date) => {
                let _ = write!(
                    self.out,
                    "datetime.date({}, {}, {})",
                    date.year(),
                    date.month(),
                    date.day()
                );
            }
            Val::Moment(moment) => self.moment(moment),
            Val::Undefined(_) => self.out.push_str("Undefined"),
            Val::Range(range) => {
                let _ = write!(self.out, "range({}, {}", range.start, range.stop);
                if range.step != 1 {
                    let _ = write!(self.out, ", {}", range.step);
                }
                self.out.push(')');
            }
            Val::View(kind, dict) => {
                let _ = write!(self.out, "{}(", value.type_name());
                let address = std::rc::Rc::as_ptr(dict).cast();
                let items: Vec<Val> = view_items(*kind, dict);
                self.sequence(address, ("[", "]"), |repr| repr.items(items.iter()));
                self.out.push(')');
            }
            Val::Namespace(namespace) => {
                self.out.push_str("<Namespace ");
                let pairs: Vec<(Val, Val)> = namespace
                    .attributes
                    .borrow()
                    .iter()
                    .map(|(name, value)| (Val::Str(name.clone()), value.clone()))
                    .collect();
                let address = std::rc::Rc::as_ptr(namespace).cast();
                self.sequence(address, ("{", "}"), |repr| repr.pairs(&pairs));
                self.out.push('>');
            }
            Val::Loop(state) => {
                let _ = write!(
                    self.out,
                    "<LoopContext {}/{}>",
                    state.index.get() + 1,
                    state.items.len()
                );
            }
            Val::Macro(value) => match &value.node.name {
                Some(name) => {
                    let _ = write!(self.out, "<Macro '{name}'>");
                }
                None => self.out.push_str("<Macro anonymous>"),
            },
            Val::Foreign(foreign) => self.foreign(foreign, value),
            Val::Opaque(_, text) => self.out.push_str(text),
            Val::Method(method) => {
                let _ = write!(
                    self.out,
                    "<built-in method {} of {} object>",
                    method.callable.name,
                    method.target.type_name()
                );
            }
            other => {
                let _ = write!(self.out, "<{} object>", other.type_name());
            }
        }
    }

    fn foreign(&mut self, foreign: &squall_yaql::Value, value: &Val) {
        let text = foreign.to_python_repr();
        let text = text.unwrap_or_else(|_| format!("<{} object>", value.type_name()));
        self.out.push_str(&text);
    }

    fn moment(&mut self, moment: &Moment) {
        let civil = moment.civil;
        let _ = write!(
            self.out,
            "datetime.datetime({}, {}, {}, {}, {}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute()
        );
        let micros = civil.subsec_nanosecond() / 1000;
        if civil.second() != 0 || micros != 0 {
            let _ = write!(self.out, ", {}", civil.second());
        }
        if micros != 0 {
            let _ = write!(self.out, ", {micros}");
        }
        match moment.offset {
            None => {}
            Some(0) => self.out.push_str(", tzinfo=datetime.timezone.utc"),
            Some(offset) => {
                let (days, seconds) = (offset.div_euclid(86_400), offset.rem_euclid(86_400));
                self.out
                    .push_str(", tzinfo=datetime.timezone(datetime.timedelta(");
                if days != 0 {
                    let _ = write!(self.out, "days={days}, ");
                }
                let _ = write!(self.out, "seconds={seconds}))");
            }
        }
        self.out.push(')');
    }
}

/// The elements of a dictionary's view.
pub(super) fn view_items(kind: ViewKind, dict: &super::value::Dict) -> Vec<Val> {
    match kind {
        ViewKind::Keys => dict.keys(),
        ViewKind::Values => dict.items().into_iter().map(|(_, value)| value).collect(),
        ViewKind::Items => dict
            .items()
            .into_iter()
            .map(|(key, value)| Val::tuple(vec![key, value]))
            .collect(),
    }
}

/// ISO text, with `separator` between date and time; microseconds only if there are any.
pub(crate) fn moment_text(moment: &Moment, separator: char) -> String {
    let civil = moment.civil;
    let mut out = format!(
        "{}{separator}{:02}:{:02}:{:02}",
        civil.date(),
        civil.hour(),
        civil.minute(),
        civil.second()
    );
    let micros = civil.subsec_nanosecond() / 1000;
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
    }
    if let Some(offset) = moment.offset {
        let sign = if offset < 0 { '-' } else { '+' };
        let offset = offset.unsigned_abs();
        let _ = write!(out, "{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60);
        if offset % 60 != 0 {
            let _ = write!(out, ":{:02}", offset % 60);
        }
    }
    out
}

/// HTML escaping as MarkupSafe does it.
pub(super) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
