//! Writes each line of JSON on standard input as YAML, in the style of PyYAML (`emit pyyaml`) or
//! for people (`emit people`); one JSON text per line comes out, so that it can be compared.

use std::io::{BufRead, Write};

use squall_value::{Value, json};
use squall_yaml::{EmitStyle, emit};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let style = match std::env::args().nth(1).as_deref() {
        Some("pyyaml") => EmitStyle::pyyaml(),
        _ => EmitStyle::people(),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let value = json::read(&line?)?;
        writeln!(out, "{}", Value::from(emit(&value, &style)).to_json())?;
    }
    out.flush()?;
    Ok(())
}
