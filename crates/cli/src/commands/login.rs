//! `login`, `logout`, `whoami`.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use squall_value::{Value, dict};

use super::{DONE, Invocation};
use crate::config::{self, ServerFrom, Store, StoredToken};
use crate::input;
use crate::output::{Cell, Details, Format, Paint, moment_with_zone};

pub(crate) const EXAMPLES: &str = "\
The password is asked for without showing it, or comes from --password-stdin or SQUALL_PASSWORD;
it is never an argument. The token is kept per context, readable by you only, and sent to no other
server than the one that gave it.

Examples:
  squall login alice
  squall login alice --server https://squall.example.com --context prod
  squall login alice --server https://squall.example.com --cacert squall.pem
  pass show squall | squall login alice --password-stdin";

/// Sign in, and keep the token.
#[derive(Args, Debug)]
pub struct Login {
    /// Who you are
    #[arg(value_name = "USER")]
    user: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// How long the token shall hold
    #[arg(short = 'l', long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    ttl: Option<u64>,
}

impl Login {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let connection = invocation.connection()?;
        let base = connection.endpoints.base().to_owned();
        let prompt = format!("Password of {} at {base}: ", self.user);
        let password = input::password(&invocation.surroundings, self.password_stdin, &prompt)?;
        let client = super::client(&connection, None)?;
        let ttl = self.ttl.map(Duration::from_secs);
        let token = client.sign_in(&self.user, &password, ttl).await?;
        let store = Store::open(&invocation.surroundings)?;
        let stored = StoredToken {
            server: base.clone(),
            user: self.user.clone(),
            token: token.token().to_owned(),
            expiry: token.expiry().to_owned(),
        };
        let path = store.save_token(&connection.context, &stored)?;
        if connection.server_from == ServerFrom::Option {
            let cacert = invocation.options.cacert.as_deref();
            remember(&store, &connection.context, &base, cacert)?;
        }
        let console = &mut invocation.console;
        let expires = moment_with_zone(token.expiry(), &console.screen.zone);
        if console.format == Format::Text {
            console.line(&format!(
                "signed in at {base} as {} until {expires}",
                self.user
            ))?;
            console.note(&format!("the token is kept in {}", path.display()));
        } else {
            // Not the token: what is printed may be kept.
            console.value(&dict! {
                "server" => base, "user" => self.user, "context" => connection.context,
                "expiry" => token.expiry(),
            })?;
        }
        Ok(DONE)
    }
}

/// Who signs in to a named server wants to use it: the context points at it from now on.
fn remember(store: &Store, context: &str, base: &str, cacert: Option<&Path>) -> Result<()> {
    let mut file = store.load()?;
    let entry = file.contexts.entry(context.to_owned()).or_default();
    let before = entry.clone();
    entry.point_at(base, cacert)?;
    if *entry != before {
        store.save(&file)?;
    }
    Ok(())
}

/// Forget the token.
#[derive(Args, Debug)]
pub struct Logout {}

impl Logout {
    pub(crate) fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let store = Store::open(&invocation.surroundings)?;
        let file = store.load()?;
        let context = config::context_name(&invocation.options, &invocation.surroundings, &file)?;
        let text = if store.forget_token(&context)? {
            format!("the token of context `{context}` is forgotten")
        } else {
            format!("context `{context}` has no token")
        };
        invocation.console.line(&text)?;
        Ok(DONE)
    }
}

/// Say which server is asked, and as whom.
#[derive(Args, Debug)]
pub struct Whoami {}

impl Whoami {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let connection = invocation.connection()?;
        let user = invocation.client()?.user().await?;
        let console = &mut invocation.console;
        if console.format != Format::Text {
            console.value(&user)?;
            return Ok(DONE);
        }
        let text = |path: &[&str]| {
            user.get_path(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let mut details = Details::new();
        let name = Cell::painted(text(&["username"]), Paint::Strong);
        let expires = moment_with_zone(
            text(&["authentication", "token_expire"]),
            &console.screen.zone,
        );
        details
            .line("user", name)
            .text("server", connection.endpoints.base())
            .text("server from", &connection.server_from.to_string())
            .text("context", &connection.context)
            .text("signed in by", text(&["authentication", "method"]))
            .text("from", &connection.credential_from.unwrap_or_default())
            .text("expires", &expires);
        let shown = details.render(&console.screen);
        console.write(&shown)?;
        Ok(DONE)
    }
}
