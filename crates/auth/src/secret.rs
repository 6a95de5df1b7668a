//! Secrets that are made here, and the hashes by which they are known.

use sha2::{Digest, Sha256, Sha512};
use squall_env::Env;

/// Letters and digits that nobody confuses.
const ALPHABET: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// StackStorm's salt of API keys, so that hashes can move over.
const API_KEY_SALT: &str = "saltnpepper";

/// A token of 256 bits, as hexadecimal digits.
pub fn fresh_token(env: &dyn Env) -> String {
    (0..4).map(|_| format!("{:016x}", env.random())).collect()
}

/// A password for a first sign-in: 20 characters, over 115 bits.
pub fn fresh_password(env: &dyn Env) -> String {
    (0..20)
        .map(|_| {
            let index = usize::try_from(env.random() % ALPHABET.len() as u64).unwrap_or(0);
            char::from(ALPHABET[index])
        })
        .collect()
}

/// The hash under which a token is stored. Tokens are random, so a quick hash is enough.
pub(crate) fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The hash under which an API key is stored: StackStorm's.
pub(crate) fn api_key_hash(key: &str) -> String {
    hex(&Sha512::digest(format!("{API_KEY_SALT}{key}").as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
