//! Secrets at rest: values that a schema calls secret are stored only encrypted.
//!
//! A sealed value is a dictionary with one member, [`SEALED`], that holds the nonce and the
//! ciphertext of the value's JSON text in base64. The key lives outside the data directory.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use squall_env::Env;
use squall_schema::{MASKED, Mask};
use squall_store::audit::SEALED;
use squall_value::{Dict, Value, json};
use std::fmt;
use std::sync::Arc;

/// Seals and opens secret values.
pub struct Vault {
    cipher: Aes256Gcm,
    env: Arc<dyn Env>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// A vault with a key of 256 bits.
    #[must_use]
    pub fn new(key: &[u8; 32], env: Arc<dyn Env>) -> Vault {
        Vault {
            cipher: Aes256Gcm::new(key.into()),
            env,
        }
    }

    /// The parameters with everything sealed that the mask hides.
    pub(crate) fn seal(&self, parameters: &Dict, mask: &Mask) -> Value {
        if mask.is_open() {
            return Value::from(parameters.clone());
        }
        let sealed = parameters.iter().map(|(name, value)| {
            let member = mask.member(name);
            // A parameter that is secret anywhere inside is sealed as a whole: what is secret in
            // it may depend on its own content.
            let secret = !member.is_open() && !value.is_null();
            (
                name.clone(),
                if secret {
                    self.seal_value(value)
                } else {
                    value.clone()
                },
            )
        });
        Value::from(sealed.collect::<Dict>())
    }

    /// One value, sealed.
    #[must_use]
    pub fn seal_value(&self, value: &Value) -> Value {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.env.random().to_le_bytes());
        nonce[8..].copy_from_slice(&self.env.random().to_le_bytes()[..4]);
        let text = json::write(value);
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), text.as_bytes());
        // Encryption fails only beyond 64 GiB, which no parameter reaches.
        let sealed = sealed.unwrap_or_default();
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        squall_value::dict! { SEALED => STANDARD_NO_PAD.encode(bytes) }
    }

    /// Parameters as they were before [`Vault::seal`]. What was sealed with another key stays as it
    /// is, and whoever uses it fails with an error about its type.
    pub(crate) fn open(&self, parameters: &Value) -> Dict {
        let entries = parameters.as_dict().into_iter().flat_map(Dict::iter);
        entries
            .map(|(name, value)| (name.clone(), self.open_value(value)))
            .collect()
    }

    /// The value inside a sealed one; any other value as it is.
    #[must_use]
    pub fn open_value(&self, value: &Value) -> Value {
        let opened = sealed_text(value).and_then(|text| {
            let bytes = STANDARD_NO_PAD.decode(text).ok()?;
            let nonce: [u8; 12] = bytes.get(..12)?.try_into().ok()?;
            let text = self
                .cipher
                .decrypt(&Nonce::from(nonce), &bytes[12..])
                .ok()?;
            json::read_bytes(&text).ok()
        });
        opened.unwrap_or_else(|| value.clone())
    }
}

fn sealed_text(value: &Value) -> Option<&str> {
    let dict = value.as_dict().filter(|dict| dict.len() == 1)?;
    dict.get(SEALED)?.as_str()
}

/// Whether any of these parameters is sealed.
pub(crate) fn is_sealed_within(parameters: &Value) -> bool {
    let mut parameters = parameters.as_dict().into_iter().flat_map(Dict::iter);
    parameters.any(|(_, value)| sealed_text(value).is_some())
}

/// The value with every sealed one in it replaced by the mask that clients see.
#[must_use]
pub fn mask_sealed(value: &Value) -> Value {
    if sealed_text(value).is_some() {
        return Value::from(MASKED);
    }
    match value {
        Value::List(items) => items.iter().map(mask_sealed).collect(),
        Value::Dict(dict) => {
            let masked = dict
                .iter()
                .map(|(key, item)| (key.clone(), mask_sealed(item)));
            Value::from(masked.collect::<Dict>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use squall_env::FakeEnv;
    use squall_value::dict;

    use super::*;

    #[test]
    fn secrets_are_sealed_and_opened() {
        let vault = Vault::new(&[7; 32], Arc::new(FakeEnv::new(1)));
        let schema = dict! { "password" => dict! { "type" => "string", "secret" => true } };
        let mask = Mask::of_parameters(&squall_schema::Parameters::new(&schema));
        let given = dict! { "user" => "ann", "password" => "hunter2-hunter2" };
        let given = given.as_dict().unwrap();
        let sealed = vault.seal(given, &mask);
        assert!(!sealed.to_json().contains("hunter2"));
        assert_eq!(&vault.open(&sealed), given);
        assert_eq!(
            mask_sealed(&sealed).to_json(),
            r#"{"user":"ann","password":"********"}"#
        );
        let other = Vault::new(&[8; 32], Arc::new(FakeEnv::new(1)));
        assert!(
            !Value::from(other.open(&sealed))
                .to_json()
                .contains("hunter2")
        );
    }
}
