//! Shell wildcards, as Python's `fnmatch` reads them: `*`, `?`, `[a-z]`, `[!a-z]`.

/// A compiled wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wildcard {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    Any,
    Many,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Wildcard {
    pub(crate) fn new(pattern: &str) -> Wildcard {
        let chars: Vec<char> = pattern.chars().collect();
        let mut tokens = Vec::with_capacity(chars.len());
        let mut next = 0;
        while let Some(&c) = chars.get(next) {
            next += 1;
            match c {
                '*' if tokens.last() == Some(&Token::Many) => {}
                '*' => tokens.push(Token::Many),
                '?' => tokens.push(Token::Any),
                '[' => match set(&chars, next) {
                    Some((token, after)) => {
                        tokens.push(token);
                        next = after;
                    }
                    None => tokens.push(Token::Literal('[')),
                },
                c => tokens.push(Token::Literal(c)),
            }
        }
        Wildcard { tokens }
    }

    /// Whether the whole of `text` matches. Takes at most length times tokens steps: only the last
    /// `*` is ever retried.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut token = 0;
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            match self.tokens.get(token) {
                Some(Token::Many) => {
                    token += 1;
                    retry = Some((token, rest.clone()));
                    continue;
                }
                Some(one) => {
                    let mut ahead = rest.clone();
                    if ahead.next().is_some_and(|c| one.admits(c)) {
                        rest = ahead;
                        token += 1;
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((after, from)) = &mut retry else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            token = *after;
            rest = from.clone();
        }
    }
}

impl Token {
    fn admits(&self, c: char) -> bool {
        match self {
            Token::Literal(literal) => *literal == c,
            Token::Any | Token::Many => true,
            Token::Set { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&c)) != *negated
            }
        }
    }
}

/// The set whose `[` stands before `start`, and the position after its `]`; `None` if it never
/// ends, and the bracket stands for itself.
fn set(chars: &[char], start: usize) -> Option<(Token, usize)> {
    let negated = chars.get(start) == Some(&'!');
    let first = start + usize::from(negated);
    // A `]` in the first place is a member.
    let close = (first + 1..chars.len()).find(|&index| chars[index] == ']')?;
    let members = &chars[first..close];
    let mut ranges = Vec::new();
    let mut next = 0;
    while let Some(&low) = members.get(next) {
        match (members.get(next + 1), members.get(next + 2)) {
            (Some('-'), Some(&high)) => {
                ranges.push((low, high));
                next += 3;
            }
            _ => {
                ranges.push((low, low));
                next += 1;
            }
        }
    }
    Some((Token::Set { negated, ranges }, close + 1))
}
