//! Python's two ways to format: `"%s" % value` and `"{}".format(value)`.

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};
use squall_value::Str;

use super::ops::Number;
use super::text;
use super::value::{Budget, Key, Val};
use super::{Res, key_error, lookup, type_error, value_error};

/// Widths and precisions beyond this are refused.
const WIDTH_MAX: usize = 1 << 20;

/// How one value is laid out.
#[derive(Clone, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    is_alternate: bool,
    is_zero_padded: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `format % args`.
pub(super) fn format(format: &Val, args: &Val, budget: &Budget) -> Res<Val> {
    let text = format.as_str().cloned().unwrap_or_else(|| Str::from(""));
    let mut formatter = Percent {
        args: match args {
            Val::Tuple(tuple) => tuple.items.clone(),
            other => vec![other.clone()],
        },
        at: 0,
        mapping: args,
        is_mapping_used: false,
        length: 0,
        budget,
    };
    let out = formatter.run(&text)?;
    let is_done = formatter.at >= formatter.args.len()
        || formatter.is_mapping_used
        || matches!(args, Val::Dict(_) | Val::List(_)) && formatter.at == 0;
    if !is_done {
        return Err(type_error(
            "not all arguments converted during string formatting",
        ));
    }
    budget.bytes(out.len())?;
    Ok(match format {
        Val::Safe(_) => Val::Safe(out.into()),
        _ => Val::str(out),
    })
}

struct Percent<'a> {
    args: Vec<Val>,
    at: usize,
    mapping: &'a Val,
    is_mapping_used: bool,
    /// How many characters the format has.
    length: usize,
    budget: &'a Budget,
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

impl Percent<'_> {
    fn run(&mut self, format: &str) -> Res<String> {
        let mut out = String::new();
        let mut chars = format.chars().peekable();
        self.length = format.chars().count();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            if chars.peek() == Some(&'%') {
                chars.next();
                out.push('%');
                continue;
            }
            self.conversion(&mut chars, &mut out)?;
            self.budget.step(1)?;
        }
        Ok(out)
    }

    fn take(&mut self) -> Res<Val> {
        let value = self.args.get(self.at).cloned();
        self.at += 1;
        value.ok_or_else(|| type_error("not enough arguments for format string"))
    }

    /// A width or a precision: digits, or `*` for the next argument. Negative is the given
    /// argument's sign.
    fn number(&mut self, chars: &mut Chars<'_>, is_negative: &mut bool) -> Res<Option<usize>> {
        if chars.peek() == Some(&'*') {
            chars.next();
            let Val::Int(width) = self.take()? else {
                return Err(type_error("* wants int"));
            };
            *is_negative = width < 0;
            return checked_width(usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX))
                .map(Some);
        }
        read_number(chars)
    }

    fn conversion(&mut self, chars: &mut Chars<'_>, out: &mut String) -> Res<()> {
        let mut value = None;
        if chars.peek() == Some(&'(') {
            chars.next();
            value = Some(self.named(chars)?);
        }
        let mut spec = Spec {
            align: Some('>'),
            ..Spec::default()
        };
        while let Some(flag) = chars.next_if(|c| "-+ #0".contains(*c)) {
            match flag {
                '-' => spec.align = Some('<'),
                '#' => spec.is_alternate = true,
                '0' => spec.is_zero_padded = true,
                '+' => spec.sign = Some('+'),
                _ => spec.sign = spec.sign.or(Some(' ')),
            }
        }
        let mut is_negative = false;
        spec.width = self.number(chars, &mut is_negative)?.unwrap_or(0);
        if is_negative {
            spec.align = Some('<');
        }
        if chars.next_if_eq(&'.').is_some() {
            let mut is_negative = false;
            let precision = self.number(chars, &mut is_negative)?.unwrap_or(0);
            spec.precision = Some(if is_negative { 0 } else { precision });
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        let Some(kind) = chars.next() else {
            return Err(value_error("incomplete format"));
        };
        if kind == '%' {
            out.push('%');
            return Ok(());
        }
        if !"diouxXeEfFgGcrsa".contains(kind) {
            return Err(value_error(format!(
                "unsupported format character '{kind}' (0x{:x}) at index {}",
                kind as u32,
                self.length - chars.clone().count() - 1
            )));
        }
        let value = match value {
            Some(value) => value,
            None => self.take()?,
        };
        if spec.align == Some('<') {
            spec.is_zero_padded = false;
        }
        convert(&value, kind, spec, out, self.budget)
    }

    fn named(&mut self, chars: &mut Chars<'_>) -> Res<Val> {
        let mut name = String::new();
        let mut depth = 1;
        for c in chars.by_ref() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            name.push(c);
        }
        if depth > 0 {
            return Err(value_error("incomplete format key"));
        }
        self.is_mapping_used = true;
        match self.mapping {
            Val::Dict(dict) => dict
                .get_str(&name)
                .ok_or_else(|| key_error(&Val::str(name))),
            _ => Err(type_error("format requires a mapping")),
        }
    }
}

