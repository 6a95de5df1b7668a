//! How the server reaches other machines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use squall_runners::{HostKeys, SshSettings};

/// How long a connection may take to be ready, where nothing else is said.
const CONNECT_SECONDS: u64 = 60;

/// Options about SSH.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Remote machines")]
pub(crate) struct SshOptions {
    /// Who logs in where an action does not say; by default the user of the server.
    #[arg(long, env = "SQUALL_SSH_USER")]
    ssh_user: Option<String>,
    /// The private key where an action brings no credentials; without one, the SSH agent that
    /// SSH_AUTH_SOCK names is asked.
    #[arg(long, env = "SQUALL_SSH_KEY_FILE")]
    ssh_key_file: Option<PathBuf>,
    /// What is done about keys of hosts that no list of known hosts has. A key that differs from a
    /// known one is refused, unless keys are ignored.
    #[arg(long, env = "SQUALL_SSH_HOST_KEYS", default_value = "accept-new")]
    ssh_host_keys: HostKeysName,
    /// A list of known hosts in OpenSSH's format, instead of that of the user and of the machine;
    /// may be given several times.
    #[arg(long, env = "SQUALL_SSH_KNOWN_HOSTS", value_delimiter = ':')]
    ssh_known_hosts: Vec<PathBuf>,
    /// Seconds that a connection may take to be ready.
    #[arg(long, env = "SQUALL_SSH_CONNECT_TIMEOUT", default_value_t = CONNECT_SECONDS)]
    ssh_connect_timeout: u64,
    /// A remote execution succeeds if it did so on at least one of its hosts.
    #[arg(long, env = "SQUALL_SSH_ALLOW_PARTIAL_FAILURE")]
    ssh_allow_partial_failure: bool,
}

/// What is done about unknown keys.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum HostKeysName {
    /// They are refused.
    Strict,
    /// The first is taken on trust and remembered in the data directory.
    #[default]
    AcceptNew,
    /// Any key is taken: somebody on the way can pose as the host.
    Ignore,
}

impl Default for SshOptions {
    fn default() -> SshOptions {
        SshOptions {
            ssh_user: None,
            ssh_key_file: None,
            ssh_host_keys: HostKeysName::default(),
            ssh_known_hosts: Vec::new(),
            ssh_connect_timeout: CONNECT_SECONDS,
            ssh_allow_partial_failure: false,
        }
    }
}

impl SshOptions {
    /// The settings of the runners; hosts are learned in the directory `data`.
    pub(crate) fn settings(&self, data: &Path) -> SshSettings {
        let mut settings = SshSettings::new(data.join("known_hosts"));
        settings.user.clone_from(&self.ssh_user);
        settings.key_file.clone_from(&self.ssh_key_file);
        settings.host_keys = match self.ssh_host_keys {
            HostKeysName::Strict => HostKeys::Strict,
            HostKeysName::AcceptNew => HostKeys::AcceptNew,
            HostKeysName::Ignore => HostKeys::Ignore,
        };
        if !self.ssh_known_hosts.is_empty() {
            settings.known_hosts.clone_from(&self.ssh_known_hosts);
        }
        settings.connect_timeout = Duration::from_secs(self.ssh_connect_timeout);
        settings.allow_partial_failure = self.ssh_allow_partial_failure;
        settings
    }
}
