//! The machine that jobs run on: paths, base environment, limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use squall_env::Env;

use crate::{Job, SshSettings};

/// How processes are started here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tells this server's processes from another's: stable for one data directory.
    pub server_id: String,
    /// A directory of this server alone, for the journal of processes and the unpacked Python host.
    pub run_dir: PathBuf,
    /// The environment that every action starts from. Must not hold secrets of the server.
    pub base_env: Vec<(String, String)>,
    /// The working directory of actions that ask for none.
    pub cwd: PathBuf,
    /// The user that local commands run as; `None`, and the server's own name, mean the server's.
    pub system_user: Option<String>,
    /// The program that calls [`crate::spawn_entry`] (the server's own binary). With it, processes
    /// get a session of their own where that matters; without it a process group.
    pub helper: Option<PathBuf>,
    /// Starts every process through `helper`, not only those that need it: a millisecond more for
    /// each, and none can open the terminal of the server or signal its group.
    pub always_session: bool,
    /// The Python for packs that have no virtual environment.
    pub python: PathBuf,
    /// The virtual environment with the libraries that stand behind those of every pack; it need
    /// not be there.
    pub shared_environment: Option<PathBuf>,
    /// Whether Python actions can import from the directory `lib` of their pack.
    pub common_libs: bool,
    /// The base directory whose `configs/` an error message names.
    pub base_dir: PathBuf,
    /// How long a process may take to heed SIGTERM before it gets SIGKILL.
    pub grace: Duration,
    /// How long output is still read after the process ended while another holds it open.
    pub drain: Duration,
    /// How many bytes of output are kept for one execution, both streams together.
    pub output_bytes_max: usize,
    /// How long an unused Python host stays.
    pub idle: Duration,
    /// How remote machines are reached.
    pub ssh: SshSettings,
}

impl Settings {
    /// The defaults: the server's environment without what begins with `SQUALL_`, 10 s of grace,
    /// 3 s of draining, 10 MiB of output.
    #[must_use]
    pub fn new(server_id: impl Into<String>, run_dir: impl Into<PathBuf>) -> Settings {
        let base_env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !name.starts_with("SQUALL_"))
            .collect();
        let run_dir = run_dir.into();
        Settings {
            server_id: server_id.into(),
            ssh: SshSettings::new(run_dir.join("known_hosts")),
            run_dir,
            base_env,
            cwd: PathBuf::from("/"),
            system_user: None,
            helper: None,
            always_session: false,
            python: find_program("python3").unwrap_or_else(|| PathBuf::from("/usr/bin/python3")),
            shared_environment: None,
            common_libs: false,
            base_dir: PathBuf::from("/opt/stackstorm"),
            grace: Duration::from_secs(10),
            drain: Duration::from_secs(3),
            output_bytes_max: 10 << 20,
            idle: Duration::from_secs(300),
        }
    }
}

/// The absolute path of `name` by the `PATH` of this process.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_absolute() && candidate.is_file())
}

/// [`Settings`] with what is found out once.
pub struct Host {
    pub(crate) settings: Settings,
    pub(crate) env: Arc<dyn Env>,
    /// `bash`, if the machine has one.
    pub(crate) bash: Option<PathBuf>,
    pub(crate) sudo: PathBuf,
    pub(crate) own_user: String,
    /// A process that opens the terminal of the server would be stopped by it, so it needs a
    /// session of its own. Under a service manager there is no terminal.
    pub(crate) has_terminal: bool,
}

impl Host {
    /// Prepares the run directory.
    ///
    /// # Errors
    ///
    /// The run directory could not be made private to the server's user.
    pub fn new(settings: Settings, env: Arc<dyn Env>) -> std::io::Result<Arc<Host>> {
        make_private_dir(&settings.run_dir)?;
        make_private_dir(&settings.run_dir.join("journal"))?;
        let own_user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .ok()
            .flatten()
            .map(|user| user.name)
            .unwrap_or_default();
        Ok(Arc::new(Host {
            bash: find_program("bash"),
            sudo: find_program("sudo").unwrap_or_else(|| PathBuf::from("/usr/bin/sudo")),
            own_user,
            has_terminal: crate::process::table::has_terminal(),
            settings,
            env,
        }))
    }

    /// The whole environment of a job's process: base, `additions`, then what is Squall's.
    pub(crate) fn environment(
        &self,
        job: &Job,
        additions: &[(String, String)],
        debug: bool,
    ) -> Vec<(String, String)> {
        let settings = &self.settings;
        let mut env: Vec<(String, String)> = settings.base_env.clone();
        if !["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .any(|name| env.iter().any(|(known, _)| known == name))
        {
            set(&mut env, "LANG", "C.UTF-8");
        }
        for (name, value) in additions {
            set(&mut env, name, value);
        }
        set(&mut env, "ST2_ACTION_PACK_NAME", &job.pack);
        set(&mut env, "ST2_ACTION_EXECUTION_ID", &job.execution_id);
        set(
            &mut env,
            "ST2_ACTION_DEBUG",
            if debug { "True" } else { "False" },
        );
        for (name, value) in &job.env {
            set(&mut env, name, value);
        }
        set(&mut env, crate::process::EXECUTION_MARK, &job.execution_id);
        set(&mut env, crate::process::SERVER_MARK, &settings.server_id);
        env
    }

    pub(crate) fn journal_path(&self, execution_id: &str) -> PathBuf {
        crate::process::journal::path(&self.settings.run_dir, execution_id)
    }
}

pub(crate) fn set(env: &mut Vec<(String, String)>, name: &str, value: &str) {
    match env.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => value.clone_into(known),
        None => env.push((name.to_owned(), value.to_owned())),
    }
}

pub(crate) fn make_private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
