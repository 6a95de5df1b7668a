//! `pack`.

mod create;
mod helpers;
mod life;
mod test;

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;
use squall_client::{Registered, Resource};
use squall_value::Value;

use crate::commands::list::{self, ListOptions};
use crate::commands::{DONE, Invocation, show};
use crate::failure::{FAILED, usage};
use crate::output::{Column, Format, Paint, Show, safe};

/// Install, remove, list, test and make packs.
#[derive(Debug, Subcommand)]
pub enum Pack {
    /// List packs
    #[command(after_help = "Example:\n  squall pack list")]
    List {
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a pack
    #[command(after_help = "Example:\n  squall pack get core")]
    Get {
        /// Name or id
        #[arg(value_name = "PACK")]
        pack: String,
    },
    /// Install or update packs
    #[command(after_help = life::INSTALL_EXAMPLES)]
    Install(life::Install),
    /// Install packs anew that have changed where they came from
    #[command(after_help = life::UPGRADE_EXAMPLES)]
    Upgrade(life::Upgrade),
    /// Remove packs; their configurations stay
    #[command(after_help = "Example:\n  squall pack remove shop")]
    Remove(life::Remove),
    /// Look for packs in the index
    #[command(after_help = "Example:\n  squall pack search mail")]
    Search {
        /// What their name, description or keywords hold
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Show what the index says of a pack
    #[command(after_help = "Example:\n  squall pack show csv")]
    Show {
        /// Name
        #[arg(value_name = "PACK")]
        pack: String,
    },
    /// Show or change what a pack is configured with
    #[command(after_help = life::CONFIG_EXAMPLES)]
    Config(life::Config),
    /// Run a pack's own tests, without a server
    #[command(after_help = test::EXAMPLES)]
    Test(test::Test),
    /// Make the beginning of a pack, without a server
    #[command(after_help = create::EXAMPLES)]
    Create(create::Create),
    /// Read a chat command by a format, for tests of aliases
    #[command(
        hide = true,
        after_help = "Example:\n  squall pack read-command --format 'greet {{name}}' 'greet Ann'"
    )]
    ReadCommand(helpers::ReadCommand),
    /// Print a YAML file as JSON, for our Python files
    #[command(
        hide = true,
        after_help = "Example:\n  squall pack read-yaml shop/pack.yaml"
    )]
    ReadYaml(helpers::ReadYaml),
    /// Have the server read packs' files again, and say what is wrong in them
    ///
    /// Exits with 1 if there are errors.
    #[command(after_help = "\
Examples:
  squall pack register
  squall pack register shop linux
  squall pack register ./packs/shop")]
    Register {
        /// Names, or directories within the server's pack directories [default: all packs]
        #[arg(value_name = "PACK")]
        packs: Vec<String>,
    },
}

const COLUMNS: [Column; 4] = [
    Column::new("ref", "ref", Show::Plain),
    Column::new("version", "version", Show::Plain),
    Column::new("author", "author", Show::Plain),
    Column::new("description", "description", Show::Plain),
];

impl Pack {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Pack::List { list } => {
                let columns = list.columns(&COLUMNS);
                list::show(
                    invocation,
                    Resource::Packs,
                    &list.query(),
                    &columns,
                    "packs",
                )
                .await
            }
            Pack::Get { pack } => {
                let first = ["ref", "name", "version", "description"];
                show::one(invocation, Resource::Packs, &pack, &first).await
            }
            Pack::Install(install) => install.carry_out(invocation).await,
            Pack::Upgrade(upgrade) => upgrade.carry_out(invocation).await,
            Pack::Remove(remove) => remove.carry_out(invocation).await,
            Pack::Search { text } => life::search(invocation, &text).await,
            Pack::Show { pack } => life::show(invocation, &pack).await,
            Pack::Config(config) => config.carry_out(invocation).await,
            Pack::Test(test) => test.carry_out(invocation),
            Pack::Create(create) => create.carry_out(invocation),
            Pack::ReadCommand(read) => read.carry_out(invocation),
            Pack::ReadYaml(read) => read.carry_out(invocation),
            Pack::Register { packs } => register(invocation, &packs).await,
        }
    }
}

