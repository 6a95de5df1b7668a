//! Patterns for branches and paths.

use squall_value::Str;

/// A pattern: `*` stands for any text without `/`, `**` for any text, `?` for one character but
/// `/`. `**/` at a place also stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Str,
}

impl Pattern {
    /// The pattern `text`; every text is one.
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        Pattern { text: text.into() }
    }

    /// Whether all of `path` matches. Takes time in proportion to the product of both lengths.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        let mut pattern = self.text.chars().peekable();
        // `reached[n]`: the pattern so far matches the first n characters.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        while let Some(c) = pattern.next() {
            let any = c == '*' && pattern.next_if_eq(&'*').is_some();
            if any {
                let optional = pattern.next_if_eq(&'/').is_some();
                reached = after_double_star(&reached, &path, optional);
            } else if c == '*' {
                for n in 1..=path.len() {
                    reached[n] |= reached[n - 1] && path[n - 1] != '/';
                }
            } else {
                for n in (1..=path.len()).rev() {
                    let fits = path[n - 1] == c || (c == '?' && path[n - 1] != '/');
                    reached[n] = reached[n - 1] && fits;
                }
                reached[0] = false;
            }
        }
        reached[path.len()]
    }
}

/// `**`, or `**/` when `slash`: then it ends behind a `/` or stands for nothing.
fn after_double_star(reached: &[bool], path: &[char], slash: bool) -> Vec<bool> {
    let mut begun = false;
    let mut after = reached.to_vec();
    for n in 0..reached.len() {
        let ends = !slash || n.checked_sub(1).is_some_and(|last| path[last] == '/');
        after[n] |= begun && ends;
        begun |= reached[n];
    }
    after
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_match_whole_paths() {
        let cases = [
            ("*.yaml", "a.yaml b.yaml", "d/a.yaml a.yml"),
            ("**/*.yaml", "a.yaml d/a.yaml d/e/a.yaml", "a.yml"),
            ("etc/**", "etc/a etc/a/b", "etc usr/etc/a"),
            ("a/**/b", "a/b a/x/b a/x/y/b", "ab a/xb"),
            ("?-*", "a-b a-", "ab-c /-a"),
            ("**", "a a/b", ""),
            ("main", "main", "main2 mai"),
        ];
        for (pattern, yes, no) in cases {
            let matches = |path: &str| Pattern::new(pattern).matches(path);
            assert!(
                yes.split_whitespace().all(matches),
                "{pattern} should match {yes}"
            );
            assert!(
                !no.split_whitespace().any(matches),
                "{pattern} should not match {no}"
            );
        }
        assert!(!Pattern::new(&"*a".repeat(500)).matches(&"a".repeat(499)));
    }
}
