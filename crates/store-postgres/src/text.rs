//! Texts in columns. PostgreSQL's `text` cannot hold U+0000, so it is written as U+0001 `0`, and
//! U+0001 itself as U+0001 `1`: the order of texts and their prefixes stay what they were.

use std::borrow::Cow;

/// The text as it is stored.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', '\u{1}']) {
        let escaped = text.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0");
        Cow::Owned(escaped)
    } else {
        Cow::Borrowed(text)
    }
}

/// The text as it was.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if text.contains('\u{1}') {
        Cow::Owned(text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_their_order_survive() {
        let mut texts = vec![
            "", "\0", "\0\0", "\0a", "\u{1}", "\u{1}0", "\u{1}1", "\u{2}", "a", "a\0b", "a\u{1}0",
            "0",
        ];
        texts.sort_unstable();
        let escaped: Vec<_> = texts.iter().map(|text| escape(text)).collect();
        assert!(escaped.is_sorted());
        for (text, escaped) in texts.iter().zip(&escaped) {
            assert_eq!(unescape(escaped), *text);
            assert!(!escaped.contains('\0'));
        }
    }
}
