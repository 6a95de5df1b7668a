//! Jinja2 as StackStorm uses it: Python's values and operators, in a sandbox.
//!
//! The language is ours from the lexer to the value: the crates that exist evaluate with values of
//! their own (immutable, without tuples, other texts, other arithmetic), where packs rely on
//! Python's. The rules are those of Jinja 3.1 and CPython 3.11.

mod ast;
mod calls;
mod case;
mod catalogue;
mod convert;
#[cfg(test)]
mod coverage;
mod dates;
mod eval;
mod filters;
mod generator;
mod lexer;
mod lookup;
mod meta;
mod methods;
mod methods_number;
mod methods_str;
mod objects;
mod ops;
mod parse_expr;
mod parser;
mod percent;
mod registry;
mod scope;
mod tests;
mod text;
mod translate;
mod value;
mod variables;
mod versions;

use std::collections::BTreeSet;

use squall_value::Value;

pub(crate) use catalogue::visible;
pub(crate) use eval::{Engine, Outside};
pub(crate) use registry::{CallArgs, CatalogueFunction, Environment, function, functions};
pub(crate) use text::moment_text;
pub(crate) use value::{Entries, Key, Moment, Set, Val};

use crate::{Error, Kind, Limits};

/// Results inside the evaluator: errors are boxed, so that values stay small.
pub(crate) type Res<T> = Result<T, Box<Error>>;

/// An error of Python's class `class`.
pub(crate) fn raised(class: &'static str, kind: Kind, message: impl Into<String>) -> Box<Error> {
    Box::new(Error::new(class, kind, message))
}

fn type_error(message: impl Into<String>) -> Box<Error> {
    raised("TypeError", Kind::Type, message)
}

fn value_error(message: impl Into<String>) -> Box<Error> {
    raised("ValueError", Kind::Value, message)
}

fn index_error(message: impl Into<String>) -> Box<Error> {
    raised("IndexError", Kind::Index, message)
}

fn attribute_error(message: impl Into<String>) -> Box<Error> {
    raised("AttributeError", Kind::Attribute, message)
}

fn key_error(key: &Val) -> Box<Error> {
    raised("KeyError", Kind::Key, text::repr(key))
}

fn arithmetic_error(class: &'static str, message: impl Into<String>) -> Box<Error> {
    raised(class, Kind::Arithmetic, message)
}

fn runtime_error(message: impl Into<String>) -> Box<Error> {
    raised("TemplateRuntimeError", Kind::Runtime, message)
}

fn limit_error(message: impl Into<String>) -> Box<Error> {
    raised("LimitError", Kind::Limit, message)
}

fn syntax_error(message: impl Into<String>, line: u32) -> Box<Error> {
    let mut error = raised("TemplateSyntaxError", Kind::Parse, message);
    error.line = line;
    error
}

fn assertion_error(message: impl Into<String>, line: u32) -> Box<Error> {
    let mut error = raised("TemplateAssertionError", Kind::Parse, message);
    error.line = line;
    error
}

fn host_error(error: &crate::HostError) -> Box<Error> {
    raised(error.class, Kind::Other, error.message.clone())
}

/// A parsed and checked template.
#[derive(Debug)]
pub(crate) struct Template {
    body: ast::Body,
}

impl Template {
    /// Reads a template and refuses unknown filters and tests.
    pub(crate) fn compile(
        source: &str,
        environment: Environment,
        limits: &Limits,
    ) -> Res<Template> {
        let template = Template::parse(source, environment, limits)?;
        meta::check(&template.body)?;
        Ok(template)
    }

    /// Reads a template.
    pub(crate) fn parse(source: &str, environment: Environment, limits: &Limits) -> Res<Template> {
        let parser = parser::Parser::new(source, lexer::Start::Text, environment, limits.depth);
        Ok(Template {
            body: parser.template()?,
        })
    }

    pub(crate) fn render(&self, engine: &Engine<'_>) -> Res<String> {
        engine.render(&self.body)
    }

    /// The names it reads from its context.
    pub(crate) fn undeclared(&self) -> BTreeSet<String> {
        meta::undeclared(&self.body)
    }
}

/// A parsed bare expression.
#[derive(Debug)]
pub(crate) struct Expression {
    expr: ast::Expr,
}

impl Expression {
    /// Reads an expression and refuses unknown filters and tests.
    pub(crate) fn compile(
        source: &str,
        environment: Environment,
        limits: &Limits,
    ) -> Res<Expression> {
        let parser =
            parser::Parser::new(source, lexer::Start::Expression, environment, limits.depth);
        let expr = parser.single_expression(false)?;
        meta::check_expression(&expr)?;
        Ok(Expression { expr })
    }

    /// Whether a prefix of `source` is an expression, as validation of workflows asks.
    pub(crate) fn validate(source: &str, environment: Environment, limits: &Limits) -> Res<()> {
        let parser =
            parser::Parser::new(source, lexer::Start::Expression, environment, limits.depth);
        parser.single_expression(true).map(drop)
    }

    /// Its value; a generator is a list by then.
    pub(crate) fn evaluate(&self, engine: &Engine<'_>) -> Res<Val> {
        let value = engine.evaluate(&self.expr)?;
        convert::settled(engine, value)
    }
}

/// Calls a function of the catalogue.
pub(crate) fn call_function(
    engine: &Engine<'_>,
    function: &CatalogueFunction,
    args: CallArgs,
) -> Res<Val> {
    (function.call)(engine, registry::bind(function, args)?)
}

/// Python's `str(value)`.
pub(crate) fn str(engine: &Engine<'_>, value: &Val) -> Res<squall_value::Str> {
    engine.text(value)
}

/// Plain data of a value.
pub(crate) fn plain(engine: &Engine<'_>, value: &Val) -> Res<Value> {
    convert::plain(engine, value)
}

/// The positions that a slice picks from a sequence of `length`.
pub(crate) fn slice_positions(
    length: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> Vec<usize> {
    lookup::indices(length, start, stop, step).collect()
}
