//! What a text may be written as: the tests of PyYAML's `analyze_scalar`.

use super::is_break;

/// The notations that a text can be read back from.
pub(super) struct Analysis {
    pub(super) empty: bool,
    pub(super) multiline: bool,
    pub(super) allow_block_plain: bool,
    pub(super) allow_single_quoted: bool,
    pub(super) allow_block: bool,
}

fn is_separator(c: char) -> bool {
    matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(c)
}

/// Whether the character at `index` means something to the reader of a plain scalar.
fn is_indicator(text: &[char], index: usize) -> bool {
    let c = text[index];
    let followed = || text.get(index + 1).is_none_or(|c| is_separator(*c));
    if index == 0 {
        return matches!(
            c,
            '#' | ','
                | '['
                | ']'
                | '{'
                | '}'
                | '&'
                | '*'
                | '!'
                | '|'
                | '>'
                | '\''
                | '"'
                | '%'
                | '@'
                | '`'
        ) || matches!(c, '?' | ':' | '-') && followed();
    }
    c == ':' && followed() || c == '#' && is_separator(text[index - 1])
}

/// Whether a character can only be written as an escape.
fn is_special(c: char, allow_unicode: bool) -> bool {
    if matches!(c, '\n' | ' '..='~') {
        return false;
    }
    let printable = matches!(c, '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10fffe}')
        && c != '\u{feff}';
    !(printable && allow_unicode)
}

impl Analysis {
    pub(super) fn of(text: &[char], allow_unicode: bool) -> Analysis {
        let (Some(first), Some(last)) = (text.first(), text.last()) else {
            return Analysis {
                empty: true,
                multiline: false,
                allow_block_plain: true,
                allow_single_quoted: true,
                allow_block: false,
            };
        };
        let pair = |before: fn(char) -> bool, after: fn(char) -> bool| {
            text.windows(2)
                .any(|pair| before(pair[0]) && after(pair[1]))
        };
        let is_space = |c: char| c == ' ';
        let multiline = text.iter().any(|c| is_break(*c));
        let marker = text.starts_with(&['-', '-', '-']) || text.starts_with(&['.', '.', '.']);
        let indicators = marker || (0..text.len()).any(|index| is_indicator(text, index));
        let outer_blank = |c: char| is_space(c) || is_break(c);
        let special =
            pair(is_space, is_break) || text.iter().any(|c| is_special(*c, allow_unicode));
        let break_space = pair(is_break, is_space);
        Analysis {
            empty: false,
            multiline,
            allow_block_plain: !(outer_blank(*first)
                || outer_blank(*last)
                || break_space
                || special
                || multiline
                || indicators),
            allow_single_quoted: !break_space && !special,
            allow_block: *last != ' ' && !special,
        }
    }
}
