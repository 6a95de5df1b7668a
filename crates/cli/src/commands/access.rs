//! `user`, `role`, `role-assignment`, `rbac` and `apikey`: who may sign in, and who may do what.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use squall_client::Resource;
use squall_value::{Dict, Value};

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::input;
use crate::output::{Column, Format, Show};

/// List, make and remove users
#[derive(Debug, Subcommand)]
pub enum User {
    /// List users
    #[command(after_help = "Example:\n  squall user list")]
    List {
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Make a user
    #[command(after_help = "\
Examples:
  squall user add ann --role operators
  pass show bot | squall user add bot --service --password-stdin")]
    Add {
        /// Name
        #[arg(value_name = "USER")]
        name: String,
        /// A service account: it may ask for tokens of other users
        #[arg(long)]
        service: bool,
        /// Give this role; may be given several times
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Change a password; the user's tokens end
    #[command(after_help = "Examples:\n  squall user passwd\n  squall user passwd ann")]
    Passwd {
        /// Name; without it, who is signed in
        #[arg(value_name = "USER")]
        name: Option<String>,
        /// Read the new password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a user, with all tokens and API keys
    #[command(after_help = "Example:\n  squall user remove ann")]
    Remove {
        /// Name
        #[arg(value_name = "USER")]
        name: String,
    },
}

impl User {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        match self {
            User::List { list } => {
                let columns = list.columns(&[
                    Column::new("name", "name", Show::Plain),
                    Column::new("service", "service", Show::Enabled),
                    Column::new("password", "has_password", Show::Enabled),
                ]);
                list::show(
                    invocation,
                    Resource::Users,
                    &list.query(),
                    &columns,
                    "users",
                )
                .await
            }
            User::Add {
                name,
                service,
                roles,
                password_stdin,
            } => {
                let prompt = format!("password of {name}: ");
                let password = input::password(&invocation.surroundings, password_stdin, &prompt)?;
                let mut user = Dict::new();
                user.insert("name", name.as_str());
                user.insert("password", password);
                user.insert("service", service);
                // A user without the roles would be there already when that is told.
                for role in &roles {
                    client.one(Resource::Roles, role).await?;
                }
                let made = client.create_user(&Value::from(user)).await?;
                if !roles.is_empty() {
                    client.assign_roles(&name, &roles).await?;
                }
                done(invocation, &made, &format!("{name} may sign in"))
            }
            User::Passwd {
                name,
                password_stdin,
            } => {
                let own = client.user().await?;
                let own = own
                    .get("username")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let name = name.unwrap_or_else(|| own.to_owned());
                let mut change = Dict::new();
                if name == own {
                    let old = rpassword::prompt_password("old password: ");
                    change.insert("old_password", old.context("reading the password failed")?);
                }
                let prompt = format!("new password of {name}: ");
                let password = input::password(&invocation.surroundings, password_stdin, &prompt)?;
                change.insert("password", password);
                let changed = client.update_user(&name, &Value::from(change)).await?;
                done(invocation, &changed, &format!("{name} has a new password"))
            }
            User::Remove { name } => {
                client.delete_user(&name).await?;
                invocation.console.note(&format!("{name} is removed"));
                Ok(DONE)
            }
        }
    }
}

fn done(invocation: &mut Invocation, value: &Value, text: &str) -> Result<u8> {
    if invocation.console.format == Format::Text {
        invocation.console.line(text)?;
        return Ok(DONE);
    }
    show::print(invocation, value, &[])
}

/// List and show roles, and give them
#[derive(Debug, Subcommand)]
pub enum Role {
    /// List roles
    #[command(after_help = "Example:\n  squall role list")]
    List {
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a role and what it grants
    #[command(after_help = "Example:\n  squall role get operators --yaml")]
    Get {
        /// Name or id
        #[arg(value_name = "ROLE")]
        role: String,
    },
    /// Give a user roles by hand; others that were given so are taken away
    #[command(
        after_help = "Examples:\n  squall role assign ann operators\n  squall role assign ann"
    )]
    Assign {
        /// User
        #[arg(value_name = "USER")]
        user: String,
        /// Roles
        #[arg(value_name = "ROLE")]
        roles: Vec<String>,
    },
}

impl Role {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Role::List { list } => {
                let columns = list.columns(&[
                    Column::new("name", "name", Show::Plain),
                    Column::new("system", "system", Show::Enabled),
                    Column::new("description", "description", Show::Plain),
                ]);
                list::show(
                    invocation,
                    Resource::Roles,
                    &list.query(),
                    &columns,
                    "roles",
                )
                .await
            }
            Role::Get { role } => {
                let found = invocation.client()?.one(Resource::Roles, &role).await?;
                show::print(invocation, &found, &[])
            }
            Role::Assign { user, roles } => {
                let given = invocation.client()?.assign_roles(&user, &roles).await?;
                let text = match &roles[..] {
                    [] => format!("{user} has no roles by hand"),
                    _ => format!("{user} has {}", roles.join(", ")),
                };
                done(invocation, &given, &text)
            }
        }
    }
}

