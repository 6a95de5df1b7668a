//! `context`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Endpoints;
use squall_value::{Value, dict};

use super::{DONE, Invocation};
use crate::config::{self, Store};
use crate::failure::usage;
use crate::output::{Cell, Format, Paint, Table};

/// Name servers, and choose among them.
#[derive(Debug, Subcommand)]
pub enum Context {
    /// List contexts; the current one is marked
    #[command(after_help = "Example:\n  squall context list")]
    List,
    /// Use a context from now on
    #[command(after_help = "Example:\n  squall context use prod")]
    Use {
        /// Name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Name a server, or change the server of a name
    #[command(after_help = "\
Examples:
  squall context set prod --server https://squall.example.com
  squall context set lab --server https://lab:9101 --cacert lab.pem")]
    Set {
        /// Name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Forget a context and its token
    #[command(after_help = "Example:\n  squall context delete lab")]
    Delete {
        /// Name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl Context {
    pub(crate) fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let store = Store::open(&invocation.surroundings)?;
        match self {
            Context::List => list(invocation, &store),
            Context::Use { name } => {
                config::check_context(&name)?;
                let mut file = store.load()?;
                if !file.contexts.contains_key(&name) {
                    return Err(usage(format!(
                        "there is no context `{name}`: make it with \
                         `squall context set {name} --server URL`"
                    )));
                }
                file.current = Some(name.clone());
                store.save(&file)?;
                invocation
                    .console
                    .line(&format!("using context `{name}`"))?;
                Ok(DONE)
            }
            Context::Set { name } => set(invocation, &store, name),
            Context::Delete { name } => {
                config::check_context(&name)?;
                let mut file = store.load()?;
                let known = file.contexts.remove(&name).is_some();
                let token = store.forget_token(&name)?;
                if !known && !token {
                    return Err(usage(format!("there is no context `{name}`")));
                }
                if file.current.as_ref() == Some(&name) {
                    file.current = None;
                }
                store.save(&file)?;
                invocation
                    .console
                    .line(&format!("context `{name}` is forgotten"))?;
                Ok(DONE)
            }
        }
    }
}

fn set(invocation: &mut Invocation, store: &Store, name: String) -> Result<u8> {
    config::check_context(&name)?;
    let Some(server) = &invocation.options.server else {
        return Err(usage("name the server with --server URL"));
    };
    let endpoints = Endpoints::from_base(server).map_err(|error| usage(error.to_string()))?;
    let mut file = store.load()?;
    let base = endpoints.base().to_owned();
    let entry = file.contexts.entry(name.clone()).or_default();
    entry.point_at(&base, invocation.options.cacert.as_deref())?;
    // The first one is the one that is meant.
    if file.current.is_none() && file.contexts.len() == 1 {
        file.current = Some(name.clone());
    }
    store.save(&file)?;
    invocation
        .console
        .line(&format!("context `{name}` is {base}"))?;
    Ok(DONE)
}

fn list(invocation: &mut Invocation, store: &Store) -> Result<u8> {
    let file = store.load()?;
    let current = config::context_name(&invocation.options, &invocation.surroundings, &file)?;
    let mut contexts = Vec::new();
    for (name, entry) in &file.contexts {
        let token = store.token(name)?;
        contexts.push(dict! {
            "name" => name.as_str(),
            "current" => *name == current,
            "server" => entry.server.as_deref(),
            "user" => token.map(|token| token.user),
        });
    }
    let console = &mut invocation.console;
    if console.format != Format::Text {
        console.value(&Value::from(contexts))?;
        return Ok(DONE);
    }
    if contexts.is_empty() {
        console.note("no contexts; `squall context set NAME --server URL` makes one");
        return Ok(DONE);
    }
    let mut table = Table::new(["", "name", "server", "signed in as"]);
    for context in &contexts {
        let text = |name| {
            context
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let is_current = context.get("current") == Some(&Value::Bool(true));
        let (mark, paint) = if is_current {
            ("*", Paint::Strong)
        } else {
            ("", Paint::None)
        };
        table.row([
            Cell::new(mark),
            Cell::painted(text("name"), paint),
            Cell::new(text("server")),
            Cell::new(text("user")),
        ]);
    }
    let shown = table.render(&console.screen);
    console.write(&shown)?;
    Ok(DONE)
}
