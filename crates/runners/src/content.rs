//! `content_version`: the files of an action as an earlier or later revision of its pack has them.
//!
//! The revision is written out of the pack's repository into a directory of the one execution. The
//! repository is only read, so nothing of it changes for others, and many may do so at once.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::port::Job;

/// A revision's files; they go with it.
#[derive(Debug)]
pub(crate) struct Content {
    place: Option<TempDir>,
}

impl Drop for Content {
    fn drop(&mut self) {
        // Thousands of files take a moment that others need not wait for.
        let place = self.place.take();
        tokio::task::spawn_blocking(move || drop(place));
    }
}

/// Writes out the revision that the job asks for, if it does, and leads the job to it. It holds
/// until what is returned is dropped.
///
/// # Errors
///
/// Why there is no such revision, for the person who asked.
pub(crate) async fn check_out(job: &mut Job) -> Result<Option<Content>, String> {
    let version = job.runner_parameters.get("content_version");
    let version = version.and_then(|value| value.as_str());
    let Some(version) = version.filter(|version| !version.is_empty()) else {
        return Ok(None);
    };
    let failed = |reason: String| {
        format!(
            "there is no content version `{version}` of the pack `{}`: {reason}",
            job.pack
        )
    };
    let revision = find(&job.pack_dir, version).await.map_err(failed)?;
    let place = tempfile::Builder::new().prefix("squall-content-").tempdir();
    let place = place.map_err(|error| failed(error.to_string()))?;
    let pack_dir = place.path().join(&job.pack);
    let written = revision.write(place.path(), &pack_dir).await;
    written.map_err(failed)?;
    if let Some(entry_point) = &job.entry_point
        && let Ok(inner) = entry_point.strip_prefix(&job.pack_dir)
    {
        job.entry_point = Some(pack_dir.join(inner));
    }
    job.pack_dir = pack_dir;
    Ok(Some(Content { place: Some(place) }))
}

/// The pack's directory in a commit of a repository.
struct Revision {
    repository: PathBuf,
    tree: String,
}

/// Finds what git knows by the name: a commit, tag or branch, also one that was only fetched.
async fn find(pack_dir: &Path, version: &str) -> Result<Revision, String> {
    if version.starts_with('-') {
        return Err("a revision does not begin with a hyphen".to_owned());
    }
    let repository = git(pack_dir, &["rev-parse", "--absolute-git-dir"], &[]).await;
    let repository = repository
        .map_err(|reason| format!("the pack does not come from a git repository ({reason})"))?;
    for name in [version.to_owned(), format!("origin/{version}")] {
        // The directory itself may lie below the root of the repository.
        let tree = format!("{name}:./");
        let found = git(pack_dir, &["rev-parse", "--quiet", "--verify", &tree], &[]).await;
        if let Ok(tree) = found {
            let repository = PathBuf::from(repository);
            return Ok(Revision { repository, tree });
        }
    }
    Err("its repository has no such commit, tag or branch".to_owned())
}

impl Revision {
    async fn write(&self, place: &Path, target: &Path) -> Result<(), String> {
        open_to_all(place, target).map_err(|error| error.to_string())?;
        let index = place.join("index");
        let env = [
            ("GIT_DIR", self.repository.as_path()),
            ("GIT_WORK_TREE", target),
            ("GIT_INDEX_FILE", &index),
        ];
        git(target, &["read-tree", &self.tree], &env).await?;
        git(target, &["checkout-index", "--all", "--quiet"], &env).await?;
        Ok(())
    }
}

/// Makes the directory; scripts may run as another user.
fn open_to_all(place: &Path, target: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(target)?;
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755))
}

/// What git says, or why it could not.
async fn git(directory: &Path, words: &[&str], env: &[(&str, &Path)]) -> Result<String, String> {
    // Packs may belong to the user who put them there.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*"])
        .args(words)
        .current_dir(directory)
        .envs(env.iter().copied())
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("git cannot be run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}
