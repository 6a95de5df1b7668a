//! A script and its libraries, read here and written there by SFTP.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use russh::Channel;
use russh::client::Msg;
use russh_sftp::client::SftpSession;
use russh_sftp::protocol::{FileAttributes, OpenFlags};
use tokio::io::AsyncWriteExt;

/// More than this is no library beside a script.
const BYTES_MAX: u64 = 256 << 20;
const FILES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 32;
/// How long the other side may take for one request.
const SECONDS_MAX: u64 = 60;

const SCRIPT_MODE: u32 = 0o744;
/// Only for who logs in, and for root.
const PRIVATE: u32 = 0o700;

/// What is to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bundle {
    items: Vec<Item>,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    /// Below the directory that the bundle is written into.
    path: String,
    mode: u32,
    /// `None` for a directory.
    content: Option<Arc<[u8]>>,
}

/// Why nothing was written, or not all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("SFTP, which scripts are sent by, is not to be had on the host: {0}")]
    NoSftp(String),
    #[error("the directory {0} can't be made: {1}")]
    Directory(String, String),
    #[error("{0} can't be written: {1}")]
    Write(String, String),
    #[error(transparent)]
    Ssh(#[from] russh::Error),
}

impl Bundle {
    /// The script at `path`, and the directory `lib` beside it if there is one.
    ///
    /// # Errors
    ///
    /// Something can't be read, is too large, or has a name that is no text.
    pub(crate) fn read(path: &Path) -> Result<Bundle, String> {
        let mut bundle = Bundle::default();
        let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        bundle
            .add_file(path, name.into_owned(), Some(SCRIPT_MODE))
            .map_err(|error| failed(path, error))?;
        let libraries = path.with_file_name("lib");
        if libraries.is_dir() {
            bundle
                .add_directory(&libraries, "lib".to_owned(), 0)
                .map_err(|error| failed(&libraries, error))?;
        }
        Ok(bundle)
    }

    fn add_file(&mut self, path: &Path, name: String, mode: Option<u32>) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        self.bytes += metadata.len();
        if !metadata.is_file() {
            return Err(io::Error::other("this is no file"));
        }
        if self.bytes > BYTES_MAX || self.items.len() >= FILES_MAX {
            let text = format!(
                "a script and its libraries are {FILES_MAX} files and {BYTES_MAX} bytes at most"
            );
            return Err(io::Error::other(text));
        }
        self.items.push(Item {
            path: name,
            mode: mode.unwrap_or(metadata.permissions().mode() & 0o777),
            content: Some(fs::read(path)?.into()),
        });
        Ok(())
    }

    fn add_directory(&mut self, path: &Path, name: String, depth: usize) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(io::Error::other("its directories are too deep"));
        }
        self.items.push(Item {
            path: name.clone(),
            mode: PRIVATE,
            content: None,
        });
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Ok(file_name) = entry.file_name().into_string() else {
                continue;
            };
            // What Python left for itself is of no use on another machine.
            if file_name == "__pycache__" {
                continue;
            }
            let name = format!("{name}/{file_name}");
            if entry.path().is_dir() {
                self.add_directory(&entry.path(), name, depth + 1)?;
            } else if entry.path().is_file() {
                self.add_file(&entry.path(), name, None)?;
            }
        }
        Ok(())
    }

    /// Makes `directory` and writes everything into it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. What was written stays; after [`Error::Directory`] nothing was.
    pub(crate) async fn write(&self, channel: Channel<Msg>, directory: &str) -> Result<(), Error> {
        channel.request_subsystem(true, "sftp").await?;
        let session = SftpSession::new(channel.into_stream()).await;
        let session = session.map_err(|error| Error::NoSftp(error.to_string()))?;
        session.set_timeout(SECONDS_MAX);
        let made = make_directory(&session, directory, PRIVATE).await;
        made.map_err(|error| match error {
            Error::Write(path, reason) => Error::Directory(path, reason),
            error => error,
        })?;
        for item in &self.items {
            let path = format!("{directory}/{}", item.path);
            match &item.content {
                None => make_directory(&session, &path, item.mode).await?,
                Some(content) => write_file(&session, &path, item.mode, content).await?,
            }
        }
        // The files are there; how the session ends is of no account.
        let _ = session.close().await;
        Ok(())
    }
}

async fn make_directory(session: &SftpSession, path: &str, mode: u32) -> Result<(), Error> {
    let make = async {
        session.create_dir(path).await?;
        session.set_metadata(path, attributes(mode)).await
    };
    let failed =
        |error: russh_sftp::client::error::Error| Error::Write(path.to_owned(), error.to_string());
    make.await.map_err(failed)
}

async fn write_file(
    session: &SftpSession,
    path: &str,
    mode: u32,
    content: &[u8],
) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Write(path.to_owned(), error.to_string());
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
    let file = session.open_with_flags_and_attributes(path, flags, attributes(mode));
    let mut file = file.await.map_err(|error| failed(&error))?;
    file.write_all(content)
        .await
        .map_err(|error| failed(&error))?;
    file.close().await.map_err(|error| failed(&error))
}

fn attributes(mode: u32) -> FileAttributes {
    FileAttributes {
        permissions: Some(mode),
        ..FileAttributes::empty()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Bundle;

    #[test]
    fn a_script_comes_with_the_libraries_beside_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("lib/deep/__pycache__")).expect("directories");
        for name in [
            "run.sh",
            "other.sh",
            "lib/a.py",
            "lib/deep/b",
            "lib/deep/__pycache__/b.pyc",
        ] {
            fs::write(path(name), name).expect("a file");
        }
        let bundle = Bundle::read(&path("run.sh")).expect("a bundle");
        let paths: Vec<&str> = bundle.items.iter().map(|item| &*item.path).collect();
        assert_eq!(
            paths,
            ["run.sh", "lib", "lib/a.py", "lib/deep", "lib/deep/b"]
        );
        assert_eq!(bundle.items[0].mode, 0o744);
        assert_eq!(bundle.bytes, 24);
        assert!(Bundle::read(&path("absent.sh")).is_err());
        std::os::unix::fs::symlink(path("lib"), path("lib/deep/again")).expect("a link");
        let endless = Bundle::read(&path("run.sh")).expect_err("it has no end");
        assert!(endless.contains("too deep"), "{endless}");
    }
}
