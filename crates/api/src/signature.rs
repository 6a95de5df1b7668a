//! Signatures of webhook deliveries, in the ways of those who send them.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Headers with the HMAC-SHA-256 of the body in hexadecimal digits, and what stands before it.
const SHA256_HEADERS: [(&str, &str); 6] = [
    // GitHub.
    ("x-hub-signature-256", "sha256="),
    // Bitbucket. GitHub sends SHA-1 under this name, which is not accepted.
    ("x-hub-signature", "sha256="),
    ("x-forgejo-signature", ""),
    ("x-gitea-signature", ""),
    ("x-gogs-signature", ""),
    ("x-squall-signature", ""),
];

/// Terraform Cloud: the HMAC-SHA-512 of the body.
const TERRAFORM: &str = "x-tfe-notification-signature";

/// GitLab sends the secret itself.
const GITLAB: &str = "x-gitlab-token";

/// Headers that carry the secret, or something as good: never part of a payload.
pub(crate) const SECRETS: [&str; 1] = [GITLAB];

/// Whether the headers prove that their sender knows the secret. One right signature is enough:
/// Gitea and Forgejo send several.
pub(crate) fn is_right(headers: &HeaderMap, body: &[u8], secret: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).map(axum::http::HeaderValue::as_bytes);
    if let Some(token) = header(GITLAB) {
        return token.ct_eq(secret).into();
    }
    let digits = |name: &str, prefix: &str| {
        let text = header(name)?.strip_prefix(prefix.as_bytes())?;
        unhex(text)
    };
    let sha256 = SHA256_HEADERS.iter().any(|(name, prefix)| {
        digits(name, prefix).is_some_and(|signature| {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
            mac.update(body);
            mac.verify_slice(&signature).is_ok()
        })
    });
    sha256
        || digits(TERRAFORM, "").is_some_and(|signature| {
            let mut mac =
                Hmac::<Sha512>::new_from_slice(secret).expect("HMAC takes keys of any length");
            mac.update(body);
            mac.verify_slice(&signature).is_ok()
        })
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl dgst -sha256 -hmac secret` (and `-sha512`) over `{"a":1}`.
    const BODY: &[u8] = br#"{"a":1}"#;
    const SHA256: &str = "aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494";
    const SHA512: &str = "42f08c0da01c9a46d4e5663d5f2140526a016507c598182c6769cca2bcf7ba43c395b719b01d288f5ad322564dce1d40ca28ef50b876fc49a33d13d6783114dd";

    #[test]
    fn every_sender_is_recognised_by_its_own_header() {
        let wrong = SHA256.replace('a', "b");
        let cases = [
            ("x-hub-signature-256", format!("sha256={SHA256}"), true),
            ("x-hub-signature", format!("sha256={SHA256}"), true),
            ("x-gitea-signature", SHA256.to_owned(), true),
            ("x-forgejo-signature", SHA256.to_uppercase(), true),
            ("x-gogs-signature", SHA256.to_owned(), true),
            ("x-squall-signature", SHA256.to_owned(), true),
            ("x-tfe-notification-signature", SHA512.to_owned(), true),
            ("x-gitlab-token", "secret".to_owned(), true),
            ("x-gitlab-token", "secret2".to_owned(), false),
            ("x-gitlab-token", String::new(), false),
            ("x-hub-signature-256", SHA256.to_owned(), false),
            ("x-hub-signature-256", format!("sha256={wrong}"), false),
            ("x-hub-signature", format!("sha1={SHA256}"), false),
            ("x-squall-signature", SHA512.to_owned(), false),
            ("x-squall-signature", SHA256[1..].to_owned(), false),
            ("x-squall-signature", "zz".to_owned(), false),
            ("x-squall-signature", String::new(), false),
            ("x-tfe-notification-signature", SHA256.to_owned(), false),
            ("x-other", SHA256.to_owned(), false),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(
                is_right(&headers, BODY, b"secret"),
                expected,
                "{name}: {value}"
            );
            assert!(!is_right(&headers, b"{}", b"other"), "{name}: {value}");
        }
    }
}
