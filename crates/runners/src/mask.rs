//! Masks secrets by value, in a stream and in a finished result.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use squall_value::{Dict, Str, Value};

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// Shorter values are not masked: they would turn ordinary words into stars.
pub const SECRET_BYTES_MIN: usize = 6;

/// `value` with every secret in its texts replaced; shares what does not change.
#[must_use]
pub fn mask_values(secrets: &[Str], value: &Value) -> Value {
    Masker::new(secrets).value(value)
}

/// The secrets of one job. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Masker {
    inner: Option<Arc<Patterns>>,
}

struct Patterns {
    search: AhoCorasick,
    /// Each with its failure function: at `i`, the length of the longest proper prefix of the
    /// secret that ends at byte `i`.
    secrets: Vec<(Vec<u8>, Vec<u32>)>,
}

impl Masker {
    /// Takes the secrets of at least [`SECRET_BYTES_MIN`] characters, with and without the white
    /// space at their ends (a key is often printed without its last newline).
    pub(crate) fn new(secrets: &[Str]) -> Masker {
        let mut texts: Vec<&str> = secrets
            .iter()
            .flat_map(|secret| [&**secret, secret.trim()])
            .filter(|secret| secret.chars().nth(SECRET_BYTES_MIN - 1).is_some())
            .collect();
        texts.sort_unstable();
        texts.dedup();
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&texts);
        let inner = match search {
            Ok(search) if !texts.is_empty() => Some(Arc::new(Patterns {
                search,
                secrets: texts.iter().map(|text| with_failures(text)).collect(),
            })),
            _ => None,
        };
        Masker { inner }
    }

    /// `text` with every secret replaced.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        let patterns = self.inner.as_ref()?;
        patterns.search.find(text)?;
        let mut out = String::with_capacity(text.len());
        patterns
            .search
            .replace_all_with(text, &mut out, |_, _, out| {
                out.push_str(MASK);
                true
            });
        Some(out)
    }

    /// `value` with every secret in its texts replaced; shares what does not change.
    pub(crate) fn value(&self, value: &Value) -> Value {
        if self.inner.is_none() {
            return value.clone();
        }
        match value {
            Value::String(text) => self.text(text).map_or_else(|| value.clone(), Value::from),
            Value::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Dict(dict) => Value::from(
                dict.iter()
                    .map(|(key, item)| (key.clone(), self.value(item)))
                    .collect::<Dict>(),
            ),
            other => other.clone(),
        }
    }

    /// A masker of a stream that comes in pieces.
    pub(crate) fn stream(&self) -> StreamMasker {
        let patterns = self.inner.as_ref().map_or(0, |inner| inner.secrets.len());
        StreamMasker {
            masker: self.clone(),
            buffer: String::new(),
            states: vec![0; patterns],
        }
    }
}

/// Masks across the borders of the pieces. Keeps back only what may be the beginning of a secret.
pub(crate) struct StreamMasker {
    masker: Masker,
    buffer: String,
    /// For each secret, how many of its first bytes the stream ends with.
    states: Vec<usize>,
}

impl StreamMasker {
    /// Appends to `out` what can be told of the text so far.
    pub(crate) fn push(&mut self, text: &str, out: &mut String) {
        let Some(patterns) = self.masker.inner.clone() else {
            out.push_str(text);
            return;
        };
        self.buffer.push_str(text);
        let mut held = 0;
        for ((secret, failures), state) in patterns.secrets.iter().zip(&mut self.states) {
            advance(secret, failures, state, text.as_bytes());
            held = held.max(*state);
        }
        let safe = self.buffer.len() - held.min(self.buffer.len());
        self.release(&patterns, safe, out);
    }

    /// Appends the rest: the stream is over.
    pub(crate) fn finish(&mut self, out: &mut String) {
        if let Some(patterns) = self.masker.inner.clone() {
            self.release(&patterns, self.buffer.len(), out);
        }
    }

    /// Appends what begins before `safe`; a match that begins before it is taken whole.
    fn release(&mut self, patterns: &Patterns, safe: usize, out: &mut String) {
        let mut from = 0;
        for found in patterns.search.find_iter(&self.buffer) {
            if found.start() >= safe {
                break;
            }
            out.push_str(&self.buffer[from..found.start()]);
            out.push_str(MASK);
            from = found.end();
        }
        // A secret begins with the first byte of a character, so `safe` is a border of one.
        if from < safe {
            out.push_str(&self.buffer[from..safe]);
            from = safe;
        }
        self.buffer.drain(..from);
    }
}

fn with_failures(secret: &str) -> (Vec<u8>, Vec<u32>) {
    let secret = secret.as_bytes().to_vec();
    let mut failures = vec![0_u32; secret.len()];
    let mut length = 0_usize;
    for at in 1..secret.len() {
        while length > 0 && secret[at] != secret[length] {
            length = failures[length - 1] as usize;
        }
        if secret[at] == secret[length] {
            length += 1;
        }
        // Secrets are far below 4 GiB: they came in a request.
        failures[at] = u32::try_from(length).unwrap_or(u32::MAX);
    }
    (secret, failures)
}

fn advance(secret: &[u8], failures: &[u32], state: &mut usize, text: &[u8]) {
    for &byte in text {
        // A whole secret is a match, not a beginning: fall back to what may follow from it.
        if *state == secret.len() {
            *state = failures[*state - 1] as usize;
        }
        while *state > 0 && secret[*state] != byte {
            *state = failures[*state - 1] as usize;
        }
        if secret[*state] == byte {
            *state += 1;
        }
    }
    if *state == secret.len() {
        *state = failures[*state - 1] as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::{Masker, Str};

    fn masked(secrets: &[&str], pieces: &[&str]) -> Vec<String> {
        let secrets: Vec<Str> = secrets.iter().map(|secret| Str::from(*secret)).collect();
        let mut stream = Masker::new(&secrets).stream();
        let mut out: Vec<String> = Vec::new();
        for piece in pieces {
            let mut text = String::new();
            stream.push(piece, &mut text);
            out.push(text);
        }
        let mut text = String::new();
        stream.finish(&mut text);
        out.push(text);
        out
    }

    #[test]
    fn a_secret_is_masked_wherever_the_pieces_are_cut() {
        let text = "x hunter2hunter2 hunterhunter2y hunter";
        for cut in 0..=text.len() {
            let (a, b) = text.split_at(cut);
            let got = masked(&["hunter2"], &[a, b]).concat();
            assert_eq!(
                got, "x **************** hunter********y hunter",
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn the_longest_of_overlapping_secrets_wins() {
        for cut in 0..=12 {
            let (a, b) = "-abcdefghij-".split_at(cut);
            let got = masked(&["abcdef", "abcdefghij"], &[a, b]).concat();
            assert_eq!(got, "-********-", "cut at {cut}");
        }
    }

    #[test]
    fn repeating_secrets_and_wide_characters() {
        for (secret, text, expected) in [
            ("aaaaaa", "aaaaaaaaaaaaab", "****************ab"),
            ("pässwörd", "a pässwörd, pässwör", "a ********, pässwör"),
            ("short", "short", "short"),
            ("key-line\n", "key-line", "********"),
        ] {
            let pieces: Vec<String> = text.chars().map(String::from).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            assert_eq!(masked(&[secret], &pieces).concat(), expected, "{secret}");
        }
    }

    #[test]
    fn only_what_may_begin_a_secret_is_kept_back() {
        assert_eq!(
            masked(&["hunter2"], &["a line\n", "hunt", "ing\n"]),
            ["a line\n", "", "hunting\n", ""]
        );
    }
}
