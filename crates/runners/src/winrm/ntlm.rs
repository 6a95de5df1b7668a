//! The messages of NTLM version 2 (MS-NLMP), as far as a client needs them to sign in.
//!
//! Nothing is signed or sealed: that is for the TLS below.

use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// That of Windows 7: what servers know.
const VERSION: [u8; 8] = [6, 1, 0xb1, 0x1d, 0, 0, 0, 15];
/// Texts are UTF-16, the target is asked for, NTLM, always sign, extended session security, target
/// information, version, keys of 128 and 56 bits.
const FLAGS: u32 = 0xa288_8205;
/// Where what has no fixed size begins in the last message.
const PAYLOAD: usize = 88;

// The kinds of pairs in the information about the target.
const END: u16 = 0;
const PAIR_FLAGS: u16 = 6;
const TIMESTAMP: u16 = 7;
const CHANNEL_BINDINGS: u16 = 10;
/// The message is protected by a code.
const HAS_CODE: u32 = 2;

/// Who signs in.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) domain: String,
    pub(super) password: String,
}

impl Login {
    /// A name may have its domain before a backslash; `user@domain` is one name.
    pub(super) fn new(name: &str, password: String) -> Login {
        let (domain, user) = name.split_once('\\').unwrap_or(("", name));
        Login {
            user: user.to_owned(),
            domain: domain.to_owned(),
            password,
        }
    }
}

/// What the server wants to see sealed by the password.
#[derive(Debug)]
pub(super) struct Challenge {
    raw: Vec<u8>,
    server: [u8; 8],
    flags: u32,
    pairs: Vec<(u16, Vec<u8>)>,
}

/// What must differ with every signing in.
pub(super) struct Chance {
    pub(super) client: [u8; 8],
    /// Now, in tenths of microseconds since 1601.
    pub(super) time: u64,
}

/// What says that somebody wants to sign in.
pub(super) fn negotiate() -> Vec<u8> {
    let mut message = SIGNATURE.to_vec();
    message.extend(1_u32.to_le_bytes());
    message.extend(FLAGS.to_le_bytes());
    message.extend([0; 16]);
    message.extend(VERSION);
    message
}

impl Challenge {
    /// Reads a challenge; `None` when it is none.
    pub(super) fn read(raw: Vec<u8>) -> Option<Challenge> {
        let number = |at: usize| -> Option<u32> {
            let bytes = raw.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        if raw.get(..8)? != SIGNATURE || number(8)? != 2 {
            return None;
        }
        let flags = number(20)?;
        let server = raw.get(24..32)?.try_into().ok()?;
        let length = usize::from(u16::from_le_bytes(raw.get(40..42)?.try_into().ok()?));
        let start = usize::try_from(number(44)?).ok()?;
        let information = raw.get(start..start.checked_add(length)?)?;
        let pairs = read_pairs(information)?;
        Some(Challenge {
            server,
            flags,
            pairs,
            raw,
        })
    }

    fn pair(&self, kind: u16) -> Option<&[u8]> {
        let mut pairs = self.pairs.iter();
        pairs
            .find(|(known, _)| *known == kind)
            .map(|(_, value)| &**value)
    }

    /// The information about the target, with what the client adds to it.
    fn information(&self, has_code: bool, binding: Option<[u8; 16]>) -> Vec<u8> {
        let mut pairs = self.pairs.clone();
        let mut set = |kind: u16, value: Vec<u8>| {
            pairs.retain(|(known, _)| *known != kind);
            pairs.push((kind, value));
        };
        if has_code {
            let known = self
                .pair(PAIR_FLAGS)
                .and_then(|bytes| bytes.try_into().ok());
            let flags = known.map_or(0, u32::from_le_bytes) | HAS_CODE;
            set(PAIR_FLAGS, flags.to_le_bytes().to_vec());
        }
        if let Some(binding) = binding {
            set(CHANNEL_BINDINGS, binding.to_vec());
        }
        let mut information = Vec::new();
        for (kind, value) in pairs {
            information.extend(kind.to_le_bytes());
            information.extend(length(&value).to_le_bytes());
            information.extend(value);
        }
        information.extend([0; 4]);
        information
    }

    /// The answer to the challenge. `binding` is the hash of the TLS channel, if there is one.
    pub(super) fn answer(
        &self,
        login: &Login,
        binding: Option<[u8; 16]>,
        chance: &Chance,
    ) -> Vec<u8> {
        let timestamp = self.pair(TIMESTAMP).and_then(|bytes| bytes.try_into().ok());
        let time = timestamp.map_or(chance.time, u64::from_le_bytes);
        let information = self.information(timestamp.is_some(), binding);
        let key = owf(login);
        let (proof, temporary) = prove(&key, &self.server, &chance.client, time, &information);
        let lan_manager = if timestamp.is_some() {
            vec![0; 24]
        } else {
            let challenges = [&self.server[..], &chance.client].concat();
            [&code(&key, &[&challenges])[..], &chance.client].concat()
        };
        let response = [&proof[..], &temporary].concat();
        let texts = [wide(&login.domain), wide(&login.user)];
        let fields = [
            &lan_manager,
            &response,
            &texts[0],
            &texts[1],
            &Vec::new(),
            &Vec::new(),
        ];
        let mut message = SIGNATURE.to_vec();
        message.extend(3_u32.to_le_bytes());
        let mut at = PAYLOAD;
        for field in fields {
            for _ in 0..2 {
                message.extend(length(field).to_le_bytes());
            }
            message.extend(u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
            at += field.len();
        }
        message.extend((self.flags & FLAGS).to_le_bytes());
        message.extend(VERSION);
        let code_at = message.len();
        message.extend([0; 16]);
        for field in fields {
            message.extend(field);
        }
        if timestamp.is_some() {
            let session_key = code(&key, &[&proof]);
            let sum = code(&session_key, &[&negotiate(), &self.raw, &message]);
            message[code_at..code_at + 16].copy_from_slice(&sum);
        }
        message
    }
}

fn read_pairs(mut rest: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let kind = u16::from_le_bytes(rest.get(..2)?.try_into().ok()?);
        let size = usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?));
        if kind == END {
            break;
        }
        pairs.push((kind, rest.get(4..4 + size)?.to_vec()));
        rest = rest.get(4 + size..)?;
    }
    Some(pairs)
}

