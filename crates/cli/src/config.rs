//! Where the server is and who is asking: options, variables, the configuration file, tokens.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use squall_client::{Credential, Endpoints, Trust};

use crate::failure::usage;
use crate::options::GlobalOptions;

/// The file of a data directory in which a server leaves a token for its own machine.
pub const TOKEN_FILE: &str = "local-token";

/// The file of a data directory in which a running server leaves its address.
pub(crate) const ADDRESS_FILE: &str = "address";

const SERVER_DEFAULT: &str = "http://127.0.0.1:9101";
const CONTEXT_DEFAULT: &str = "default";

/// No token is longer.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

/// What a process finds around it: its environment variables.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    variables: HashMap<String, String>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Surroundings {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Surroundings {
            variables: variables.collect(),
        }
    }

    /// The given ones.
    #[must_use]
    pub fn with(variables: &[(&str, &str)]) -> Surroundings {
        let variables = variables.iter();
        Surroundings {
            variables: variables
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The directory of the configuration: `$XDG_CONFIG_HOME/squall`, else `~/.config/squall`.
    fn directory(&self) -> Option<PathBuf> {
        let base = match self.variable("XDG_CONFIG_HOME") {
            Some(base) => PathBuf::from(base),
            None => Path::new(self.variable("HOME")?).join(".config"),
        };
        Some(base.join("squall"))
    }
}

/// Where a server's address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerFrom {
    Option,
    Variable(&'static str),
    Context(String, PathBuf),
    /// The file in which the server of this data directory left it.
    Data(PathBuf),
    Default,
}

impl fmt::Display for ServerFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerFrom::Option => f.write_str("--server"),
            ServerFrom::Variable(name) => write!(f, "the environment variable {name}"),
            ServerFrom::Context(name, file) => {
                write!(f, "context `{name}` in {}", file.display())
            }
            ServerFrom::Data(file) => write!(f, "the file {}", file.display()),
            ServerFrom::Default => f.write_str("nowhere: it is the default"),
        }
    }
}

/// Where to ask, as whom, and why there and so.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) endpoints: Endpoints,
    pub(crate) server_from: ServerFrom,
    pub(crate) credential: Option<Credential>,
    pub(crate) credential_from: Option<String>,
    /// Whom to believe that it is the server.
    pub(crate) trust: Trust,
    pub(crate) context: String,
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// The context in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// Named servers.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, ContextEntry>,
}

/// A named server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContextEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// The file of the certificates by which the server is believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cacert: Option<PathBuf>,
}

impl ContextEntry {
    /// Points at a server, and at the certificates by which it is believed. Another server's are
    /// forgotten; those of the same one stay unless others are given.
    pub(crate) fn point_at(&mut self, base: &str, cacert: Option<&Path>) -> Result<()> {
        if self.server.as_deref() != Some(base) {
            self.cacert = None;
            self.server = Some(base.to_owned());
        }
        if let Some(cacert) = cacert {
            // Commands are called from everywhere.
            let shown = || format!("cannot use {}", cacert.display());
            self.cacert = Some(std::path::absolute(cacert).with_context(shown)?);
        }
        Ok(())
    }
}

/// A token that `login` has kept. It is sent to no other server than the one that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    pub(crate) server: String,
    pub(crate) user: String,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) expiry: String,
}

/// The configuration directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    pub(crate) fn open(surroundings: &Surroundings) -> Result<Store> {
        let directory = surroundings.directory();
        let directory = directory
            .context("there is no place for the configuration: set HOME or XDG_CONFIG_HOME")?;
        Ok(Store { directory })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("config.toml")
    }

    fn token_path(&self, context: &str) -> PathBuf {
        self.directory
            .join("tokens")
            .join(format!("{context}.toml"))
    }

    pub(crate) fn load(&self) -> Result<File> {
        let path = self.path();
        let shown = || format!("reading {} failed", path.display());
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(shown),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(File::default()),
            Err(error) => Err(error).with_context(shown),
        }
    }

    pub(crate) fn save(&self, file: &File) -> Result<()> {
        write_private(&self.path(), &toml::to_string(file)?)
    }

    pub(crate) fn token(&self, context: &str) -> Result<Option<StoredToken>> {
        let path = self.token_path(context);
        let shown = || format!("reading {} failed", path.display());
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(toml::from_str(&text).with_context(shown)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(shown),
        }
    }

    pub(crate) fn save_token(&self, context: &str, token: &StoredToken) -> Result<PathBuf> {
        let path = self.token_path(context);
        write_private(&path, &toml::to_string(token)?)?;
        Ok(path)
    }

    /// Whether there was one.
    pub(crate) fn forget_token(&self, context: &str) -> Result<bool> {
        let path = self.token_path(context);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("removing {} failed", path.display())),
        }
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let shown = || format!("writing {} failed", path.display());
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.create(directory).with_context(shown)?;
    let mut file = options.open(&beside).with_context(shown)?;
    file.write_all(text.as_bytes()).with_context(shown)?;
    file.sync_all().with_context(shown)?;
    fs::rename(&beside, path).with_context(shown)
}

