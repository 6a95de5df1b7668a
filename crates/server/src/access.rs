//! Who may do what: the options about roles, and how a start puts them in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::FalseyValueParser;
use squall_auth::rbac::{self, Definitions, Roles};
use squall_auth::{Directory, Htpasswd};
use squall_env::Env;
use squall_store::Store;
use squall_value::Str;

/// The user that the first start makes.
pub(crate) const FIRST_USER: &str = "admin";

/// Who may do what.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AccessOptions {
    /// Ask for roles. Without it everybody who has signed in may do everything, as in StackStorm.
    #[arg(long, env = "SQUALL_RBAC", value_parser = FalseyValueParser::new())]
    pub(crate) rbac: bool,
    /// Where roles, assignments and mappings are defined, as StackStorm's files; read at each start.
    #[arg(long, env = "SQUALL_RBAC_DIR")]
    pub(crate) rbac_dir: Option<PathBuf>,
    /// What lists show to who may list: `visible` (what that user may see), `all` (everything, as in
    /// StackStorm), or `own` (of executions and rules the user's own, which are all that can be
    /// seen or used then, as with StackStorm's `permission_isolation`).
    #[arg(long, env = "SQUALL_RBAC_LISTS", default_value = "visible")]
    pub(crate) rbac_lists: Lists,
    /// Check every step of a workflow against the one who asked for it, instead of trusting what was
    /// published.
    #[arg(long, env = "SQUALL_RBAC_EVERY_STEP", value_parser = FalseyValueParser::new())]
    pub(crate) rbac_every_step: bool,
    /// A password file as Apache's htpasswd writes it, for names that have no password here; it is
    /// read anew when it changes.
    #[arg(long, env = "SQUALL_AUTH_HTPASSWD", value_name = "FILE")]
    pub(crate) auth_htpasswd: Option<PathBuf>,
    /// Who says who signs in: a password (`standalone`), or the proxies of --trusted-proxy by the
    /// header X-Forwarded-User (`proxy`).
    #[arg(long, env = "SQUALL_AUTH_MODE", default_value = "standalone")]
    pub(crate) auth_mode: AuthMode,
}

/// Who says who signs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AuthMode {
    /// A password.
    #[default]
    Standalone,
    /// A trusted proxy.
    Proxy,
}

/// What lists show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Lists {
    /// What the caller may see.
    #[default]
    Visible,
    /// Everything.
    All,
    /// Of executions and rules the caller's own.
    Own,
}

impl AccessOptions {
    /// A directory with the password file behind it, if there is one.
    ///
    /// # Errors
    ///
    /// The file can't be read.
    pub(crate) fn directory(&self, directory: Directory) -> Result<Directory> {
        let Some(file) = &self.auth_htpasswd else {
            return Ok(directory);
        };
        let backend = Htpasswd::open(file)
            .with_context(|| format!("cannot use the password file {}", file.display()))?;
        Ok(directory.with_backend(Arc::new(backend)))
    }

    /// The roles of a store, with what the files say put in force.
    ///
    /// # Errors
    ///
    /// A file is wrong, or the store does not answer.
    pub(crate) async fn roles(
        &self,
        store: &Arc<dyn Store>,
        env: &Arc<dyn Env>,
    ) -> Result<Arc<Roles>> {
        let settings = rbac::Settings {
            enabled: self.rbac,
            lists: match self.rbac_lists {
                Lists::Visible => rbac::Lists::Visible,
                Lists::All => rbac::Lists::All,
                Lists::Own => rbac::Lists::Own,
            },
        };
        let roles = Roles::open(Arc::clone(store), Arc::clone(env), settings);
        let roles = roles.await.context("cannot read the roles")?;
        if let Some(directory) = &self.rbac_dir {
            let applied = roles
                .apply(&read(directory)?)
                .await
                .context("cannot store the roles")?;
            if applied.changes > 0 {
                tracing::info!(?applied, "the roles have changed");
            }
        }
        if !roles.has_admin() {
            // Somebody must be able to give roles; the first user's can't be taken away.
            let role = Str::from(rbac::system::SYSTEM_ADMIN);
            roles
                .assign(FIRST_USER, &[role])
                .await
                .context("cannot store the first role")?;
        }
        Ok(Arc::new(roles))
    }
}

/// Reads a directory of definitions.
fn read(directory: &Path) -> Result<Definitions> {
    let shown = directory.display();
    let texts = rbac::read_directory(directory);
    let texts = texts.with_context(|| format!("cannot read the roles in {shown}"))?;
    match Definitions::read(&texts) {
        Ok(definitions) => {
            for warning in &definitions.warnings {
                tracing::warn!("{shown}/{warning}");
            }
            Ok(definitions)
        }
        Err(findings) => {
            let findings: Vec<_> = findings
                .iter()
                .map(|finding| format!("\n  {finding}"))
                .collect();
            bail!(
                "the definitions of roles in {shown} are wrong:{}",
                findings.concat()
            )
        }
    }
}
