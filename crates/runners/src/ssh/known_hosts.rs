//! The keys of hosts, by lists in OpenSSH's format (see sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};
use sha1::Sha1;

use super::settings::{HostKeys, SshSettings};

/// A longer list is not read: it would be read for each new connection.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Why the key of a host is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "the key of the host ({given}) is not the one that {place} has for it. Either somebody is \
         posing as the host, or it was set up anew; in that case remove the line"
    )]
    Changed { given: String, place: String },
    #[error("the key of the host ({given}) is revoked in {place}")]
    Revoked { given: String, place: String },
    #[error(
        "the key of the host ({given}) is in no list of known hosts. To trust it, add it to {list}"
    )]
    Unknown { given: String, list: String },
    #[error("the key of the host can't be remembered in {list}: {error}")]
    NotLearned { list: String, error: io::Error },
}

/// What the lists say of a key.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Known,
    Unknown,
    /// Another key of the same kind is known, at this place.
    Changed(String),
    Revoked(String),
}

/// The lists of known hosts, and what to do about those that are not in them.
pub(crate) struct KnownHosts {
    policy: HostKeys,
    lists: Vec<PathBuf>,
    learned: PathBuf,
    /// Held while a host is learned.
    learning: Mutex<()>,
}

impl KnownHosts {
    pub(crate) fn new(settings: &SshSettings) -> KnownHosts {
        let mut lists = settings.known_hosts.clone();
        lists.push(settings.learned_hosts.clone());
        KnownHosts {
            policy: settings.host_keys,
            lists,
            learned: settings.learned_hosts.clone(),
            learning: Mutex::new(()),
        }
    }

    /// The kinds of keys that are known of a host: a host should be asked for one of these first,
    /// or a known host would look like an unknown one.
    pub(crate) fn algorithms(&self, name: &str, port: u16) -> Vec<Algorithm> {
        if self.policy == HostKeys::Ignore {
            return Vec::new();
        }
        let name = list_name(name, port);
        let mut algorithms = Vec::new();
        for (_, text) in self.texts() {
            for entry in text.lines().filter_map(Entry::parse) {
                if entry.marker.is_none() && entry.names(&name) {
                    algorithms.extend(entry.key().map(|key| key.algorithm()));
                }
            }
        }
        algorithms
    }

    /// Whether `key` may be the key of the host; remembers it where that is the rule.
    ///
    /// # Errors
    ///
    /// It may not be, or could not be remembered.
    pub(crate) fn check(&self, name: &str, port: u16, key: &PublicKey) -> Result<(), Error> {
        if self.policy == HostKeys::Ignore {
            return Ok(());
        }
        let name = list_name(name, port);
        // Two connections at once to a new host must not learn two keys.
        let _learning = self.learning.lock();
        let given = || {
            let print = key.fingerprint(russh::keys::HashAlg::Sha256);
            format!("{} {print}", key.algorithm())
        };
        match self.find(&name, key) {
            Finding::Known => Ok(()),
            Finding::Changed(place) => Err(Error::Changed {
                given: given(),
                place,
            }),
            Finding::Revoked(place) => Err(Error::Revoked {
                given: given(),
                place,
            }),
            Finding::Unknown if self.policy == HostKeys::AcceptNew => self.learn(&name, key),
            Finding::Unknown => Err(Error::Unknown {
                given: given(),
                list: self.learned.display().to_string(),
            }),
        }
    }

    fn find(&self, name: &str, key: &PublicKey) -> Finding {
        let mut finding = Finding::Unknown;
        for (list, text) in self.texts() {
            for (number, entry) in text.lines().map(Entry::parse).enumerate() {
                let Some(entry) = entry.filter(|entry| entry.names(name)) else {
                    continue;
                };
                let Some(known) = entry.key() else {
                    continue;
                };
                let same = known.key_data() == key.key_data();
                let place = || format!("line {} of {}", number + 1, list.display());
                match entry.marker {
                    Some("@revoked") if same => return Finding::Revoked(place()),
                    None if same => finding = Finding::Known,
                    None if known.algorithm() == key.algorithm() && finding == Finding::Unknown => {
                        finding = Finding::Changed(place());
                    }
                    _ => {}
                }
            }
        }
        finding
    }

    fn learn(&self, name: &str, key: &PublicKey) -> Result<(), Error> {
        let add = || {
            let key = key.to_openssh().map_err(io::Error::other)?;
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.learned)?;
            // The comment that a key may carry has no meaning here.
            let mut parts = key.split(' ');
            let (kind, data) = (parts.next(), parts.next());
            let (kind, data) = (kind.unwrap_or_default(), data.unwrap_or_default());
            file.write_all(format!("{name} {kind} {data}\n").as_bytes())
        };
        add().map_err(|error| Error::NotLearned {
            list: self.learned.display().to_string(),
            error,
        })
    }

    fn texts(&self) -> impl Iterator<Item = (&PathBuf, String)> {
        self.lists.iter().filter_map(|list| {
            let length = std::fs::metadata(list).ok()?.len();
            let bytes = (length <= LIST_BYTES_MAX).then(|| std::fs::read(list));
            Some((list, String::from_utf8_lossy(&bytes?.ok()?).into_owned()))
        })
    }
}

/// How a host is called in a list.
fn list_name(name: &str, port: u16) -> String {
    let name = name.to_ascii_lowercase();
    match port {
        22 => name,
        port => format!("[{name}]:{port}"),
    }
}