/// A context's name becomes a file's.
pub(crate) fn check_context(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(fits) {
        return Err(usage(format!(
            "`{name}` is no name for a context: letters, digits, `-`, `_` and `.` make one"
        )));
    }
    Ok(())
}

/// The context that is in use.
pub(crate) fn context_name(
    options: &GlobalOptions,
    surroundings: &Surroundings,
    file: &File,
) -> Result<String> {
    let named = options
        .context
        .as_deref()
        .or_else(|| surroundings.variable("SQUALL_CONTEXT"));
    if let Some(name) = named {
        check_context(name)?;
        return Ok(name.to_owned());
    }
    let name = file.current.as_deref().unwrap_or(CONTEXT_DEFAULT);
    check_context(name)?;
    Ok(name.to_owned())
}

/// Where to ask and as whom.
pub(crate) fn connection(
    options: &GlobalOptions,
    surroundings: &Surroundings,
) -> Result<Connection> {
    // Without a home there is no configuration, and options and variables do.
    let store = Store::open(surroundings).ok();
    let file = store.as_ref().map(Store::load).transpose()?;
    let file = file.unwrap_or_default();
    let context = context_name(options, surroundings, &file)?;
    let (endpoints, server_from) = server(options, surroundings, &file, &context, store.as_ref())?;
    let mut connection = Connection {
        endpoints,
        trust: trust(options, surroundings, &file, &server_from)?,
        server_from,
        credential: None,
        credential_from: None,
        context,
    };
    if let Some((credential, from)) =
        credential(options, surroundings, store.as_ref(), &connection)?
    {
        connection.credential = Some(credential);
        connection.credential_from = Some(from);
    }
    Ok(connection)
}

fn server(
    options: &GlobalOptions,
    surroundings: &Surroundings,
    file: &File,
    context: &str,
    store: Option<&Store>,
) -> Result<(Endpoints, ServerFrom)> {
    let base = |url: &str, from: ServerFrom| match Endpoints::from_base(url) {
        Ok(endpoints) => Ok((endpoints, from)),
        Err(error) => Err(usage(format!("{error} (it comes from {from})"))),
    };
    if let Some(url) = &options.server {
        return base(url, ServerFrom::Option);
    }
    // A context that is named beats a variable that is merely there.
    let entry = file.contexts.get(context);
    let from_context = || {
        let url = entry?.server.as_deref()?;
        let path = store.map(Store::path).unwrap_or_default();
        Some((url, ServerFrom::Context(context.to_owned(), path)))
    };
    if options.context.is_some() {
        let Some((url, from)) = from_context() else {
            return Err(usage(format!(
                "there is no context `{context}` with a server: make it with \
                 `squall context set {context} --server URL`"
            )));
        };
        return base(url, from);
    }
    if let Some(url) = surroundings.variable("SQUALL_SERVER") {
        return base(url, ServerFrom::Variable("SQUALL_SERVER"));
    }
    if let Some(api) = surroundings.variable("ST2_API_URL") {
        let from = ServerFrom::Variable("ST2_API_URL");
        let (auth, stream) = (
            surroundings.variable("ST2_AUTH_URL"),
            surroundings.variable("ST2_STREAM_URL"),
        );
        return match Endpoints::from_parts(api, auth, stream) {
            Ok(endpoints) => Ok((endpoints, from)),
            Err(error) => Err(usage(format!("{error} (it comes from {from})"))),
        };
    }
    if let Some((url, from)) = from_context() {
        return base(url, from);
    }
    match local_address(options, surroundings) {
        Some((url, file)) => base(&url, ServerFrom::Data(file)),
        None => base(SERVER_DEFAULT, ServerFrom::Default),
    }
}

