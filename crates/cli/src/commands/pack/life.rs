//! Packs come and go, and are looked for: `pack install`, `remove`, `search`, `show`, `config`.

use anyhow::Result;
use clap::Args;
use squall_client::{ExecutionRequest, Page};
use squall_value::{Dict, Value};

use super::COLUMNS;
use crate::commands::{DONE, Invocation, list, run};
use crate::failure::{FAILED, usage};
use crate::input;

pub(crate) const INSTALL_EXAMPLES: &str = "\
A pack comes from a git URL, a directory of the server's machine, or by its name from the index that
the configuration of the pack `packs` names; `=` and a tag, branch or commit choose a version.

Examples:
  squall pack install https://github.com/StackStorm-Exchange/stackstorm-csv
  squall pack install csv=1.0.0 email
  squall pack install file:///srv/packs/shop";

/// Options of `pack install`.
#[derive(Debug, Args)]
pub struct Install {
    /// Where the packs come from
    #[arg(value_name = "PACK", required = true)]
    packs: Vec<String>,
    /// Install packs even if they say that they don't fit this server
    #[arg(long)]
    force: bool,
    /// Leave out the packs that they depend on
    #[arg(long)]
    skip_dependencies: bool,
    /// Print what the actions print, as it comes
    #[arg(long)]
    tail: bool,
}

impl Install {
    pub(super) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let mut parameters = Dict::new();
        parameters.insert(
            "packs",
            Value::from_iter(self.packs.iter().map(|pack| whole(pack))),
        );
        parameters.insert("force", self.force);
        parameters.insert("skip_dependencies", self.skip_dependencies);
        start(invocation, "packs.install", parameters, self.tail).await
    }
}

/// A directory by its absolute path: the server stands elsewhere.
fn whole(pack: &str) -> Value {
    let looks_like_one = pack.starts_with('.') && !pack.contains('=');
    let path = looks_like_one.then(|| std::fs::canonicalize(pack).ok());
    match path.flatten() {
        Some(path) => Value::from(path.to_string_lossy().into_owned()),
        None => Value::from(pack),
    }
}

pub(crate) const UPGRADE_EXAMPLES: &str = "\
A pack that was installed by a tag or commit stays at it; one that was installed by a branch, or by
no version, becomes what is newest there. What has not changed is left alone.

Examples:
  squall pack upgrade
  squall pack upgrade shop linen";

/// Options of `pack upgrade`.
#[derive(Debug, Args)]
pub struct Upgrade {
    /// Names [default: all that were installed]
    #[arg(value_name = "PACK")]
    packs: Vec<String>,
    /// Upgrade packs even if they say that they don't fit this server
    #[arg(long)]
    force: bool,
    /// Leave out the packs that they depend on
    #[arg(long)]
    skip_dependencies: bool,
    /// Print what the actions print, as it comes
    #[arg(long)]
    tail: bool,
}

impl Upgrade {
    pub(super) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let mut parameters = Dict::new();
        parameters.insert(
            "packs",
            Value::from_iter(self.packs.into_iter().map(Value::from)),
        );
        parameters.insert("force", self.force);
        parameters.insert("skip_dependencies", self.skip_dependencies);
        start(invocation, "packs.upgrade", parameters, self.tail).await
    }
}

/// Options of `pack remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// Names
    #[arg(value_name = "PACK", required = true)]
    packs: Vec<String>,
}

impl Remove {
    pub(super) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let mut parameters = Dict::new();
        parameters.insert(
            "packs",
            Value::from_iter(self.packs.into_iter().map(Value::from)),
        );
        start(invocation, "packs.uninstall", parameters, false).await
    }
}

async fn start(
    invocation: &mut Invocation,
    action: &str,
    parameters: Dict,
    tail: bool,
) -> Result<u8> {
    let client = invocation.client()?;
    let request = ExecutionRequest {
        action: action.to_owned(),
        parameters,
        user: None,
        trace_tag: None,
        delay: None,
    };
    let execution = client.execute(&request).await?;
    run::finish(invocation, &client, &execution, tail, None).await
}

/// What the index says of packs.
pub(super) async fn search(invocation: &mut Invocation, text: &str) -> Result<u8> {
    let found = invocation.client()?.search_packs(text).await?;
    let packs = found.as_list().unwrap_or_default().to_vec();
    let page = Page {
        total: None,
        items: packs,
    };
    list::print(
        invocation,
        &page,
        &COLUMNS,
        "packs with that in name, description or keywords",
    )
}

/// What the index says of one pack.
pub(super) async fn show(invocation: &mut Invocation, pack: &str) -> Result<u8> {
    let found = invocation.client()?.indexed_pack(pack).await?;
    if found.as_dict().is_none_or(Dict::is_empty) {
        invocation
            .console
            .note(&format!("error: the index has no pack {pack}"));
        return Ok(FAILED);
    }
    invocation.console.value(&found)?;
    Ok(DONE)
}

pub(crate) const CONFIG_EXAMPLES: &str = "\
Examples:
  squall pack config shop
  squall pack config shop --set region=north --set retries=3
  squall pack config shop --file shop.yaml";

/// Options of `pack config`.
#[derive(Debug, Args)]
pub struct Config {
    /// Name of the pack
    #[arg(value_name = "PACK")]
    pack: String,
    /// Set a value; JSON is read as such, all else is text
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Replace all values by those in a file of JSON or YAML, or `-` for standard input: the place
    /// for secrets
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    file: Option<String>,
    /// Show secrets in clear
    #[arg(long)]
    show_secrets: bool,
}

impl Config {
    pub(super) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        let shown = if let Some(file) = &self.file {
            let values = input::object(input::data(file)?, "the file of values")?;
            client
                .put_pack_config(&self.pack, &Value::from(values))
                .await?
        } else if self.set.is_empty() {
            client.pack_config(&self.pack, self.show_secrets).await?
        } else {
            // The values that stay are sent again as they are, so they are needed in clear.
            let before = match client.pack_config(&self.pack, true).await {
                Err(error) if error.status() == Some(404) => Value::Null,
                before => before?,
            };
            let mut values = before
                .get("values")
                .and_then(Value::as_dict)
                .cloned()
                .unwrap_or_default();
            for setting in &self.set {
                let Some((key, text)) = setting.split_once('=') else {
                    return Err(usage(format!("`{setting}` is not KEY=VALUE")));
                };
                let value = squall_value::json::read(text).unwrap_or_else(|_| Value::from(text));
                values.insert(key, value);
            }
            client
                .put_pack_config(&self.pack, &Value::from(values))
                .await?
        };
        let none = Value::empty_dict();
        invocation
            .console
            .value(shown.get("values").unwrap_or(&none))?;
        Ok(DONE)
    }
}
