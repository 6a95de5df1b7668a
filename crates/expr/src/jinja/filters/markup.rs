//! Filters about HTML, URLs and machine-readable text.

use super::{flag, simple};
use crate::functions::json;
use crate::jinja::eval::Engine;
use crate::jinja::methods::index_argument;
use crate::jinja::registry::{Bound, Callable};
use crate::jinja::value::Val;
use crate::jinja::{Res, convert, lookup, text, type_error, value_error};
use crate::statement::is_python_space;

pub(in crate::jinja) const ALL: &[Callable] = &[
    simple("escape", "escape", escape),
    simple("e", "escape", escape),
    simple("forceescape", "do_forceescape", |e, mut a| {
        Ok(Val::Safe(
            text::escape_html(&e.text(&a.required(0))?).into(),
        ))
    }),
    simple("safe", "do_mark_safe", |e, mut a| {
        Ok(Val::Safe(e.text(&a.required(0))?))
    }),
    simple("striptags", "do_striptags", striptags),
    Callable::new("tojson", "do_tojson", &["value", "indent"], 1, tojson),
    Callable::new("xmlattr", "do_xmlattr", &["d", "autospace"], 1, xmlattr),
    simple("urlencode", "do_urlencode", urlencode),
    Callable::new(
        "urlize",
        "do_urlize",
        &[
            "value",
            "trim_url_limit",
            "nofollow",
            "target",
            "rel",
            "extra_schemes",
        ],
        1,
        urlize,
    ),
    simple("pprint", "do_pprint", |e, mut a| {
        super::pprint::pprint(e, &a.required(0))
    }),
];

fn escape(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    if matches!(value, Val::Safe(_)) {
        return Ok(value);
    }
    let escaped = text::escape_html(&engine.text(&value)?);
    engine.budget.bytes(escaped.len())?;
    Ok(Val::Safe(escaped.into()))
}

fn striptags(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let text = engine.text(&args.required(0))?;
    let without_comments = cut(&text, "<!--", "-->");
    let without_tags = cut(&without_comments, "<", ">");
    let words: Vec<&str> = without_tags
        .split(is_python_space)
        .filter(|word| !word.is_empty())
        .collect();
    Ok(Val::str(unescape(&words.join(" "))))
}