fn convert(value: &Val, kind: char, mut spec: Spec, out: &mut String, budget: &Budget) -> Res<()> {
    budget.bytes(spec.width.saturating_add(spec.precision.unwrap_or(0)))?;
    match kind {
        's' | 'r' | 'a' => {
            let text = match kind {
                's' => text::str(value)?,
                'r' => text::repr(value).into(),
                _ => ascii(&text::repr(value)).into(),
            };
            pad_text(&text, &spec, '>', out);
        }
        'c' => {
            let text = match value {
                Val::Str(text) | Val::Safe(text) if text.chars().count() == 1 => text.to_string(),
                Val::Int(code) => u32::try_from(*code)
                    .ok()
                    .and_then(char::from_u32)
                    .map(String::from)
                    .ok_or_else(|| value_error("%c arg not in range(0x110000)"))?,
                _ => return Err(type_error("%c requires int or char")),
            };
            spec.precision = None;
            pad_text(&text, &spec, '>', out);
        }
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            let number = match Number::of(value) {
                Some(Number::Int(number)) => BigInt::from(number),
                Some(Number::Big(number)) => number,
                #[allow(clippy::cast_possible_truncation)]
                Some(Number::Float(number)) if !"oxX".contains(kind) => {
                    num_traits::FromPrimitive::from_f64(number.trunc())
                        .ok_or_else(|| value_error("cannot convert float to integer"))?
                }
                _ => {
                    let wanted = if "oxX".contains(kind) {
                        "an integer"
                    } else {
                        "a real number"
                    };
                    return Err(undefined_or(
                        value,
                        type_error(format!(
                            "%{kind} format: {wanted} is required, not {}",
                            value.type_name()
                        )),
                    ));
                }
            };
            spec.kind = Some(if "iu".contains(kind) { 'd' } else { kind });
            let minimum = spec.precision.take().unwrap_or(0);
            format_int(&number, &spec, minimum, out);
        }
        _ => {
            let number = match Number::of(value) {
                Some(number) => float_of(&number),
                None => {
                    return Err(undefined_or(
                        value,
                        type_error(format!("must be real number, not {}", value.type_name())),
                    ));
                }
            };
            spec.kind = Some(kind);
            format_float(number, &spec, out);
        }
    }
    Ok(())
}

fn undefined_or(value: &Val, error: Box<crate::Error>) -> Box<crate::Error> {
    match value {
        Val::Undefined(missing) if !missing.is_lenient => missing.error(),
        _ => error,
    }
}

fn float_of(number: &Number) -> f64 {
    match number {
        #[allow(clippy::cast_precision_loss)]
        Number::Int(number) => *number as f64,
        Number::Float(number) => *number,
        Number::Big(number) => number.to_f64().unwrap_or(f64::INFINITY),
    }
}

fn ascii(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for c in text.chars() {
        let _ = match c as u32 {
            0..=0x7f => out.write_char(c),
            code @ 0x80..=0xff => write!(out, "\\x{code:02x}"),
            code @ 0x100..=0xffff => write!(out, "\\u{code:04x}"),
            code => write!(out, "\\U{code:08x}"),
        };
    }
    out
}

fn checked_width(width: usize) -> Res<usize> {
    if width > WIDTH_MAX {
        return Err(super::limit_error("the format's width is too large"));
    }
    Ok(width)
}

fn read_number(chars: &mut Chars<'_>) -> Res<Option<usize>> {
    let mut number = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let next = number.unwrap_or(0usize).saturating_mul(10) + digit as usize;
        number = Some(checked_width(next)?);
    }
    Ok(number)
}

fn pad_text(text: &str, spec: &Spec, default_align: char, out: &mut String) {
    let cut: String;
    let text = match spec.precision {
        Some(precision) => {
            cut = text.chars().take(precision).collect();
            &cut
        }
        None => text,
    };
    pad("", text, spec, default_align, out);
}

