//! `expr`: expressions without a server.

use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use squall_env::Env;
use squall_expr::{CurrentTask, Error, Expressions, Host, HostError, KeyScope, Scope};
use squall_value::{Dict, Str, Value};

use super::{DONE, Invocation};
use crate::failure::FAILED;
use crate::input;
use crate::output::{Format, Paint};

/// Evaluate expressions, without a server.
#[derive(Debug, Subcommand)]
pub enum Expr {
    /// Evaluate a YAQL or Jinja expression as a workflow would
    ///
    /// A text without `<% %>` or `{{ }}` is taken as one whole expression. There is no datastore
    /// here, and no server: `--context` names a file of variables, as `--vars` does.
    #[command(after_help = "\
Examples:
  squall expr eval 'range(3).select($ * 2)'
  squall expr eval '<% ctx().hosts.where($.up).name %>' --vars vars.yaml
  squall execution get last --json | squall expr eval '{{ ctx().status | upper }}' --vars -")]
    Eval(Eval),
}

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LanguageChoice {
    /// YAQL.
    #[default]
    Yaql,
    /// Jinja.
    Jinja,
}

/// Evaluate an expression.
#[derive(Args, Debug)]
pub struct Eval {
    /// The expression, or `-` for standard input
    #[arg(value_name = "EXPRESSION")]
    expression: String,
    /// The variables: a file of JSON or YAML, or `-` for standard input
    #[arg(
        short,
        long = "vars",
        visible_alias = "context-file",
        value_name = "FILE"
    )]
    variables: Option<String>,
    /// What `result()` gives: JSON or a file
    #[arg(long, value_name = "FILE|JSON")]
    result: Option<String>,
    /// The language of an expression without delimiters
    #[arg(short, long, value_enum, default_value_t)]
    language: LanguageChoice,
}

impl Expr {
    pub(crate) fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let Expr::Eval(eval) = self;
        eval.carry_out(invocation)
    }
}

impl Eval {
    fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let text = if self.expression == "-" {
            input::text("-")?.trim_end().to_owned()
        } else {
            self.expression
        };
        // No server is asked here, so this context can only be the expression's.
        let variables = match self
            .variables
            .as_ref()
            .or(invocation.options.context.as_ref())
        {
            Some(path) => input::object(input::data(path)?, "the variables")?,
            None => Dict::new(),
        };
        let result = self.result.map(|given| input::inline_or_file(&given));
        let scope = Variables {
            variables: Arc::new(variables),
            result: result.transpose()?,
            world: World(Arc::clone(&invocation.env)),
        };
        let statement = delimited(&text, self.language);
        let expressions = Expressions::default();
        let compiled = expressions.compile(&Value::from(statement.as_str()));
        match expressions.evaluate(&compiled, &scope) {
            Ok(value) => print(invocation, &value),
            Err(error) => {
                let place = place(&statement, &expressions, &error);
                let color = invocation.console.side.color;
                let told = told(&statement, &error, place, color);
                invocation.console.note(&told);
                Ok(FAILED)
            }
        }
    }
}

fn print(invocation: &mut Invocation, value: &Value) -> Result<u8> {
    match value {
        Value::String(text) if invocation.console.format == Format::Text => {
            invocation.console.line(text)?;
        }
        value => invocation.console.value(value)?,
    }
    Ok(DONE)
}

/// The text with delimiters, so that it is a workflow's statement.
fn delimited(text: &str, language: LanguageChoice) -> String {
    if ["<%", "{{", "{%"].iter().any(|open| text.contains(open)) {
        return text.to_owned();
    }
    match language {
        LanguageChoice::Yaql => format!("<% {} %>", text.trim()),
        LanguageChoice::Jinja => format!("{{{{ {} }}}}", text.trim()),
    }
}

/// Characters of the statement from the first to the one behind the last, that are to blame.
type Place = (usize, usize);

/// Where a statement is wrong: the exact place if its syntax is, else the expression that failed.
fn place(statement: &str, expressions: &Expressions, error: &Error) -> Option<Place> {
    let invalid = expressions.validate(&Value::from(statement));
    if let Some(found) = invalid.first() {
        let start = statement.find(&found.expression)?;
        let (from, to) = characters(statement, start, start + found.expression.len());
        return Some(yaql_place(statement, start, &found.expression).unwrap_or((from, to)));
    }
    sections(statement)
        .into_iter()
        .find(|(start, end)| error.message.contains(&statement[*start..*end]))
        .map(|(start, end)| characters(statement, start, end))
}

/// Where YAQL stops making sense within an expression that begins at byte `start`.
fn yaql_place(statement: &str, start: usize, expression: &str) -> Option<Place> {
    let inner = expression.strip_prefix("<%")?.strip_suffix("%>")?;
    let lead = 2 + (inner.len() - inner.trim_start().len());
    let engine = squall_yaql::Engine::new(squall_yaql::Options::default());
    let error = engine.parse(inner.trim()).err()?;
    let (first, _) = characters(statement, start + lead, start + lead);
    let offset = error
        .position
        .unwrap_or_else(|| inner.trim().chars().count());
    Some((first + offset, first + offset + 1))
}

fn characters(text: &str, start: usize, end: usize) -> Place {
    let count = |end: usize| text[..end].chars().count();
    (count(start), count(end))
}