/// Takes out everything from `open` to the next `close`.
fn cut(text: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        let Some(end) = rest[start..].find(close) else {
            break;
        };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + close.len()..];
    }
    out.push_str(rest);
    out
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 10);
        let entity = end.map(|end| &rest[1..end]);
        let c = entity.and_then(|entity| match entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some('\u{a0}'),
            "copy" => Some('©'),
            numeric => {
                let digits = numeric.strip_prefix('#')?;
                let code = match digits.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => digits.parse().ok()?,
                };
                char::from_u32(code)
            }
        });
        match (c, end) {
            (Some(c), Some(end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn tojson(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = convert::json_data(engine, &args.required(0))?;
    let indent = match args.optional(1) {
        None | Some(Val::None) => None,
        Some(indent) => Some(json_indent(&indent)?),
    };
    let style = json::Style {
        indent,
        sort_keys: true,
        ..json::Style::default()
    };
    let json = json::dumps(&value, &style);
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\'' => out.push_str("\\u0027"),
            c => out.push(c),
        }
    }
    engine.budget.bytes(out.len())?;
    Ok(Val::Safe(out.into()))
}

/// The indent argument of JSON filters: a number of blanks or a text.
pub(in crate::jinja) fn json_indent(indent: &Val) -> Res<String> {
    match indent {
        Val::Str(text) | Val::Safe(text) => Ok(text.to_string()),
        other => {
            let width = usize::try_from(index_argument(other)?).unwrap_or(0);
            if width > 1000 {
                return Err(crate::jinja::limit_error("the indent is too large"));
            }
            Ok(" ".repeat(width))
        }
    }
}

fn xmlattr(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let has_space = flag(args.optional(1), true)?;
    let Val::Dict(dict) = &value else {
        return Err(match &value {
            Val::Undefined(missing) => missing.error(),
            other => crate::jinja::methods::no_attribute(other, "items"),
        });
    };
    let mut parts = Vec::new();
    for (key, value) in dict.items() {
        if matches!(value, Val::None | Val::Undefined(_)) {
            continue;
        }
        let (Val::Str(key) | Val::Safe(key)) = key else {
            return Err(type_error(format!(
                "expected string or bytes-like object, got '{}'",
                key.type_name()
            )));
        };
        if key.contains(|c: char| is_python_space(c) || "/>=".contains(c)) {
            return Err(value_error(format!(
                "Invalid character in attribute name: {}",
                text::repr(&Val::Str(key))
            )));
        }
        let escaped = match &value {
            Val::Safe(text) => text.to_string(),
            other => text::escape_html(&engine.text(other)?),
        };
        parts.push(format!("{}=\"{escaped}\"", text::escape_html(&key)));
    }
    let joined = parts.join(" ");
    engine.budget.bytes(joined.len())?;
    Ok(Val::str(if has_space && !joined.is_empty() {
        format!(" {joined}")
    } else {
        joined
    }))
}

fn quoted(text: &str, in_query: bool) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if !in_query => out.push('/'),
            b' ' if in_query => out.push('+'),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn urlencode(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let pairs: Vec<Val> = match &value {
        Val::Dict(dict) => dict
            .items()
            .into_iter()
            .map(|(k, v)| Val::tuple(vec![k, v]))
            .collect(),
        Val::List(_) | Val::Tuple(_) | Val::View(..) | Val::Iter(_) => {
            lookup::elements(&value, engine)?
        }
        other => return Ok(Val::str(quoted(&engine.text(other)?, false))),
    };
    let mut parts = Vec::new();
    for pair in &pairs {
        let pair = lookup::elements(pair, engine)?;
        let [key, value] = pair.as_slice() else {
            return Err(value_error("not enough values to unpack (expected 2)"));
        };
        parts.push(format!(
            "{}={}",
            quoted(&engine.text(key)?, true),
            quoted(&engine.text(value)?, true)
        ));
    }
    Ok(Val::str(parts.join("&")))
}

/// How links are written.
struct Links {
    limit: Option<usize>,
    attributes: String,
}

fn urlize(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let source = engine.text(&args.required(0))?;
    let limit = match args.optional(1) {
        None | Some(Val::None) => None,
        Some(limit) => usize::try_from(index_argument(&limit)?).ok(),
    };
    let is_nofollow = flag(args.optional(2), false)?;
    let target = args
        .optional(3)
        .filter(|target| !matches!(target, Val::None));
    let rel = args.optional(4).filter(|rel| !matches!(rel, Val::None));
    if !matches!(args.optional(5), None | Some(Val::None)) {
        return Err(type_error("urlize() with extra schemes is not supported"));
    }
    let mut rels: Vec<String> = match rel {
        None => Vec::new(),
        Some(rel) => engine
            .text(&rel)?
            .split_whitespace()
            .map(Into::into)
            .collect(),
    };
    if is_nofollow {
        rels.push("nofollow".into());
    }
    rels.push("noopener".into());
    rels.sort();
    rels.dedup();
    let mut attributes = format!(" rel=\"{}\"", text::escape_html(&rels.join(" ")));
    if let Some(target) = target {
        attributes.push_str(&format!(
            " target=\"{}\"",
            text::escape_html(&engine.text(&target)?)
        ));
    }
    let links = Links { limit, attributes };
    let escaped = text::escape_html(&source);
    engine.budget.bytes(escaped.len().saturating_mul(3))?;
    let mut out = String::new();
    let mut rest = escaped.as_str();
    while !rest.is_empty() {
        let blank_end = rest.find(|c| !is_python_space(c)).unwrap_or(rest.len());
        out.push_str(&rest[..blank_end]);
        rest = &rest[blank_end..];
        let word_end = rest.find(is_python_space).unwrap_or(rest.len());
        out.push_str(&links.word(&rest[..word_end]));
        rest = &rest[word_end..];
    }
    Ok(Val::str(out))
}

impl Links {
    fn word(&self, word: &str) -> String {
        let mut head_end = 0;
        while let Some(open) = ["(", "<", "&lt;"]
            .iter()
            .find(|open| word[head_end..].starts_with(**open))
        {
            head_end += open.len();
        }
        let (head, mut middle) = word.split_at(head_end);
        let mut tail_start = middle.len();
        while let Some(close) = [")", ">", ".", ",", "\n", "&gt;"]
            .iter()
            .find(|close| middle[..tail_start].ends_with(**close))
        {
            tail_start -= close.len();
        }
        // Closing brackets belong to the link as long as they have a partner in it.
        let full = middle;
        for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
            while full[..tail_start].matches(open).count()
                > full[..tail_start].matches(close).count()
                && let Some(at) = full[tail_start..].find(close)
            {
                tail_start += at + close.len();
            }
        }
        let tail = &full[tail_start..];
        middle = &full[..tail_start];
        let shown = self.shown(middle);
        let is_host = |text: &str| {
            text.split_once('.')
                .is_some_and(|(name, end)| !name.is_empty() && end.len() >= 2)
        };
        let lower = middle.to_lowercase();
        let link = if lower.starts_with("https://") || lower.starts_with("http://") {
            let address = middle.split_once("//").map_or("", |(_, address)| address);
            (!address.is_empty()).then(|| middle.to_string())
        } else if lower.starts_with("www.") && is_host(&middle[4..])
            || [".com", ".net", ".org", ".edu", ".gov", ".int", ".mil"]
                .iter()
                .any(|end| lower.ends_with(end))
                && !middle.contains(['@', '/', ':'])
                && is_host(middle)
        {
            Some(format!("https://{middle}"))
        } else {
            None
        };
        let linked = match link {
            Some(link) => format!("<a href=\"{link}\"{}>{shown}</a>", self.attributes),
            None => match middle.split_once('@') {
                Some((name, host))
                    if !name.is_empty() && is_host(host) && !middle.contains([':', '/']) =>
                {
                    format!("<a href=\"mailto:{middle}\">{middle}</a>")
                }
                _ => middle.to_string(),
            },
        };
        format!("{head}{linked}{tail}")
    }

    fn shown(&self, link: &str) -> String {
        match self.limit {
            Some(limit) if link.chars().count() > limit => {
                link.chars().take(limit).collect::<String>() + "..."
            }
            _ => link.to_string(),
        }
    }
}