fn length(field: &[u8]) -> u16 {
    u16::try_from(field.len()).unwrap_or(u16::MAX)
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn code(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The key that the password is: `NTOWFv2`.
fn owf(login: &Login) -> [u8; 16] {
    let password = Md4::digest(wide(&login.password));
    let name = wide(&(login.user.to_uppercase() + &login.domain));
    code(&password, &[&name])
}

/// The proof that the password is known, and what it was made over.
fn prove(
    key: &[u8],
    server: &[u8; 8],
    client: &[u8; 8],
    time: u64,
    information: &[u8],
) -> ([u8; 16], Vec<u8>) {
    let mut temporary = vec![1, 1, 0, 0, 0, 0, 0, 0];
    temporary.extend(time.to_le_bytes());
    temporary.extend(client);
    temporary.extend([0; 4]);
    temporary.extend(information);
    temporary.extend([0; 4]);
    (code(key, &[server, &temporary]), temporary)
}

/// The hash that stands for a TLS channel to a server with this certificate (RFC 5929,
/// `tls-server-end-point`, within the bindings of RFC 2744). `None` where the certificate's own
/// hash is not known here: a wrong one would be refused, none is not.
pub(super) fn channel_binding(certificate: &[u8]) -> Option<[u8; 16]> {
    let hash = match signature_hash(certificate)? {
        Hash::Sha256 => sha2::Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => sha2::Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => sha2::Sha512::digest(certificate).to_vec(),
    };
    let data = [&b"tls-server-end-point:"[..], &hash].concat();
    let mut bindings = vec![0; 16];
    bindings.extend(u32::try_from(data.len()).ok()?.to_le_bytes());
    bindings.extend(data);
    Some(Md5::digest(&bindings).into())
}

#[derive(Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// The hash that a certificate is signed with; for the weak ones RFC 5929 says SHA-256.
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
    let (whole, _) = element(certificate)?;
    let (_, rest) = element(whole)?;
    let (algorithm, _) = element(rest)?;
    let (name, _) = element(algorithm)?;
    let (last, family) = name.split_last()?;
    match (family, last) {
        (RSA, 4 | 5 | 11) | (ECDSA, 2) => Some(Hash::Sha256),
        (RSA, 12) | (ECDSA, 3) => Some(Hash::Sha384),
        (RSA, 13) | (ECDSA, 4) => Some(Hash::Sha512),
        _ => None,
    }
}

/// The content of the first element of DER, and what follows it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = *bytes.get(1)?;
    let (size, start) = if first < 0x80 {
        (usize::from(first), 2)
    } else {
        let count = usize::from(first & 0x7f);
        let digits = bytes.get(2..2 + count).filter(|_| count <= 4)?;
        let size = digits
            .iter()
            .fold(0, |size, digit| size << 8 | usize::from(*digit));
        (size, 2 + count)
    };
    let end = start.checked_add(size)?;
    Some((bytes.get(start..end)?, bytes.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const SERVER: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

    fn login() -> Login {
        Login::new("Domain\\User", "Password".to_owned())
    }

    /// The information about the target of MS-NLMP, section 4.2.4: a domain and a server.
    fn information() -> Vec<u8> {
        let mut information = Vec::new();
        for (kind, name) in [(2_u16, "Domain"), (1, "Server")] {
            information.extend(kind.to_le_bytes());
            information.extend(length(&wide(name)).to_le_bytes());
            information.extend(wide(name));
        }
        information.extend([0; 4]);
        information
    }

    fn challenge(information: &[u8]) -> Vec<u8> {
        let mut raw = SIGNATURE.to_vec();
        raw.extend(2_u32.to_le_bytes());
        raw.extend([0; 8]);
        raw.extend(FLAGS.to_le_bytes());
        raw.extend(SERVER);
        raw.extend([0; 8]);
        for _ in 0..2 {
            raw.extend(length(information).to_le_bytes());
        }
        raw.extend(56_u32.to_le_bytes());
        raw.extend(VERSION);
        raw.extend(information);
        raw
    }

    /// The values are those of MS-NLMP, section 4.2.4.
    #[test]
    fn proofs_are_those_of_the_specification() {
        let key = owf(&login());
        assert_eq!(hex(&key), "0c868a403bfd7a93a3001ef22ef02e3f");
        let client = [0xaa; 8];
        let (proof, _) = prove(&key, &SERVER, &client, 0, &information());
        assert_eq!(hex(&proof), "68cd0ab851e51c96aabc927bebef6a1c");
        let session = code(&key, &[&proof]);
        assert_eq!(hex(&session), "8de40ccadbc14a82f15cb0ad0de95ca3");
        let read = Challenge::read(challenge(&information())).unwrap();
        let answer = read.answer(&login(), None, &Chance { client, time: 0 });
        let lan_manager = hex(&answer[PAYLOAD..PAYLOAD + 16]);
        assert_eq!(lan_manager, "86c35097ac9cec102554764a57cccc19");
        assert_eq!(answer[PAYLOAD + 24..PAYLOAD + 40], proof);
    }

    #[test]
    fn with_a_timestamp_the_messages_are_protected() {
        let mut pairs = information();
        pairs.truncate(pairs.len() - 4);
        pairs.extend([7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0]);
        let read = Challenge::read(challenge(&pairs)).unwrap();
        let chance = || Chance {
            client: [1; 8],
            time: 9,
        };
        let answer = read.answer(&login(), Some([5; 16]), &chance());
        assert_eq!(answer[PAYLOAD..PAYLOAD + 24], [0; 24]);
        assert_ne!(answer[72..88], [0; 16]);
        // The client's own time is not asked for.
        let other = Chance {
            time: 10,
            ..chance()
        };
        assert_eq!(answer, read.answer(&login(), Some([5; 16]), &other));
        assert_ne!(answer, read.answer(&login(), None, &chance()));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        let good = challenge(&information());
        assert!(Challenge::read(good.clone()).is_some());
        for end in 0..good.len() {
            assert!(Challenge::read(good[..end].to_vec()).is_none(), "{end}");
        }
        let mut far = good;
        far[44] = 0xff;
        assert!(Challenge::read(far).is_none());
    }

    #[test]
    fn names_have_domains() {
        for (name, domain, user) in [
            ("ann", "", "ann"),
            ("SHOP\\ann", "SHOP", "ann"),
            ("ann@shop.test", "", "ann@shop.test"),
        ] {
            let login = Login::new(name, String::new());
            assert_eq!((&*login.domain, &*login.user), (domain, user));
        }
    }

    #[test]
    fn certificates_tell_their_hash() {
        // SEQUENCE { SEQUENCE {}, SEQUENCE { OID ecdsa-with-SHA384 } }
        let certificate = [
            0x30, 13, 0x30, 0, 0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3,
        ];
        assert_eq!(signature_hash(&certificate), None);
        let mut certificate = certificate.to_vec();
        (certificate[1], certificate[5], certificate[7]) = (14, 10, 8);
        certificate.push(3);
        assert_eq!(signature_hash(&certificate), Some(Hash::Sha384));
        assert_eq!(signature_hash(b"\x30\xff"), None);
        assert_eq!(channel_binding(b""), None);
    }
}