/// `sign` stays at the left when zeros are put in between.
fn pad(sign: &str, body: &str, spec: &Spec, default_align: char, out: &mut String) {
    let length = sign.chars().count() + body.chars().count();
    let missing = spec.width.saturating_sub(length);
    let is_zero = spec.is_zero_padded && spec.fill.is_none();
    let fill = spec.fill.unwrap_or(if is_zero { '0' } else { ' ' });
    let align = if is_zero && spec.align != Some('<') && spec.align != Some('^') {
        '='
    } else {
        spec.align.unwrap_or(default_align)
    };
    let (left, right) = match align {
        '<' => (0, missing),
        '^' => (missing / 2, missing - missing / 2),
        _ => (missing, 0),
    };
    let fills = |count: usize| std::iter::repeat_n(fill, count);
    if align == '=' {
        out.push_str(sign);
        out.extend(fills(left));
        out.push_str(body);
    } else {
        out.extend(fills(left));
        out.push_str(sign);
        out.push_str(body);
        out.extend(fills(right));
    }
}

fn sign_text(is_negative: bool, spec: &Spec) -> &'static str {
    match (is_negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    }
}

fn group(digits: &str, separator: char, size: usize) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(size) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

fn format_int(number: &BigInt, spec: &Spec, minimum: usize, out: &mut String) {
    let magnitude = number.abs();
    let (radix, prefix) = match spec.kind {
        Some('x') => (16, "0x"),
        Some('X') => (16, "0X"),
        Some('o') => (8, "0o"),
        Some('b') => (2, "0b"),
        _ => (10, ""),
    };
    let mut digits = magnitude.to_str_radix(radix);
    if spec.kind == Some('X') {
        digits = digits.to_uppercase();
    }
    if digits.len() < minimum {
        digits = format!("{}{digits}", "0".repeat(minimum - digits.len()));
    }
    if let Some(separator) = spec.grouping {
        digits = group(&digits, separator, if radix == 10 { 3 } else { 4 });
    }
    let mut sign = sign_text(number.is_negative(), spec).to_string();
    if spec.is_alternate {
        sign.push_str(prefix);
    }
    pad(&sign, &digits, spec, '>', out);
}

fn format_float(number: f64, spec: &Spec, out: &mut String) {
    let kind = spec.kind.unwrap_or('g');
    let magnitude = number.abs();
    let mut body = if !magnitude.is_finite() {
        if magnitude.is_nan() {
            "nan".into()
        } else {
            "inf".to_string()
        }
    } else {
        let precision = spec.precision.unwrap_or(6);
        match kind.to_ascii_lowercase() {
            'f' => format!("{magnitude:.precision$}"),
            '%' => format!("{:.precision$}", magnitude * 100.0),
            'e' => exponent(magnitude, precision),
            _ => general(magnitude, precision.max(1), spec.is_alternate),
        }
    };
    if let Some(separator) = spec.grouping {
        let end = body.find(['.', 'e']).unwrap_or(body.len());
        body = format!("{}{}", group(&body[..end], separator, 3), &body[end..]);
    }
    if kind == '%' {
        body.push('%');
    }
    if kind.is_ascii_uppercase() {
        body = body.to_uppercase();
    }
    let is_negative = number.is_sign_negative() && !number.is_nan();
    pad(sign_text(is_negative, spec), &body, spec, '>', out);
}