/// Whom to believe that it is the server. A context's file is for the context's server.
fn trust(
    options: &GlobalOptions,
    surroundings: &Surroundings,
    file: &File,
    server_from: &ServerFrom,
) -> Result<Trust> {
    if options.insecure {
        return Ok(Trust::Anybody);
    }
    let variable = |name: &str| {
        let path = PathBuf::from(surroundings.variable(name)?);
        Some((path, format!("the environment variable {name}")))
    };
    let of_context = || match server_from {
        ServerFrom::Context(name, _) => {
            let path = file.contexts.get(name)?.cacert.clone()?;
            Some((path, format!("context `{name}`")))
        }
        _ => None,
    };
    let option = options.cacert.clone();
    let found = option
        .map(|path| (path, "--cacert".to_owned()))
        .or_else(|| variable("SQUALL_CACERT"))
        .or_else(|| variable("ST2_CACERT"))
        .or_else(of_context);
    let Some((path, from)) = found else {
        return Ok(Trust::System);
    };
    let text = fs::read(&path);
    let text = text.with_context(|| {
        format!(
            "cannot read the trusted certificates in {} (named by {from})",
            path.display()
        )
    })?;
    Ok(Trust::Authorities(text))
}

/// The data directory of a server on this machine, if one is named.
fn data_directory(options: &GlobalOptions, surroundings: &Surroundings) -> Option<PathBuf> {
    let named = options.data.clone();
    named.or_else(|| surroundings.variable("SQUALL_DATA").map(PathBuf::from))
}

/// The address that the server of the data directory has left there.
fn local_address(
    options: &GlobalOptions,
    surroundings: &Surroundings,
) -> Option<(String, PathBuf)> {
    let file = data_directory(options, surroundings)?.join(ADDRESS_FILE);
    let text = read_small(&file)?;
    let url = text.trim();
    (!url.is_empty()).then(|| (url.to_owned(), file))
}

/// A file of a line or two, if it is there and no larger than such a file can be.
fn read_small(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    (size <= TOKEN_BYTES_MAX)
        .then(|| fs::read_to_string(path).ok())
        .flatten()
}

fn credential(
    options: &GlobalOptions,
    surroundings: &Surroundings,
    store: Option<&Store>,
    connection: &Connection,
) -> Result<Option<(Credential, String)>> {
    for name in ["SQUALL_TOKEN", "ST2_AUTH_TOKEN"] {
        if let Some(token) = surroundings.variable(name) {
            let from = format!("the environment variable {name}");
            return Ok(Some((Credential::Token(token.to_owned()), from)));
        }
    }
    for name in ["SQUALL_API_KEY", "ST2_API_KEY"] {
        if let Some(key) = surroundings.variable(name) {
            let from = format!("the environment variable {name}");
            return Ok(Some((Credential::ApiKey(key.to_owned()), from)));
        }
    }
    let context = &connection.context;
    let stored = store.map(|store| store.token(context)).transpose()?;
    if let Some(stored) = stored.flatten()
        && stored.server == connection.endpoints.base()
    {
        let from = format!("`squall login` as {} (context `{context}`)", stored.user);
        return Ok(Some((Credential::Token(stored.token), from)));
    }
    Ok(local_token(options, surroundings, connection))
}

/// The token that a server on this machine leaves for those who may read its data. It is sent to a
/// server of this machine only, unless its file was named.
fn local_token(
    options: &GlobalOptions,
    surroundings: &Surroundings,
    connection: &Connection,
) -> Option<(Credential, String)> {
    let named = surroundings
        .variable("SQUALL_TOKEN_FILE")
        .map(PathBuf::from);
    let local = data_directory(options, surroundings)
        .map(|data| data.join(TOKEN_FILE))
        .filter(|_| connection.endpoints.is_loopback());
    named.into_iter().chain(local).find_map(|path| {
        let text = read_small(&path)?;
        let token = text.trim();
        let from = format!("the file {}", path.display());
        (!token.is_empty()).then(|| (Credential::Token(token.to_owned()), from))
    })
}

#[cfg(test)]
mod tests;
