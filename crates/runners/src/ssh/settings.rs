//! How remote machines are reached.

use std::path::PathBuf;
use std::time::Duration;

/// What is done about the key of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKeys {
    /// A host that no list names is refused.
    Strict,
    /// The key of a host that no list names is taken on trust and remembered; a key that differs
    /// from a known one is refused.
    #[default]
    AcceptNew,
    /// Every key is taken, as StackStorm does. Anyone on the way can pose as the host.
    Ignore,
}

/// Settings of the remote runners.
#[derive(Debug, Clone)]
pub struct SshSettings {
    /// Who logs in where an action does not say; `None` for the user of local actions.
    pub user: Option<String>,
    /// The private key where an action brings no credentials.
    pub key_file: Option<PathBuf>,
    /// The socket of an SSH agent, asked where there is no key either.
    pub agent: Option<PathBuf>,
    /// What is done about the keys of hosts.
    pub host_keys: HostKeys,
    /// Lists of known hosts, in OpenSSH's format. Those that are not there are passed over.
    pub known_hosts: Vec<PathBuf>,
    /// The list that [`HostKeys::AcceptNew`] adds to; read like the others.
    pub learned_hosts: PathBuf,
    /// How long a connection may take to be ready, signing in included.
    pub connect_timeout: Duration,
    /// How many hosts of one execution are worked on at the same time.
    pub hosts_max: usize,
    /// Whether an execution succeeds if it did so on at least one host.
    pub allow_partial_failure: bool,
    /// How long an unused connection stays.
    pub idle: Duration,
}

impl SshSettings {
    /// The defaults: the lists of known hosts of this user and of the machine, new hosts are learned
    /// into `learned_hosts`, 60 s to connect, 512 hosts at a time, one failure fails the execution,
    /// connections stay for a minute.
    #[must_use]
    pub fn new(learned_hosts: impl Into<PathBuf>) -> SshSettings {
        let home = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok();
        let own = home.flatten().map(|user| user.dir.join(".ssh/known_hosts"));
        let everyone = PathBuf::from("/etc/ssh/ssh_known_hosts");
        SshSettings {
            user: None,
            key_file: None,
            agent: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            host_keys: HostKeys::default(),
            known_hosts: own.into_iter().chain([everyone]).collect(),
            learned_hosts: learned_hosts.into(),
            connect_timeout: Duration::from_secs(60),
            hosts_max: 512,
            allow_partial_failure: false,
            idle: Duration::from_secs(60),
        }
    }
}