fn exponent(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn general(number: f64, precision: usize, keeps_zeros: bool) -> String {
    let scientific = exponent(number, precision - 1);
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power_value: i64 = power.parse().unwrap_or(0);
    let trim = |text: &str| -> String {
        if keeps_zeros || !text.contains('.') {
            return text.to_string();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    };
    let precision = i64::try_from(precision).unwrap_or(i64::MAX);
    if power_value >= -4 && power_value < precision {
        let decimals = usize::try_from(precision - 1 - power_value).unwrap_or(0);
        trim(&format!("{number:.decimals$}"))
    } else {
        format!("{}e{power}", trim(digits))
    }
}

/// `format(value, spec)`.
pub(super) fn format_value(value: &Val, spec: &str, budget: &Budget) -> Res<String> {
    if spec.is_empty() {
        return Ok(text::str(value)?.to_string());
    }
    if let Val::Undefined(missing) = value {
        return Err(missing.error());
    }
    if matches!(value, Val::Date(_) | Val::Moment(_)) {
        return super::dates::strftime(value, spec);
    }
    let parsed = parse_spec(spec)?;
    budget.bytes(parsed.width.saturating_add(parsed.precision.unwrap_or(0)))?;
    let mut out = String::new();
    let kind = parsed.kind;
    let unknown = || {
        value_error(format!(
            "Unknown format code '{}' for object of type '{}'",
            kind.unwrap_or(' '),
            value.type_name()
        ))
    };
    match value {
        Val::Str(text) | Val::Safe(text) => {
            if kind.is_some_and(|kind| kind != 's') {
                return Err(unknown());
            }
            pad_text(text, &parsed, '<', &mut out);
        }
        _ => match Number::of(value) {
            Some(Number::Float(number)) => match kind {
                None => format_plain_float(number, &parsed, &mut out),
                Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%') => {
                    format_float(number, &parsed, &mut out);
                }
                _ => return Err(unknown()),
            },
            Some(number) => match kind {
                Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => {
                    format_float(float_of(&number), &parsed, &mut out);
                }
                Some('c') => {
                    let code = float_of(&number);
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    let c = char::from_u32(code as u32).unwrap_or('\u{fffd}');
                    pad_text(&c.to_string(), &parsed, '<', &mut out);
                }
                None | Some('d' | 'n' | 'x' | 'X' | 'o' | 'b') => {
                    let number = match number {
                        Number::Int(number) => BigInt::from(number),
                        Number::Big(number) => number,
                        Number::Float(_) => BigInt::default(),
                    };
                    format_int(&number, &parsed, 0, &mut out);
                }
                _ => return Err(unknown()),
            },
            None => {
                return Err(type_error(format!(
                    "unsupported format string passed to {}.__format__",
                    value.type_name()
                )));
            }
        },
    }
    Ok(out)
}

/// A float without a format code: as `str` prints it, or like `g` with at least one decimal.
fn format_plain_float(number: f64, spec: &Spec, out: &mut String) {
    let magnitude = number.abs();
    let body = match spec.precision {
        None => {
            let mut body = String::new();
            squall_value::python::write_float(&mut body, magnitude);
            body
        }
        Some(precision) => {
            let mut body = general(magnitude, precision.max(1), false);
            if magnitude.is_finite() && !body.contains(['.', 'e']) {
                body.push_str(".0");
            }
            body
        }
    };
    let body = match spec.grouping {
        Some(separator) => {
            let end = body.find(['.', 'e']).unwrap_or(body.len());
            format!("{}{}", group(&body[..end], separator, 3), &body[end..])
        }
        None => body,
    };
    pad(
        sign_text(number.is_sign_negative(), spec),
        &body,
        spec,
        '>',
        out,
    );
}

fn parse_spec(text: &str) -> Res<Spec> {
    let mut spec = Spec::default();
    let mut chars = text.chars().peekable();
    let second = text.chars().nth(1);
    if second.is_some_and(|c| "<>=^".contains(c)) {
        spec.fill = chars.next();
        spec.align = chars.next();
    } else if let Some(align) = chars.next_if(|c| "<>=^".contains(*c)) {
        spec.align = Some(align);
    }
    spec.sign = chars.next_if(|c| "+- ".contains(*c));
    chars.next_if_eq(&'z');
    spec.is_alternate = chars.next_if_eq(&'#').is_some();
    spec.is_zero_padded = chars.next_if_eq(&'0').is_some();
    spec.width = read_number(&mut chars)?.unwrap_or(0);
    spec.grouping = chars.next_if(|c| ",_".contains(*c));
    if chars.next_if_eq(&'.').is_some() {
        spec.precision = read_number(&mut chars)?;
        if spec.precision.is_none() {
            return Err(value_error("Format specifier missing precision"));
        }
    }
    spec.kind = chars.next();
    if chars.next().is_some() {
        return Err(value_error("Invalid format specifier"));
    }
    Ok(spec)
}

/// `format.format(*args, **kwargs)`, attributes looked up through the sandbox.
pub(super) fn str_format(
    format: &str,
    args: &[Val],
    named: &dyn Fn(&str) -> Option<Val>,
    budget: &Budget,
) -> Res<String> {
    let mut formatter = Braces {
        args,
        named,
        next: Some(0),
        budget,
    };
    formatter.run(format, 2)
}

struct Braces<'a> {
    args: &'a [Val],
    named: &'a dyn Fn(&str) -> Option<Val>,
    /// The number of the next field without one; `None` once fields were numbered by hand.
    next: Option<usize>,
    budget: &'a Budget,
}