struct Entry<'a> {
    marker: Option<&'a str>,
    patterns: &'a str,
    data: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Entry<'a>> {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next().filter(|first| !first.starts_with('#'))?;
        let (marker, patterns) = match first.strip_prefix('@') {
            Some(_) => (Some(first), fields.next()?),
            None => (None, first),
        };
        let _kind = fields.next()?;
        let data = fields.next()?;
        Some(Entry {
            marker,
            patterns,
            data,
        })
    }

    fn key(&self) -> Option<PublicKey> {
        parse_public_key_base64(self.data).ok()
    }

    fn names(&self, name: &str) -> bool {
        let mut found = false;
        for pattern in self.patterns.split(',') {
            if let Some(pattern) = pattern.strip_prefix('!') {
                if matches(pattern.as_bytes(), name.as_bytes()) {
                    return false;
                }
            } else if let Some(hashed) = pattern.strip_prefix("|1|") {
                found |= is_hash_of(hashed, name);
            } else {
                found |= matches(pattern.as_bytes(), name.as_bytes());
            }
        }
        found
    }
}

/// Whether `name` matches `pattern`, in which `*` and `?` are wild.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    // Where to go on when the last star has to take one character more.
    let mut retry: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, in_name));
                at += 1;
            }
            Some(c) if *c == b'?' || c.eq_ignore_ascii_case(&name[in_name]) => {
                at += 1;
                in_name += 1;
            }
            _ => match retry {
                Some((after, taken)) => {
                    retry = Some((after, taken + 1));
                    (at, in_name) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == b'*')
}

fn is_hash_of(hashed: &str, name: &str) -> bool {
    let decoded = hashed.split_once('|').and_then(|(salt, hash)| {
        let decode = |text: &str| STANDARD.decode(text).ok();
        Some((decode(salt)?, decode(hash)?))
    });
    let Some((salt, hash)) = decoded else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else {
        return false;
    };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{HostKeys, KnownHosts, SshSettings, matches};
    use russh::keys::PublicKey;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
    /// The name `example.com`, as `ssh-keygen -H` hides it.
    const HASHED: &str = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).expect("a key")
    }

    /// Checks key ONE for `name:port` against `list`, with `1` and `2` for the keys.
    #[track_caller]
    fn check(policy: HostKeys, list: &str, (name, port): (&str, u16), expected: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("known");
        let text = list.replace("$1", ONE).replace("$2", TWO);
        std::fs::write(&file, text).expect("a file");
        let mut settings = SshSettings::new(dir.path().join("learned"));
        settings.known_hosts = vec![file, dir.path().join("absent")];
        settings.host_keys = policy;
        let known = KnownHosts::new(&settings);
        let shown = match known.check(name, port, &key(ONE)) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(expected), "{list:?} for {name}: {shown}");
    }

    #[test]
    fn what_lists_say() {
        use HostKeys::{AcceptNew, Ignore, Strict};
        let h = ("h", 22);
        for (policy, list, host, expected) in [
            (Strict, "h $1", h, "ok"),
            (
                Strict,
                "  # a comment\n\nother $2\nH\t$1 a comment",
                h,
                "ok",
            ),
            (Strict, "h $2", h, "is not the one that line 1 of"),
            (AcceptNew, "h $2", h, "is not the one"),
            (Ignore, "h $2", h, "ok"),
            (Strict, "h $2\nh $1", h, "ok"),
            (Strict, "h $1\n@revoked * $1", h, "is revoked in line 2"),
            (Strict, "@cert-authority h $1", h, "is in no list"),
            (Strict, "x $1", h, "is in no list"),
            (AcceptNew, "x $1", h, "ok"),
            (Strict, "h $1", ("h", 2222), "is in no list"),
            (Strict, "[h]:2222 $1", ("h", 2222), "ok"),
            (Strict, "a,h,b $1", h, "ok"),
            (
                Strict,
                "*.example.com,!bad.example.com $1",
                ("a.example.com", 22),
                "ok",
            ),
            (
                Strict,
                "*.example.com,!bad.example.com $1",
                ("bad.example.com", 22),
                "is in no list",
            ),
            (Strict, "h ssh-ed25519 broken\nh", h, "is in no list"),
        ] {
            check(policy, list, host, expected);
        }
        let hashed = format!("{HASHED} $1");
        check(Strict, &hashed, ("example.com", 22), "ok");
    }

    #[test]
    fn a_hidden_name_is_found() {
        use base64::Engine as _;
        use hmac::{Hmac, KeyInit, Mac};
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let salt = [7_u8; 20];
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&salt).expect("any key will do");
        mac.update(b"[h]:99");
        let hash = encode(&mac.finalize().into_bytes());
        let list = format!("|1|{}|{hash} $1", encode(&salt));
        check(HostKeys::Strict, &list, ("H", 99), "ok");
        check(HostKeys::Strict, &list, ("h", 98), "is in no list");
    }

    #[test]
    fn a_learned_key_is_the_only_one_from_then_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut settings = SshSettings::new(dir.path().join("learned"));
        settings.known_hosts = Vec::new();
        let known = KnownHosts::new(&settings);
        known.check("h", 22, &key(ONE)).expect("a new host");
        known.check("h", 22, &key(ONE)).expect("the same key");
        let refused = known.check("h", 22, &key(TWO)).expect_err("another key");
        assert!(refused.to_string().contains("somebody is posing"));
        let text = std::fs::read_to_string(&settings.learned_hosts).expect("a list");
        assert_eq!(text, format!("h {ONE}\n"));
        assert_eq!(known.algorithms("h", 22).len(), 1);
        assert!(known.algorithms("h", 23).is_empty());
    }

    #[test]
    fn wild_patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c?", "abbbcd", true),
            ("a*c", "abcb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("?", "", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern}"
            );
        }
        let (pattern, name) = ("*a".repeat(40), "a".repeat(4000));
        assert!(!matches(format!("{pattern}b").as_bytes(), name.as_bytes()));
    }
}
