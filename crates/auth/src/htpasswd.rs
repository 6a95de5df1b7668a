//! A password file as Apache's `htpasswd` writes it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fmt, fs, io};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use crate::backend::{Backend, Unavailable, Verdict};
use crate::md5_crypt;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Users and hashes of a file, read anew whenever the file has changed.
pub struct Htpasswd {
    path: PathBuf,
    read: Mutex<(Stamp, Arc<Entries>)>,
}

/// Only the file: hashes have no place in logs.
impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Htpasswd").field(&self.path).finish()
    }
}

/// When the file was changed, and how long it is.
type Stamp = (Option<SystemTime>, u64);

impl Htpasswd {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It can't be read, or is larger than 16 MiB.
    pub fn open(path: &Path) -> Result<Htpasswd, io::Error> {
        Ok(Htpasswd {
            path: path.to_owned(),
            read: Mutex::new(read(path)?),
        })
    }

    /// What the file says now.
    fn entries(&self) -> io::Result<Arc<Entries>> {
        let mut known = self.read.lock();
        if known.0 != stamp(&self.path)? {
            *known = read(&self.path)?;
        }
        Ok(Arc::clone(&known.1))
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let file = fs::metadata(path)?;
    Ok((file.modified().ok(), file.len()))
}

fn read(path: &Path) -> io::Result<(Stamp, Arc<Entries>)> {
    let stamp = stamp(path)?;
    if stamp.1 > FILE_BYTES_MAX {
        let text = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    let text = fs::read(path)?;
    let entries = Entries::parse(&String::from_utf8_lossy(&text));
    for (line, reason) in &entries.unusable {
        tracing::warn!(file = %path.display(), line, "{reason}");
    }
    Ok((stamp, Arc::new(entries)))
}

#[async_trait]
impl Backend for Htpasswd {
    async fn check(&self, user: &str, password: &str) -> Result<Verdict, Unavailable> {
        let unavailable = |source: io::Error| Unavailable {
            place: format!("the password file {}", self.path.display()),
            source: Box::new(source),
        };
        let entries = self.entries().map_err(unavailable)?;
        let (user, password) = (user.to_owned(), password.to_owned());
        // A hash is made to take its time.
        let checked = tokio::task::spawn_blocking(move || entries.check(&user, &password)).await;
        checked.map_err(|error| unavailable(io::Error::other(error)))
    }
}

/// The lines of a file.
#[derive(Default)]
struct Entries {
    hashes: HashMap<String, String>,
    /// A hash of the file, which an unknown name's password is compared with: that takes the time
    /// that a known name's takes.
    decoy: Option<String>,
    /// Lines that sign nobody in, by number, and why.
    unusable: Vec<(usize, &'static str)>,
}

impl Entries {
    /// Reads `name:hash` by line; comments begin with `#`. The last line of a name counts. What
    /// stands behind a second colon is left out, as Apache does.
    fn parse(text: &str) -> Entries {
        let mut entries = Entries::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, rest)) = line.split_once(':') else {
                let reason = "the line is skipped: name:hash is expected";
                entries.unusable.push((index + 1, reason));
                continue;
            };
            let hash = rest.split(':').next().unwrap_or_default();
            if Format::of(hash).is_none() {
                let reason = "the password is in clear or in an unknown format and signs nobody \
                              in: make it anew with `htpasswd -B`";
                entries.unusable.push((index + 1, reason));
            }
            entries.hashes.insert(name.to_owned(), hash.to_owned());
        }
        let mut hashes: Vec<_> = entries.hashes.values().collect();
        hashes.retain(|hash| Format::of(hash).is_some());
        // The slowest format: no name that is known takes longer.
        hashes.sort_by_key(|hash| Format::of(hash));
        entries.decoy = hashes.last().map(|hash| (*hash).clone());
        entries
    }

    fn check(&self, user: &str, password: &str) -> Verdict {
        match self.hashes.get(user) {
            Some(hash) if verify(password, hash) => Verdict::Right,
            Some(_) => Verdict::Wrong,
            None => {
                if let Some(decoy) = &self.decoy {
                    verify(password, decoy);
                }
                Verdict::Unknown
            }
        }
    }
}

/// What made a hash, the quickest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    /// `{SHA}` and SHA-1 in base64.
    Sha1,
    /// Traditional DES of `crypt(3)`, of which eight characters count, or BSDI's.
    Des,
    /// `$apr1$`, Apache's, or `$1$`: MD5 in a thousand rounds.
    Md5(&'static str),
    /// `$5$` or `$6$`: SHA-256 or SHA-512 in many rounds.
    Sha2,
    /// `$2y$` and its kind.
    Bcrypt,
}

