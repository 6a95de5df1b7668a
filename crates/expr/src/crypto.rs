//! The ciphertext of StackStorm's datastore: AES-CBC with PKCS#5 padding and an HMAC-SHA1 over it,
//! in Keyczar's layout, written as upper-case hexadecimal digits.
//!
//! Layout: five bytes of header, sixteen of initialization vector, the encrypted blocks, twenty of
//! signature over all before. The header is not looked at.

use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use squall_value::json;

const HEADER: &[u8; 5] = b"00000";
const BLOCK: usize = 16;
const SIGNATURE: usize = 20;

/// Why a key can't be used or a text not be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text of the key is not Keyczar's JSON.
    #[error("the encryption key is malformed: {0}")]
    MalformedKey(String),
    /// The text is not hexadecimal or too short.
    #[error("invalid or malformed ciphertext: {0}")]
    MalformedText(&'static str),
    /// The text was changed or was encrypted with another key.
    #[error("signature did not match digest: the text was encrypted with another key")]
    WrongKey,
    /// What was encrypted is not text.
    #[error("the decrypted value is not text")]
    NotText,
}

/// A key pair: one to encrypt, one to sign.
#[derive(Clone)]
pub struct Key {
    encryption: Vec<u8>,
    signing: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({} bits)", self.encryption.len() * 8)
    }
}

impl Key {
    /// Reads the JSON of a key file: `{"hmacKey": {"hmacKeyString", "size"}, "aesKeyString",
    /// "mode": "CBC", "size"}`.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedKey`] when a member is missing or the key has an unusable size.
    pub fn from_json(text: &str) -> Result<Key, Error> {
        let malformed = |what: &str| Error::MalformedKey(what.to_string());
        let content = json::read(text).map_err(|error| malformed(&error.to_string()))?;
        let member = |path: &[&str]| {
            let text = content.get_path(path).and_then(|value| value.as_str());
            text.ok_or_else(|| malformed(&format!("`{}` is missing", path.join("."))))
        };
        if !member(&["mode"])?.eq_ignore_ascii_case("CBC") {
            return Err(malformed("the only supported mode is CBC"));
        }
        let decode = |text: &str| {
            let unpadded = text.trim_end_matches('=');
            URL_SAFE_NO_PAD
                .decode(unpadded)
                .map_err(|_| malformed("a key is not base64"))
        };
        Key::new(
            decode(member(&["aesKeyString"])?)?,
            decode(member(&["hmacKey", "hmacKeyString"])?)?,
        )
    }

    /// A key from its bytes: 16, 24 or 32 to encrypt with, any number to sign with.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedKey`] for another size.
    pub fn new(encryption: Vec<u8>, signing: Vec<u8>) -> Result<Key, Error> {
        if !matches!(encryption.len(), 16 | 24 | 32) {
            return Err(Error::MalformedKey(format!(
                "an AES key has 16, 24 or 32 bytes, not {}",
                encryption.len()
            )));
        }
        Ok(Key {
            encryption,
            signing,
        })
    }

    /// The JSON of a key file, as StackStorm writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        squall_value::dict! {
            "hmacKey" => squall_value::dict! {
                "hmacKeyString" => encode(&self.signing),
                "size" => self.signing.len() * 8,
            },
            "aesKeyString" => encode(&self.encryption),
            "mode" => "CBC",
            "size" => self.encryption.len() * 8,
        }
        .to_json()
    }

    /// Encrypts a text with a fresh random initialization vector, which the caller brings.
    #[must_use]
    pub fn encrypt(&self, text: &str, vector: [u8; BLOCK]) -> String {
        let blocks = match self.encryption.len() {
            16 => cbc::Encryptor::<aes::Aes128>::new_from_slices(&self.encryption, &vector)
                .map(|cipher| cipher.encrypt_padded_vec::<Pkcs7>(text.as_bytes())),
            24 => cbc::Encryptor::<aes::Aes192>::new_from_slices(&self.encryption, &vector)
                .map(|cipher| cipher.encrypt_padded_vec::<Pkcs7>(text.as_bytes())),
            _ => cbc::Encryptor::<aes::Aes256>::new_from_slices(&self.encryption, &vector)
                .map(|cipher| cipher.encrypt_padded_vec::<Pkcs7>(text.as_bytes())),
        }
        .expect("the constructor checked the key's length");
        let mut message = HEADER.to_vec();
        message.extend_from_slice(&vector);
        message.extend_from_slice(&blocks);
        let signature = self.signature(&message).finalize().into_bytes();
        message.extend_from_slice(&signature);
        message.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// Decrypts what [`Key::encrypt`] or StackStorm wrote.
    ///
    /// # Errors
    ///
    /// [`Error`] when the text is malformed or was not encrypted with this key.
    pub fn decrypt(&self, ciphertext: &str) -> Result<String, Error> {
        let message = from_hex(ciphertext.trim())?;
        if message.len() < HEADER.len() + BLOCK + SIGNATURE {
            return Err(Error::MalformedText("it is too short"));
        }
        let (signed, signature) = message.split_at(message.len() - SIGNATURE);
        self.signature(signed)
            .verify_slice(signature)
            .map_err(|_| Error::WrongKey)?;
        let (vector, blocks) = signed[HEADER.len()..].split_at(BLOCK);
        let text = match self.encryption.len() {
            16 => cbc::Decryptor::<aes::Aes128>::new_from_slices(&self.encryption, vector)
                .map(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(blocks)),
            24 => cbc::Decryptor::<aes::Aes192>::new_from_slices(&self.encryption, vector)
                .map(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(blocks)),
            _ => cbc::Decryptor::<aes::Aes256>::new_from_slices(&self.encryption, vector)
                .map(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(blocks)),
        }
        .expect("the constructor checked the key's length")
        .map_err(|_| Error::MalformedText("its padding is wrong"))?;
        String::from_utf8(text).map_err(|_| Error::NotText)
    }

    fn signature(&self, message: &[u8]) -> Hmac<sha1::Sha1> {
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&self.signing)
            .expect("an HMAC takes a key of any length");
        mac.update(message);
        mac
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>, Error> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or(Error::MalformedText("it is not hexadecimal"))?;
    if !digits.len().is_multiple_of(2) {
        return Err(Error::MalformedText("it has an odd number of digits"));
    }
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}
