//! What people hand in: files, standard input, data on the command line, passwords.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context as _, Result};
use squall_value::{Dict, Value, json};

use crate::config::Surroundings;
use crate::failure::usage;

/// No file that is handed in is longer.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The text of a file, or of standard input for `-`.
pub(crate) fn text(path: &str) -> Result<String> {
    let mut text = String::new();
    if path == "-" {
        let mut input = io::stdin().lock().take(FILE_BYTES_MAX + 1);
        let read = input.read_to_string(&mut text);
        read.context("reading standard input failed")?;
    } else {
        let shown = || format!("reading {path} failed");
        let file = fs::File::open(Path::new(path)).with_context(shown)?;
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
        read.with_context(shown)?;
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(usage(format!(
            "{path} is longer than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok(text)
}

/// The data in a file of YAML or JSON.
pub(crate) fn data(path: &str) -> Result<Value> {
    let text = text(path)?;
    parse(&text, if path == "-" { "standard input" } else { path })
}

/// Data written on the command line as JSON, or else in a file.
pub(crate) fn inline_or_file(argument: &str) -> Result<Value> {
    let trimmed = argument.trim_start();
    if trimmed.starts_with(['{', '[']) {
        return json::read(argument)
            .map_err(|error| usage(format!("the JSON `{argument}` can't be read: {error}")));
    }
    data(argument)
}

fn parse(text: &str, name: &str) -> Result<Value> {
    // YAML reads JSON too, but with limits made for people's files.
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = json::read(text)
    {
        return Ok(value);
    }
    squall_yaml::value(text).map_err(|failure| {
        let told = failure.first().render(name, text);
        // Whoever prints it says that it is an error.
        usage(told.strip_prefix("error: ").unwrap_or(&told))
    })
}

/// The members of an object; anything else is not what was asked for.
pub(crate) fn object(value: Value, what: &str) -> Result<Dict> {
    match value {
        Value::Dict(members) => Ok(std::sync::Arc::unwrap_or_clone(members)),
        Value::Null => Ok(Dict::new()),
        other => Err(usage(format!(
            "{what} must be an object, not {}",
            other.kind()
        ))),
    }
}

/// The password: from standard input if asked for, from SQUALL_PASSWORD, or from a prompt that does
/// not show it.
pub(crate) fn password(
    surroundings: &Surroundings,
    from_stdin: bool,
    prompt: &str,
) -> Result<String> {
    if from_stdin {
        let mut line = String::new();
        io::stdin()
            .lock()
            .take(64 << 10)
            .read_to_string(&mut line)
            .context("reading the password from standard input failed")?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    if let Some(password) = surroundings.variable("SQUALL_PASSWORD") {
        return Ok(password.to_owned());
    }
    if !io::stdin().is_terminal() {
        return Err(usage(
            "there is no terminal to ask for the password: use --password-stdin or SQUALL_PASSWORD",
        ));
    }
    rpassword::prompt_password(prompt).context("asking for the password failed")
}