/// The expressions of a statement, as ranges of bytes.
fn sections(statement: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (open, close) in [("<%", "%>"), ("{{", "}}")] {
        let mut at = 0;
        while let Some(start) = statement[at..].find(open).map(|start| start + at) {
            let Some(end) = statement[start..].find(close) else {
                break;
            };
            at = start + end + close.len();
            found.push((start, at));
        }
    }
    found
}

/// The error, with the lines of the statement that are to blame and carets below.
fn told(statement: &str, error: &Error, place: Option<Place>, color: bool) -> String {
    let mut text = format!("{}: {error}", Paint::Bad.apply("error", color));
    let Some((start, end)) = place else {
        return text;
    };
    let mut at = 0;
    let mut lines = statement.split('\n').peekable();
    while let Some(line) = lines.next() {
        let length = line.chars().count();
        // An expression that ends too early is blamed behind the last character.
        let is_last = lines.peek().is_none();
        let from = start.max(at);
        let to = end.min(at + length + usize::from(is_last));
        if from < to || (start == at + length && start + 1 == end) {
            let carets = "^".repeat(to.saturating_sub(from).max(1));
            let carets = Paint::Bad.apply(&carets, color);
            let line: String = line
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            text.push_str(&format!(
                "\n  | {line}\n  | {}{carets}",
                " ".repeat(from - at)
            ));
        }
        at += length + 1;
    }
    text
}

/// Variables without a workflow around them.
struct Variables {
    variables: Arc<Dict>,
    result: Option<Value>,
    world: World,
}

impl Scope for Variables {
    fn variable(&self, name: &str) -> Option<Value> {
        self.variables.get(name).cloned()
    }

    fn variables(&self) -> Arc<Dict> {
        let is_private = |name: &Str| name.starts_with("__");
        if !self.variables.keys().any(is_private) {
            return Arc::clone(&self.variables);
        }
        let visible = self.variables.iter().filter(|(name, _)| !is_private(name));
        Arc::new(
            visible
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    fn current_task(&self) -> Option<CurrentTask> {
        Some(CurrentTask {
            id: Str::from("task"),
            route: 0,
            result: Some(self.result.clone()?),
        })
    }

    fn task_status(&self, _task: &str, _route: Option<usize>) -> Option<Str> {
        self.result.as_ref().map(|_| Str::from("succeeded"))
    }

    fn task(&self, task: &str, _route: Option<usize>) -> Result<Value, Error> {
        Err(Error::function(format!(
            "Unable to find task execution for \"{task}\"."
        )))
    }

    fn item(&self) -> Option<Value> {
        None
    }

    fn host(&self) -> &dyn Host {
        &self.world
    }
}

/// Time and chance, and no datastore.
struct World(Arc<dyn Env>);

impl Host for World {
    fn key(&self, _: &KeyScope, _: &str, _: bool) -> Result<Option<Value>, HostError> {
        Err(HostError {
            class: "DataStoreKeyNotFoundError",
            message: "there is no datastore here: pass the value in the variables".to_owned(),
        })
    }

    fn decrypt(&self, _: &str) -> Result<String, HostError> {
        Err(HostError {
            class: "ValueError",
            message: "there is no key here to decrypt with".to_owned(),
        })
    }

    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use squall_env::FakeEnv;
    use squall_value::dict;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Expect) {
        let statement = delimited(text, LanguageChoice::Yaql);
        let Value::Dict(variables) = dict!( "name" => "web01", "é" => 1, "__x" => 2 ) else {
            panic!("a dictionary is a dictionary");
        };
        let scope = Variables {
            variables,
            result: Some(Value::Int(7)),
            world: World(Arc::new(FakeEnv::new(1))),
        };
        let expressions = Expressions::default();
        let compiled = expressions.compile(&Value::from(statement.as_str()));
        let shown = match expressions.evaluate(&compiled, &scope) {
            Ok(value) => value.to_json(),
            Err(error) => {
                let place = place(&statement, &expressions, &error);
                told(&statement, &error, place, false)
            }
        };
        expect.assert_eq(&shown);
    }

    #[test]
    fn expressions_see_the_variables() {
        check("ctx().name", expect![[r#""web01""#]]);
        check("result() + 1", expect!["8"]);
        check("{{ ctx().name | upper }}!", expect![[r#""WEB01!""#]]);
    }

    #[test]
    fn errors_are_pointed_at() {
        check(
            "é + <% ctx( %>",
            expect![[r#"
            error: YaqlEvaluationException: Unable to evaluate expression '<% ctx( %>'. YaqlGrammarException: Parse error: unexpected end of statement
              | é + <% ctx( %>
              |            ^"#]],
        );
        check(
            "1 +* 2",
            expect![[r#"
            error: YaqlEvaluationException: Unable to evaluate expression '<% 1 +* 2 %>'. YaqlGrammarException: Parse error: unexpected '*' at position 3 of expression '1 +* 2
              | <% 1 +* 2 %>
              |       ^"#]],
        );
        check(
            "a <% ctx().gone %> b",
            expect![[r#"
            error: YaqlEvaluationException: Unable to resolve key 'gone' in expression '<% ctx().gone %>' from context.
              | a <% ctx().gone %> b
              |   ^^^^^^^^^^^^^^^^"#]],
        );
        check(
            "{{ 1 + }}",
            expect![[r#"
            error: JinjaEvaluationException: Unable to evaluate expression '{{ 1 + }}'. TemplateSyntaxError: unexpected 'end of template'
              | {{ 1 + }}
              | ^^^^^^^^^"#]],
        );
    }
}