/// The name of a pack; of a path its last part.
fn name(given: &str) -> Result<String> {
    if !given.contains(['/', '\\']) && given != "." && given != ".." {
        return Ok(given.to_owned());
    }
    let path = Path::new(given);
    let whole = path
        .canonicalize()
        .map_err(|error| usage(format!("{given} is no directory of a pack: {error}")))?;
    let name = whole
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| usage(format!("{given} is no directory of a pack")))
}

async fn register(invocation: &mut Invocation, packs: &[String]) -> Result<u8> {
    let names: Vec<String> = packs
        .iter()
        .map(|given| name(given))
        .collect::<Result<_>>()?;
    let client = invocation.client()?;
    let registered = client.register_packs(&names).await?;
    let is_error =
        |finding: &Value| finding.get("severity").and_then(Value::as_str) == Some("error");
    let code = if registered.findings.iter().any(is_error) {
        FAILED
    } else {
        DONE
    };
    if invocation.console.format != Format::Text {
        invocation.console.value(&registered.value)?;
        return Ok(code);
    }
    let color = invocation.console.screen.color;
    let mut text = String::new();
    for finding in &registered.findings {
        text.push_str(&line(finding, color));
        text.push('\n');
    }
    text.push_str(&summary(&registered));
    invocation.console.line(&text)?;
    Ok(code)
}

/// `pack/file:line:column: severity: message`, with the advice below.
fn line(finding: &Value, color: bool) -> String {
    let text = |name| {
        finding
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let number = |name| finding.get(name).and_then(Value::as_int).unwrap_or(0);
    let severity = match text("severity") {
        "error" => Paint::Bad.apply("error", color),
        other => Paint::Waiting.apply(other, color),
    };
    let file = text("file");
    let file = if file.starts_with('/') {
        file.to_owned()
    } else {
        format!("{}/{file}", text("pack"))
    };
    let place = format!("{file}:{}:{}", number("line"), number("column"));
    let mut line = format!("{place}: {severity}: {}", safe(text("message"), false));
    if !text("help").is_empty() {
        line.push_str("\n  help: ");
        line.push_str(&safe(text("help"), false));
    }
    line
}

/// `1 rule`, `2 rules`: the server names every kind in the plural.
fn counted(count: i64, kinds: &str) -> String {
    match kinds.strip_suffix("ies") {
        Some(stem) if count == 1 => format!("1 {stem}y"),
        None if count == 1 => format!("1 {}", kinds.strip_suffix('s').unwrap_or(kinds)),
        _ => format!("{count} {kinds}"),
    }
}

fn summary(registered: &Registered) -> String {
    let counts = registered
        .counts
        .iter()
        .map(|(kind, count)| counted(*count, &kind.replace('_', " ")));
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() {
        "nothing was registered".to_owned()
    } else {
        format!("registered: {}", counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use squall_value::json;

    use super::*;

    #[test]
    fn findings_can_be_clicked() {
        let finding = json::read(
            r#"{"pack": "shop", "file": "rules/on.yaml", "line": 3, "column": 5,
                "severity": "error", "message": "no such trigger", "help": "did you mean `x`?"}"#,
        )
        .unwrap();
        assert_eq!(
            line(&finding, false),
            "shop/rules/on.yaml:3:5: error: no such trigger\n  help: did you mean `x`?"
        );
        let elsewhere = r#"{"pack": "shop", "file": "/etc/shop.yaml", "line": 1, "column": 2,
            "severity": "warning", "message": "twice"}"#;
        assert_eq!(
            line(&json::read(elsewhere).unwrap(), false),
            "/etc/shop.yaml:1:2: warning: twice"
        );
    }

    #[test]
    fn names_are_taken_as_they_are_and_paths_looked_up() {
        assert_eq!(name("shop").unwrap(), "shop");
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("shop")).unwrap();
        let inner = directory.path().join("shop/.");
        assert_eq!(name(inner.to_str().unwrap()).unwrap(), "shop");
        let gone = directory.path().join("gone/x");
        assert!(name(gone.to_str().unwrap()).is_err());
    }
}
