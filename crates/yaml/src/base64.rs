//! Base64 for `!!binary`: standard alphabet, padded.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of `bytes`, on one line.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = u32::from(chunk[0]) << 16
            | u32::from(chunk.get(1).copied().unwrap_or(0)) << 8
            | u32::from(chunk.get(2).copied().unwrap_or(0));
        for place in 0..4 {
            if place <= chunk.len() {
                let digit = (word >> (18 - 6 * place)) & 63;
                out.push(char::from(ALPHABET[digit as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// The bytes that `text` says. Characters outside the alphabet are skipped, as Python's
/// `base64.decodebytes` does; `None` if what remains is not complete groups of four.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut digits) = (0_u32, 0_u32);
    let mut padding = 0_u32;
    for byte in text.bytes() {
        if byte == b'=' {
            padding += 1;
            if digits >= 2 && digits + padding >= 4 {
                break;
            }
            continue;
        }
        let Some(digit) = ALPHABET.iter().position(|letter| *letter == byte) else {
            continue;
        };
        padding = 0;
        word = word << 6 | u32::try_from(digit).expect("there are 64 digits");
        digits += 1;
        if digits == 4 {
            out.extend_from_slice(&word.to_be_bytes()[1..]);
            (word, digits) = (0, 0);
        }
    }
    match (digits, padding) {
        (0, _) => Some(out),
        (2, 2..) => {
            out.push((word >> 4).to_le_bytes()[0]);
            Some(out)
        }
        (3, 1..) => {
            out.extend_from_slice(&(word >> 2).to_be_bytes()[2..]);
            Some(out)
        }
        _ => None,
    }
}
