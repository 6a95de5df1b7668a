//! MD5 in a thousand rounds, as `crypt(3)` of FreeBSD made it first (`$1$`) and Apache's `htpasswd`
//! still does (`$apr1$`): <https://httpd.apache.org/docs/2.4/misc/password_encryptions.html>. The
//! two differ in what they begin with, which goes into the hash.

use md5::{Digest, Md5};

/// Apache's.
pub(crate) const APACHE: &str = "$apr1$";

/// That of `crypt(3)`.
pub(crate) const UNIX: &str = "$1$";

const SALT_MAX: usize = 8;
const ROUNDS: usize = 1000;
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The hash of a password, as it stands in a file.
pub(crate) fn hash(password: &[u8], magic: &str, salt: &str) -> String {
    let end = salt
        .char_indices()
        .nth(SALT_MAX)
        .map_or(salt.len(), |(at, _)| at);
    let salt = &salt[..end];
    let inner = Md5::new().chain_update(password).chain_update(salt);
    let inner = inner.chain_update(password).finalize();

    let mut first = Md5::new();
    first.update(password);
    first.update(magic);
    first.update(salt);
    first.update(
        inner
            .iter()
            .copied()
            .cycle()
            .take(password.len())
            .collect::<Vec<_>>(),
    );
    let mut length = password.len();
    while length > 0 {
        let zero_or_first = password.first().filter(|_| length & 1 == 0);
        first.update([zero_or_first.copied().unwrap_or(0)]);
        length >>= 1;
    }
    let mut sum = first.finalize();
    for round in 0..ROUNDS {
        let mut next = Md5::new();
        if round % 2 == 1 {
            next.update(password);
        } else {
            next.update(sum);
        }
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        if round % 2 == 1 {
            next.update(sum);
        } else {
            next.update(password);
        }
        sum = next.finalize();
    }
    format!("{magic}{salt}${}", digits(&sum))
}

/// The sum in base 64, three bytes at a time in the order that the format prescribes.
fn digits(sum: &[u8]) -> String {
    let mut text = String::with_capacity(22);
    let mut put = |mut value: usize, count: usize| {
        for _ in 0..count {
            text.push(char::from(DIGITS[value & 0x3f]));
            value >>= 6;
        }
    };
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        let value = usize::from(sum[a]) << 16 | usize::from(sum[b]) << 8 | usize::from(sum[c]);
        put(value, 4);
    }
    put(usize::from(sum[11]), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl passwd`.
    #[test]
    fn hashes_are_those_of_openssl() {
        for (password, salt, expect) in [
            ("", "r31", "$apr1$r31$VhYBNuSclDwcMVhdpOx.I0"),
            (
                "myPassword",
                "xxxxxxxx",
                "$apr1$xxxxxxxx$RKMOWWMKN4Ts9r6E5noqv0",
            ),
            (
                "a long password of more than sixteen bytes, so that blocks repeat",
                "abcdefgh",
                "$apr1$abcdefgh$skwmmWlgYoYL138eXMQ1w.",
            ),
        ] {
            assert_eq!(hash(password.as_bytes(), APACHE, salt), expect);
        }
        let unix = hash(b"myPassword", UNIX, "xxxxxxxx");
        assert_eq!(unix, "$1$xxxxxxxx$W0tb3y3PlvSzG5627dWWh/");
    }
}