/// List and show who has which role
#[derive(Debug, Subcommand)]
pub enum RoleAssignment {
    /// List who has which role
    #[command(after_help = "Example:\n  squall role-assignment list --user ann")]
    List {
        /// Only those of this user
        #[arg(short, long)]
        user: Option<String>,
        /// Only those of this role
        #[arg(short, long)]
        role: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
}

impl RoleAssignment {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let RoleAssignment::List { user, role, list } = self;
        let columns = list.columns(&[
            Column::new("user", "user", Show::Plain),
            Column::new("role", "role", Show::Plain),
            Column::new("source", "source", Show::Plain),
        ]);
        let query = list.query().maybe("user", user).maybe("role", role);
        list::show(
            invocation,
            Resource::RoleAssignments,
            &query,
            &columns,
            "assignments",
        )
        .await
    }
}

/// Put definitions of roles in force
#[derive(Debug, Subcommand)]
pub enum Rbac {
    /// Read roles, assignments and mappings, and put them in force
    #[command(after_help = "\
Examples:
  squall rbac apply                       the server's own directory (--rbac-dir)
  squall rbac apply /opt/stackstorm/rbac  these files")]
    Apply {
        /// A directory with roles, assignments and mappings in it
        #[arg(value_name = "DIR")]
        directory: Option<String>,
    },
}

/// The files of a directory of definitions, by path.
fn definitions(directory: &str) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for part in ["roles", "assignments", "mappings"] {
        let place = Path::new(directory).join(part);
        if !place.is_dir() {
            continue;
        }
        let shown = || format!("reading {} failed", place.display());
        for entry in std::fs::read_dir(&place).with_context(shown)? {
            let path = entry.with_context(shown)?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.ends_with(".yaml") && !name.starts_with('.') {
                files.push((
                    format!("{part}/{name}"),
                    input::text(&path.to_string_lossy())?,
                ));
            }
        }
    }
    if files.is_empty() {
        anyhow::bail!(
            "{directory} has no files in roles, assignments or mappings; applying nothing would take \
             all roles away"
        );
    }
    Ok(files)
}

impl Rbac {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let Rbac::Apply { directory } = self;
        let files = directory.as_deref().map(definitions).transpose()?;
        let applied = invocation.client()?.apply_roles(files.as_deref()).await?;
        let warnings = applied.get("warnings").and_then(Value::as_list);
        for warning in warnings
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
        {
            invocation.console.note(&format!("warning: {warning}"));
        }
        let count = |name| {
            applied
                .get(name)
                .and_then(Value::as_int)
                .unwrap_or_default()
        };
        let text = format!(
            "{} roles, {} users with roles, {} groups with roles; {} records changed",
            count("roles"),
            count("assignments"),
            count("mappings"),
            count("changes")
        );
        done(invocation, &applied, &text)
    }
}

/// List, make and remove API keys
#[derive(Debug, Subcommand)]
pub enum ApiKey {
    /// List API keys
    #[command(after_help = "Example:\n  squall apikey list")]
    List {
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Make an API key, and print it; it can't be shown again
    #[command(after_help = "\
Examples:
  squall apikey create
  squall apikey create --user bot --metadata '{\"used_by\": \"deploy\"}'")]
    Create {
        /// Whose key; only administrators may name somebody else
        #[arg(short, long)]
        user: Option<String>,
        /// What is to be known of it, as JSON or a file
        #[arg(short, long, value_name = "JSON|FILE")]
        metadata: Option<String>,
    },
    /// Show an API key's record
    #[command(after_help = "Example:\n  squall apikey get 5f3a00112233445566778899")]
    Get {
        /// Id
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Switch an API key on
    #[command(after_help = "Example:\n  squall apikey enable 5f3a00112233445566778899")]
    Enable {
        /// Id
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Switch an API key off
    #[command(after_help = "Example:\n  squall apikey disable 5f3a00112233445566778899")]
    Disable {
        /// Id
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Remove an API key
    #[command(after_help = "Example:\n  squall apikey delete 5f3a00112233445566778899")]
    Delete {
        /// Id
        #[arg(value_name = "KEY")]
        key: String,
    },
}

impl ApiKey {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        match self {
            ApiKey::List { list } => {
                let columns = list.columns(&[
                    Column::new("id", "id", Show::Plain),
                    Column::new("user", "user", Show::Plain),
                    Column::new("enabled", "enabled", Show::Enabled),
                    Column::new("made", "created_at", Show::Moment),
                    Column::new("metadata", "metadata", Show::Plain),
                ]);
                list::show(
                    invocation,
                    Resource::ApiKeys,
                    &list.query(),
                    &columns,
                    "keys",
                )
                .await
            }
            ApiKey::Create { user, metadata } => {
                let metadata = match metadata {
                    Some(text) => input::inline_or_file(&text)?,
                    None => Value::empty_dict(),
                };
                let made = client.create_api_key(user.as_deref(), &metadata).await?;
                let key = made.get("key").and_then(Value::as_str).unwrap_or_default();
                // The bare key: scripts want nothing else.
                done(invocation, &made, key)
            }
            ApiKey::Get { key } => {
                let found = client.one(Resource::ApiKeys, &key).await?;
                show::print(invocation, &found, &[])
            }
            ApiKey::Enable { key } => {
                let changed = client.switch_api_key(&key, true).await?;
                done(invocation, &changed, &format!("{key} is enabled"))
            }
            ApiKey::Disable { key } => {
                let changed = client.switch_api_key(&key, false).await?;
                done(invocation, &changed, &format!("{key} is disabled"))
            }
            ApiKey::Delete { key } => {
                client.delete_api_key(&key).await?;
                invocation.console.note(&format!("{key} is deleted"));
                Ok(DONE)
            }
        }
    }
}
