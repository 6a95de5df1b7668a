//! Texts to expressions, expressions to results.

use std::fmt;
use std::sync::Arc;

use squall_value::{Str, Value as Data};

use crate::ast::Expr;
use crate::context::Context;
use crate::convert;
use crate::error::{Error, ParseError};
use crate::eval::Evaluation;
use crate::host::Host;
use crate::library::Library;
use crate::limits::{Budget, Options};
use crate::parser::{self, Grammar};
use crate::value::Value;

/// Reads expressions under one set of options.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    options: Arc<Options>,
}

impl Engine {
    /// An engine with these options.
    #[must_use]
    pub fn new(options: Options) -> Engine {
        Engine {
            options: Arc::new(options),
        }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The standard functions that fit the options: with `lambda` when delegates are on.
    #[must_use]
    pub fn library(&self) -> Arc<Library> {
        if self.options.delegates {
            Library::standard_with_delegates()
        } else {
            Library::standard()
        }
    }

    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// [`ParseError`] with the place where the text stops making sense.
    pub fn parse(&self, text: &str) -> Result<Expression, ParseError> {
        let grammar = Grammar {
            delegates: self.options.delegates,
            keyword_operator: self.options.keyword_operator,
            depth_max: self.options.nesting_max,
        };
        Ok(Expression {
            root: parser::parse(text, grammar)?,
            text: Str::from(text),
            options: self.options.clone(),
        })
    }

    /// `$` for a piece of data: immutable or, without `convert_input_data`, as Python's own.
    #[must_use]
    pub fn input(&self, data: Data) -> Value {
        if self.options.convert_input_data {
            Value::from(data)
        } else {
            Value::from_mutable_data(data)
        }
    }
}

/// A read expression. Shared by threads and evaluated as often as one likes.
#[derive(Clone)]
pub struct Expression {
    root: Arc<Expr>,
    text: Str,
    options: Arc<Options>,
}

impl Expression {
    /// The text it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The functions and methods that the expression calls by name, in order. None if it defines
    /// functions of its own, as what it calls may then be one of them.
    #[must_use]
    pub fn calls(&self) -> Vec<&str> {
        let mut calls = Vec::new();
        self.root.add_calls(&mut calls);
        if calls.contains(&"def") {
            calls.clear();
        }
        calls
    }

    /// Evaluates, with all kinds of values in the result: sets, dates, tuples inside sets. Lazy ones
    /// are pulled unless the options turn output conversion off.
    ///
    /// # Errors
    ///
    /// Whatever the expression fails with, [`Kind::Limit`](crate::ErrorKind::Limit) when `budget` is
    /// used up.
    pub fn evaluate(
        &self,
        context: &Context,
        host: &dyn Host,
        budget: &mut Budget,
    ) -> Result<Value, Error> {
        let library = context.library().unwrap_or_else(Library::standard);
        let mut evaluation = Evaluation::new(budget, host, &self.options, library);
        let result = evaluation
            .eval_whole(&self.root, context)
            .and_then(|value| {
                if self.options.convert_output_data {
                    convert::finalize(&mut evaluation, value)
                } else {
                    Ok(value)
                }
            });
        evaluation.finish();
        result
    }

    /// Evaluates to plain data: sets become lists, dates ISO 8601 text, timespans seconds, keys
    /// texts; functions, contexts and regular expressions their Python text.
    ///
    /// # Errors
    ///
    /// As [`Expression::evaluate`].
    pub fn evaluate_data(
        &self,
        context: &Context,
        host: &dyn Host,
        budget: &mut Budget,
    ) -> Result<Data, Error> {
        let value = self.evaluate(context, host, budget)?;
        convert::to_data(&value)
    }
}

impl Value {
    /// The value as plain data, as [`Expression::evaluate_data`] gives it.
    ///
    /// # Errors
    ///
    /// When a key's text can't be written.
    pub fn to_data(&self) -> Result<Data, Error> {
        convert::to_data(self)
    }

    /// Python's `repr(value)`: as [`Value::to_python_str`], with quotes around a text.
    ///
    /// # Errors
    ///
    /// As [`Value::to_python_str`].
    pub fn to_python_repr(&self) -> Result<String, Error> {
        let mut out = String::new();
        crate::text::repr(&mut out, self, 64 << 20)?;
        Ok(out)
    }

    /// Python's `str(value)`: `None`, `True`, `(1, 'a')`; at most 64 MiB of it.
    ///
    /// # Errors
    ///
    /// When the text would be longer, or an integer has more digits than CPython prints.
    pub fn to_python_str(&self) -> Result<String, Error> {
        crate::text::python_str(self, 64 << 20)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}
