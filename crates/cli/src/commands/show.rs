//! Showing one object.

use anyhow::Result;
use squall_client::Resource;
use squall_value::Value;

use super::{DONE, Invocation};
use crate::output::{Details, Format};

/// Prints an object: some members first, then the others.
pub(crate) fn print(invocation: &mut Invocation, value: &Value, first: &[&str]) -> Result<u8> {
    let console = &mut invocation.console;
    if console.format != Format::Text {
        console.value(value)?;
        return Ok(DONE);
    }
    let mut details = Details::new();
    details.members(value, first);
    let text = details.render(&console.screen);
    console.write(&text)?;
    Ok(DONE)
}

/// Asks for an object and prints it.
pub(crate) async fn one(
    invocation: &mut Invocation,
    resource: Resource,
    id: &str,
    first: &[&str],
) -> Result<u8> {
    let value = invocation.client()?.one(resource, id).await?;
    print(invocation, &value, first)
}

/// Switches an object on or off, and says so.
pub(crate) async fn switched(
    invocation: &mut Invocation,
    resource: Resource,
    id: &str,
    enabled: bool,
) -> Result<u8> {
    let value = invocation.client()?.switch(resource, id, enabled).await?;
    if invocation.console.format != Format::Text {
        return print(invocation, &value, &[]);
    }
    let text = |name| value.get(name).and_then(Value::as_str);
    let name = text("ref").or_else(|| text("name")).unwrap_or(id);
    let state = if enabled { "enabled" } else { "disabled" };
    invocation.console.line(&format!("{name} is {state}"))?;
    Ok(DONE)
}