impl Braces<'_> {
    fn run(&mut self, format: &str, depth: usize) -> Res<String> {
        if depth == 0 {
            return Err(value_error("Max string recursion exceeded"));
        }
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(doubled) = after.strip_prefix(brace) {
                out.push_str(brace);
                rest = doubled;
                continue;
            }
            if brace == "}" {
                return Err(value_error("Single '}' encountered in format string"));
            }
            let Some(end) = field_end(after) else {
                return Err(value_error(if after.is_empty() {
                    "Single '{' encountered in format string"
                } else {
                    "expected '}' before end of string"
                }));
            };
            out.push_str(&self.field(&after[..end], depth)?);
            self.budget.step(1)?;
            rest = &after[end + 1..];
        }
        out.push_str(rest);
        self.budget.bytes(out.len())?;
        Ok(out)
    }

    fn field(&mut self, field: &str, depth: usize) -> Res<String> {
        let name_end = field_name_end(field);
        let (name, rest) = field.split_at(name_end);
        let mut conversion = None;
        let mut spec = rest.strip_prefix(':').unwrap_or("");
        if let Some(converted) = rest.strip_prefix('!') {
            conversion = converted.chars().next();
            let after = converted
                .get(conversion.map_or(0, char::len_utf8)..)
                .unwrap_or("");
            if !after.is_empty() && !after.starts_with(':') {
                return Err(value_error("expected ':' after conversion specifier"));
            }
            spec = after.strip_prefix(':').unwrap_or("");
        }
        let value = self.value(name)?;
        let value = match conversion {
            None => value,
            Some('s') => Val::Str(text::str(&value)?),
            Some('r') => Val::str(text::repr(&value)),
            Some('a') => Val::str(ascii(&text::repr(&value))),
            Some(other) => {
                return Err(value_error(format!("Unknown conversion specifier {other}")));
            }
        };
        let spec = self.run(spec, depth - 1)?;
        format_value(&value, &spec, self.budget)
    }

    fn value(&mut self, name: &str) -> Res<Val> {
        let first_end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut path) = name.split_at(first_end);
        let mut value = self.first(first)?;
        while !path.is_empty() {
            if let Some(attribute) = path.strip_prefix('.') {
                let end = attribute.find(['.', '[']).unwrap_or(attribute.len());
                value = lookup::attribute(&value, &Str::from(&attribute[..end]), true)?;
                path = &attribute[end..];
            } else {
                let inner = &path[1..];
                let end = inner
                    .find(']')
                    .ok_or_else(|| value_error("Missing ']' in format string"))?;
                let item = match inner[..end].parse::<i64>() {
                    Ok(index) => Val::Int(index),
                    Err(_) => Val::str(&inner[..end]),
                };
                value = lookup::item(&value, &item, true)?;
                path = &inner[end + 1..];
                if !path.is_empty() && !path.starts_with(['.', '[']) {
                    return Err(value_error(
                        "Only '.' or '[' may follow ']' in format field specifier",
                    ));
                }
            }
        }
        Ok(value)
    }

    fn first(&mut self, name: &str) -> Res<Val> {
        let index = if name.is_empty() {
            let Some(next) = self.next else {
                return Err(value_error(
                    "cannot switch from manual field specification to automatic field numbering",
                ));
            };
            self.next = Some(next + 1);
            next
        } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
            if self.next.is_some_and(|next| next > 0) {
                return Err(value_error(
                    "cannot switch from automatic field numbering to manual field specification",
                ));
            }
            self.next = None;
            name.parse().unwrap_or(usize::MAX)
        } else {
            return (self.named)(name).ok_or_else(|| key_error(&Val::str(name)));
        };
        self.args.get(index).cloned().ok_or_else(|| {
            super::index_error("Replacement index out of range for positional args tuple")
        })
    }
}

fn field_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where the name of a field ends: `!` and `:` within brackets belong to it.
fn field_name_end(field: &str) -> usize {
    let mut is_bracketed = false;
    for (at, c) in field.char_indices() {
        match c {
            '[' => is_bracketed = true,
            ']' => is_bracketed = false,
            '!' | ':' if !is_bracketed => return at,
            _ => {}
        }
    }
    field.len()
}

/// The entry of a mapping by text, for `format_map`.
pub(super) fn entry(mapping: &Val, name: &str) -> Option<Val> {
    match mapping {
        Val::Dict(dict) => dict.get(&Key(Val::str(name))),
        _ => None,
    }
}