impl Format {
    fn of(hash: &str) -> Option<Format> {
        let is_crypt = |text: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
            text.chars().all(fits)
        };
        let starts = |any: &[&str]| any.iter().any(|magic| hash.starts_with(magic));
        match hash {
            _ if starts(&["{SHA}"]) => Some(Format::Sha1),
            _ if starts(&[md5_crypt::APACHE]) => Some(Format::Md5(md5_crypt::APACHE)),
            _ if starts(&[md5_crypt::UNIX]) => Some(Format::Md5(md5_crypt::UNIX)),
            _ if starts(&["$5$", "$6$"]) => Some(Format::Sha2),
            _ if starts(&["$2y$", "$2a$", "$2b$", "$2x$"]) => Some(Format::Bcrypt),
            _ if hash.len() == 13 && is_crypt(hash) => Some(Format::Des),
            _ if hash.len() == 20 && hash.starts_with('_') && is_crypt(&hash[1..]) => {
                Some(Format::Des)
            }
            _ => None,
        }
    }
}

/// Whether a password has this hash. Plain text is no hash.
fn verify(password: &str, hash: &str) -> bool {
    let same = |made: &str| bool::from(made.as_bytes().ct_eq(hash.as_bytes()));
    match Format::of(hash) {
        Some(Format::Sha1) => {
            let digest = STANDARD.encode(Sha1::digest(password.as_bytes()));
            same(&format!("{{SHA}}{digest}"))
        }
        Some(Format::Md5(magic)) => {
            let salt = hash[magic.len()..].split('$').next().unwrap_or_default();
            same(&md5_crypt::hash(password.as_bytes(), magic, salt))
        }
        Some(Format::Bcrypt) => bcrypt::verify(password, hash).unwrap_or(false),
        // It takes a NUL for the end of the password.
        Some(Format::Des | Format::Sha2) => {
            !password.contains('\0') && pwhash::unix::verify(password, hash)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `htpasswd`, `openssl passwd` and `crypt(3)` of glibc.
    const FILE: &str = "\
# people
sha:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=
apache:$apr1$xxxxxxxx$RKMOWWMKN4Ts9r6E5noqv0
md5:$1$xxxxxxxx$W0tb3y3PlvSzG5627dWWh/:more
sha256:$5$abc$13Q5vwI3yKUM4fIJEzEH5F2/I3D7KeRbqJGG3fgWad8
rounds:$5$rounds=5000$salt$gTxgepbbEjIm/rFSbWTlJIqJIA2vkUYK3hBZ93Sg9LA
  sha512:$6$abc$jYNsVF2gDqe1vL/nHktdpKSHyGsWUHx1bKLkw72n5xlgTbq63msph9/7SG2Ta0d63VTVBjHdYl8HHGrHYCBEU0  
des:aboDgbkTt9i3.
bsdi:_K1..abcd8J3TwgaQOKg

bcrypt:BCRYPT
plain:myPassword
empty:
nonsense
";

    fn file() -> String {
        FILE.replace("BCRYPT", &bcrypt::hash("myPassword", 4).unwrap())
    }

    #[test]
    fn every_format_is_understood() {
        let entries = Entries::parse(&file());
        let names = "sha apache md5 sha256 rounds sha512 des bsdi bcrypt";
        for name in names.split(' ') {
            assert_eq!(entries.check(name, "myPassword"), Verdict::Right, "{name}");
            for wrong in ["mypassword", "", "myPassword2\0", "x"] {
                assert_eq!(entries.check(name, wrong), Verdict::Wrong, "{name}");
            }
        }
        for name in ["plain", "empty"] {
            assert_eq!(entries.check(name, "myPassword"), Verdict::Wrong, "{name}");
            assert_eq!(entries.check(name, ""), Verdict::Wrong, "{name}");
        }
        assert_eq!(entries.check("nobody", "myPassword"), Verdict::Unknown);
        let lines: Vec<_> = entries.unusable.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [12, 13, 14]);
        assert!(entries.decoy.unwrap().starts_with("$2"));
    }

    #[test]
    fn hashes_that_are_cut_or_malformed_match_nothing() {
        let file = file();
        for line in file.lines().filter(|line| line.contains(':')) {
            let hash = line.split(':').nth(1).unwrap().trim();
            for length in [1, 3, 6, hash.len() / 2, hash.len().saturating_sub(1)] {
                for password in ["", "myPassword"] {
                    let cut = &hash[..length.min(hash.len().saturating_sub(1))];
                    assert!(!verify(password, cut), "{cut}");
                }
            }
        }
        for hash in ["$5$rounds=x$a$b", "$6$", "$1$", "$2y$99$"] {
            assert!(!verify("myPassword", hash), "{hash}");
        }
    }

    #[tokio::test]
    async fn a_file_that_changes_is_read_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        assert!(Htpasswd::open(&path).is_err());
        fs::write(&path, "ann:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=\n").unwrap();
        let backend = Htpasswd::open(&path).unwrap();
        let check = async || backend.check("ann", "myPassword").await;
        assert_eq!(check().await.unwrap(), Verdict::Right);
        fs::write(&path, "bob:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=\n\n").unwrap();
        assert_eq!(check().await.unwrap(), Verdict::Unknown);
        fs::remove_file(&path).unwrap();
        let refused = check().await.unwrap_err().to_string();
        assert!(refused.contains("htpasswd cannot be asked"), "{refused}");
    }
}
