//! The keys that seal secrets and sign tokens. They live outside the data directory, so that a copy
//! of the data tells no secret.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use squall_engine::KeyKeeper;
use squall_env::Env;
use squall_expr::crypto::Key;

/// The key file of a data directory: `<data>.key` beside it, unless another is named.
pub(crate) fn path_for(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Two keys of 256 bits, for sealing and for signing.
pub(crate) struct Keys {
    pub(crate) vault: [u8; 32],
    pub(crate) tokens: [u8; 32],
}

/// Reads the keys, or makes them at the first start.
pub(crate) fn load(path: &Path, env: &dyn Env) -> Result<Keys> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).with_context(|| format!("the key file {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(path, env),
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the key file {}", path.display()))
        }
    }
}

/// The datastore's key file of a data directory, unless another is named.
pub(crate) fn datastore_path_for(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(".datastore-key.json");
    PathBuf::from(name)
}

/// Reads a key of the datastore's secrets, in StackStorm's format.
pub(crate) fn read_datastore(path: &Path) -> Result<Key> {
    let shown = || format!("the datastore key file {}", path.display());
    let text = fs::read_to_string(path).with_context(shown)?;
    Key::from_json(&text).with_context(shown)
}

/// Reads the key of a data directory's datastore; the first start makes it.
pub(crate) fn load_datastore(path: &Path, env: &dyn Env) -> Result<Key> {
    if path.try_exists()? {
        return read_datastore(path);
    }
    let bytes = || -> Vec<u8> { (0..4).flat_map(|_| env.random().to_le_bytes()).collect() };
    let key = Key::new(bytes(), bytes())?;
    write_new(path, &key.to_json())?;
    Ok(key)
}

/// The file that the datastore's key is in. The key of before a rotation lies beside it.
pub(crate) struct DatastoreKeyFile(pub(crate) PathBuf);

impl DatastoreKeyFile {
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.0.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    }

    /// The key of before, if a rotation was not finished.
    pub(crate) fn previous(&self) -> Result<Option<Key>> {
        let path = self.beside(".old");
        if path.try_exists()? {
            return read_datastore(&path).map(Some);
        }
        Ok(None)
    }
}

impl KeyKeeper for DatastoreKeyFile {
    fn replace(&self, key: &Key) -> io::Result<()> {
        let (old, new) = (self.beside(".old"), self.beside(".new"));
        let current = fs::read_to_string(&self.0)?;
        write_durably(&old, current.trim_end())?;
        // A leftover of an attempt that failed here was never in force.
        let _ = fs::remove_file(&new);
        write_durably(&new, &key.to_json())?;
        fs::rename(&new, &self.0)?;
        let directory = self
            .0
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }

    fn forget_previous(&self) -> io::Result<()> {
        fs::remove_file(self.beside(".old"))
    }
}

fn make(path: &Path, env: &dyn Env) -> Result<Keys> {
    let text: String = (0..8).map(|_| format!("{:016x}", env.random())).collect();
    write_new(path, &text)?;
    parse(&text)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    write_durably(path, text)
        .with_context(|| format!("cannot make the key file {}", path.display()))
}

/// Writes a file that must not be there yet, for its owner alone.
fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()
}

fn parse(text: &str) -> Result<Keys> {
    let text = text.trim();
    if text.len() != 128 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!(
            "must hold 128 hexadecimal digits; if it is lost, secrets sealed with it are lost too"
        );
    }
    let key = |from: usize| -> Result<[u8; 32]> {
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            let at = from + 2 * index;
            *byte = u8::from_str_radix(&text[at..at + 2], 16)?;
        }
        Ok(key)
    };
    Ok(Keys {
        vault: key(0)?,
        tokens: key(64)?,
    })
}

#[cfg(test)]
mod tests {
    use squall_env::FakeEnv;

    use super::*;

    #[test]
    fn a_key_is_replaced_once_until_the_old_one_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let file = DatastoreKeyFile(dir.path().join("key.json"));
        let env = FakeEnv::new(1);
        let first = load_datastore(&file.0, &env).unwrap().to_json();
        assert!(file.previous().unwrap().is_none());
        let key = |byte| Key::new(vec![byte; 32], vec![byte; 32]).unwrap();
        file.replace(&key(7)).unwrap();
        assert_eq!(read_datastore(&file.0).unwrap().to_json(), key(7).to_json());
        assert_eq!(file.previous().unwrap().unwrap().to_json(), first);
        let error = file.replace(&key(8)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read_datastore(&file.0).unwrap().to_json(), key(7).to_json());
        file.forget_previous().unwrap();
        file.replace(&key(8)).unwrap();
        assert_eq!(
            file.previous().unwrap().unwrap().to_json(),
            key(7).to_json()
        );
    }

    #[test]
    fn a_datastore_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = datastore_path_for(&dir.path().join("data"));
        let first = load_datastore(&path, &FakeEnv::new(1)).unwrap();
        let again = load_datastore(&path, &FakeEnv::new(2)).unwrap();
        assert_eq!(
            again.decrypt(&first.encrypt("secret", [7; 16])).unwrap(),
            "secret"
        );
        fs::write(&path, "{}").unwrap();
        assert!(load_datastore(&path, &FakeEnv::new(1)).is_err());
    }

    #[test]
    fn keys_are_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("squall.key");
        let first = load(&path, &FakeEnv::new(1)).unwrap();
        let again = load(&path, &FakeEnv::new(2)).unwrap();
        assert_eq!(first.vault, again.vault);
        assert_ne!(first.vault, first.tokens);
        fs::write(&path, "short").unwrap();
        assert!(load(&path, &FakeEnv::new(1)).is_err());
    }
}
