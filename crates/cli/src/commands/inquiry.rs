//! `inquiry`: questions that wait for an answer.

use anyhow::Result;
use clap::Subcommand;
use squall_client::{Query, Resource};
use squall_value::{Dict, Value};

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::failure::usage;
use crate::output::{Column, Format, Show};
use crate::{input, parameters};

/// List, show and answer questions.
#[derive(Debug, Subcommand)]
pub enum Inquiry {
    /// List the questions that wait for an answer
    #[command(after_help = "Example:\n  squall inquiry list")]
    List {
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a question, and what an answer has to be
    #[command(after_help = "Example:\n  squall inquiry get 65a14b2135b6ad228a105f2e")]
    Get {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Answer a question; what waited for the answer goes on
    #[command(after_help = "\
Examples:
  squall inquiry respond 65a14b2135b6ad228a105f2e continue=true
  squall inquiry respond 65a14b2135b6ad228a105f2e --response answer.yaml
  squall inquiry respond 65a14b2135b6ad228a105f2e --response - < secret.json")]
    Respond {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
        /// The answer, as the question's schema names its members
        #[arg(value_name = "NAME=VALUE", conflicts_with = "response")]
        words: Vec<String>,
        /// The answer as JSON, or a file of JSON or YAML with it; `-` is standard input
        #[arg(short, long, value_name = "FILE")]
        response: Option<String>,
    },
}

const COLUMNS: [Column; 5] = [
    Column::new("id", "id", Show::Plain),
    Column::new("route", "route", Show::Plain),
    Column::new("users", "users", Show::Plain),
    Column::new("roles", "roles", Show::Plain),
    Column::new("ttl", "ttl", Show::Plain),
];

impl Inquiry {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Inquiry::List { list } => {
                let query: Query = list.query();
                let columns = list.columns(&COLUMNS);
                list::show(
                    invocation,
                    Resource::Inquiries,
                    &query,
                    &columns,
                    "inquiries",
                )
                .await
            }
            Inquiry::Get { id } => {
                show::one(invocation, Resource::Inquiries, &id, &["id", "route"]).await
            }
            Inquiry::Respond {
                id,
                words,
                response,
            } => {
                let response = match response {
                    Some(file) => input::inline_or_file(&file)?,
                    None => answer(invocation, &id, &words).await?,
                };
                let answered = invocation.client()?.respond(&id, &response).await?;
                if invocation.console.format == Format::Text {
                    invocation.console.note(&format!("{id} is answered"));
                    return Ok(DONE);
                }
                show::print(invocation, &answered, &["id"])
            }
        }
    }
}

/// The answer that words give, by the types in the question's schema.
async fn answer(invocation: &mut Invocation, id: &str, words: &[String]) -> Result<Value> {
    let inquiry = invocation.client()?.one(Resource::Inquiries, id).await?;
    let members = inquiry.get_path(&["schema", "properties"]);
    let members = members
        .and_then(Value::as_dict)
        .cloned()
        .unwrap_or_else(Dict::new);
    if words.is_empty() && !members.is_empty() {
        let names: Vec<&str> = members.keys().map(|name| &**name).collect();
        return Err(usage(format!("the question asks for {}", names.join(", "))));
    }
    let answer = parameters::read(words, &members).map_err(|error| usage(error.to_string()))?;
    Ok(Value::from(answer))
}
