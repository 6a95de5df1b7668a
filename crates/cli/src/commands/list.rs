//! What all lists have in common.

use anyhow::Result;
use clap::Args;
use squall_client::{Page, Query, Resource};
use squall_value::Value;

use super::{DONE, Invocation};
use crate::output::{Column, Format, Table};

/// How much of a list, and which members of its entries.
#[derive(Args, Debug)]
pub struct ListOptions {
    /// How many at most; -1 for all
    #[arg(
        short = 'n',
        long = "last",
        visible_alias = "limit",
        value_name = "COUNT",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..)
    )]
    limit: Option<i64>,
    /// Show these members as columns, such as `id,context.user`
    #[arg(long, value_name = "MEMBER,...", value_delimiter = ',')]
    attr: Vec<String>,
}

impl ListOptions {
    pub(crate) fn limit(&self) -> Option<i64> {
        self.limit
    }

    pub(crate) fn query(&self) -> Query {
        Query::new().maybe("limit", self.limit)
    }

    /// The columns: those asked for, or the usual ones.
    pub(crate) fn columns(&self, usual: &[Column]) -> Vec<Column> {
        if self.attr.is_empty() {
            usual.to_vec()
        } else {
            self.attr.iter().map(|path| Column::named(path)).collect()
        }
    }
}

/// Prints a list.
pub(crate) fn print(
    invocation: &mut Invocation,
    page: &Page<Value>,
    columns: &[Column],
    what: &str,
) -> Result<u8> {
    if invocation.console.format != Format::Text {
        let all: Value = page.items.iter().cloned().collect();
        invocation.console.value(&all)?;
        return Ok(DONE);
    }
    if page.items.is_empty() {
        invocation.console.note(&format!("no {what}"));
        return Ok(DONE);
    }
    let now = invocation.env.now();
    let console = &mut invocation.console;
    let table = Table::of(columns, &page.items, &console.screen, now);
    let text = table.render(&console.screen);
    console.write(&text)?;
    let shown = page.items.len() as u64;
    if let Some(total) = page.total.filter(|total| *total > shown) {
        console.note(&format!("{shown} of {total} {what}; -n shows more"));
    }
    Ok(DONE)
}

/// Asks for a list and prints it.
pub(crate) async fn show(
    invocation: &mut Invocation,
    resource: Resource,
    query: &Query,
    columns: &[Column],
    what: &str,
) -> Result<u8> {
    let page = invocation.client()?.list(resource, query).await?;
    print(invocation, &page, columns, what)
}
