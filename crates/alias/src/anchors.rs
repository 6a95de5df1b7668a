//! Whether a regular expression is tied to the beginning or the end of the text.

/// What ties a pattern down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Anchors {
    /// `^` or `\A` somewhere.
    pub(crate) start: bool,
    /// `$` or `\Z` somewhere.
    pub(crate) end: bool,
}

impl Anchors {
    fn with(self, other: Anchors) -> Anchors {
        Anchors {
            start: self.start || other.start,
            end: self.end || other.end,
        }
    }
}

/// Looks for anchors in a pattern of Python's `re`, in groups and branches too, but not in what may
/// be left out or repeated: `(?:^a)?b` is not tied to the beginning.
pub(crate) fn anchors(pattern: &str) -> Anchors {
    let mut open: Vec<Anchors> = vec![Anchors::default()];
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = chars.next() {
        let mut found = Anchors::default();
        match letter {
            '\\' => match chars.next() {
                Some('A') if !in_class => found.start = true,
                Some('Z') if !in_class => found.end = true,
                _ => {}
            },
            '[' if !in_class => {
                in_class = true;
                // A bracket that closes at once stands for itself.
                chars.next_if_eq(&'^');
                chars.next_if_eq(&']');
            }
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '^' => found.start = true,
            '$' => found.end = true,
            '(' => open.push(Anchors::default()),
            ')' if open.len() > 1 => {
                let group = open.pop().unwrap_or_default();
                let repeats = matches!(chars.peek(), Some('*' | '+' | '?' | '{'));
                found = if repeats { Anchors::default() } else { group };
            }
            _ => {}
        }
        if let Some(last) = open.last_mut() {
            *last = last.with(found);
        }
    }
    open.into_iter().fold(Anchors::default(), Anchors::with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_found_where_they_hold() {
        for (pattern, start, end) in [
            ("abc", false, false),
            ("^abc$", true, true),
            (r"\Aabc\Z", true, true),
            (r"\^abc\$", false, false),
            ("[^a]b", false, false),
            ("[]^$]b", false, false),
            ("(?:^a|b)c", true, false),
            ("(?:^a)?b(c$)", false, true),
        ] {
            let found = anchors(pattern);
            assert_eq!((found.start, found.end), (start, end), "{pattern}");
        }
    }
}
