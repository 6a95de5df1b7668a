//! Rust text without its comments and the insides of its strings.
//!
//! Enough of a lexer for checks on rustfmt'ed code: what is left has the same lines, and braces and
//! names in it mean what they say.

/// A file, its code and its comments apart.
#[derive(Debug)]
pub(crate) struct Code {
    /// The lines; comments, strings and character literals are spaces.
    pub(crate) lines: Vec<String>,
    /// The comments alone, line by line.
    pub(crate) comments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Takes comments, strings and character literals out of a text.
pub(crate) fn blank(text: &str) -> Code {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let before = at.checked_sub(1).map(|before| chars[before]);
        let (kind, len) = token(&chars[at..], before);
        let end = (at + len).min(chars.len());
        for &c in &chars[at..end] {
            let keep = |kept| if c == '\n' || kind == kept { c } else { ' ' };
            code.push(keep(Kind::Code));
            comments.push(keep(Kind::Comment));
        }
        at = end;
    }
    Code {
        lines: code.lines().map(str::to_owned).collect(),
        comments: comments.lines().map(str::to_owned).collect(),
    }
}

/// What the text begins with, and how many characters that is.
fn token(rest: &[char], before: Option<char>) -> (Kind, usize) {
    let second = rest.get(1).copied();
    let starts_word = !before.is_some_and(is_name) || before == Some('b');
    match rest[0] {
        '/' if second == Some('/') => {
            let len = rest.iter().take_while(|c| **c != '\n').count();
            (Kind::Comment, len)
        }
        '/' if second == Some('*') => (Kind::Comment, block_comment(rest)),
        '"' => (Kind::Literal, string(rest)),
        'r' if starts_word => match raw_string(rest) {
            Some(len) => (Kind::Literal, len),
            None => (Kind::Code, 1),
        },
        '\'' => match character(rest) {
            Some(len) => (Kind::Literal, len),
            None => (Kind::Code, 1),
        },
        _ => (Kind::Code, 1),
    }
}

/// Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (1, 2);
    while depth > 0 && at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    let inside = rest.get(2 + hashes..)?;
    if rest[1 + hashes] != '"' {
        return None;
    }
    let closes = |at: &usize| {
        let tail = &inside[*at..];
        tail[0] == '"' && tail[1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    let close = (0..inside.len()).find(closes).unwrap_or(inside.len());
    Some(2 + hashes + close + 1 + hashes)
}

/// None for the quote of a lifetime.
fn character(rest: &[char]) -> Option<usize> {
    match (rest.get(1)?, rest.get(2)?) {
        ('\\', _) => {
            // The longest is '\u{10ffff}'.
            let close = rest[3..].iter().take(9).position(|c| *c == '\'')?;
            Some(close + 4)
        }
        (_, '\'') => Some(3),
        _ => None,
    }
}

/// Whether a character can stand in a name.
pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
