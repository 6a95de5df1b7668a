//! Evaluates an expression on JSON from standard input.
//!
//! `echo '[3, 1, 2]' | cargo run -p squall-yaql --example evaluate -- '$.orderBy($)'`

use std::io::Read;
use std::process::ExitCode;

use squall_value::json;
use squall_yaql::{Budget, Context, Detached, Engine};

fn run(text: &str) -> Result<String, String> {
    let mut input = String::new();
    std::io::stdin()
        .read_to_string(&mut input)
        .map_err(|error| format!("standard input can't be read: {error}"))?;
    let data = json::read(&input).map_err(|error| format!("standard input is no JSON: {error}"))?;
    let engine = Engine::default();
    let expression = engine.parse(text).map_err(|error| error.to_string())?;
    let context = Context::new(engine.library());
    let failed = |error: squall_yaql::Error| format!("{}: {error}", error.class);
    context.set("$", engine.input(data)).map_err(failed)?;
    let result = expression
        .evaluate_data(&context, &Detached, &mut Budget::new())
        .map_err(failed)?;
    Ok(result.to_json())
}

#[allow(clippy::print_stdout, clippy::print_stderr)] // A program for people.
fn main() -> ExitCode {
    let Some(text) = std::env::args().nth(1) else {
        eprintln!("usage: evaluate EXPRESSION < data.json");
        return ExitCode::FAILURE;
    };
    match run(&text) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
