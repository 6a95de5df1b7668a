//! The door.

use std::collections::BTreeSet;
use std::sync::Arc;

use squall_value::{Dict, Str, Value, json, orjson};

use crate::cache::Cache;
use crate::jinja::{self, Engine, Environment, Outside, Template, Val};
use crate::statement::{self, Found, Node, Text};
use crate::{
    Context, Error, Invalid, Kind, Language, Limits, Reference, Scope, Statement, Undefined,
    references, yaql,
};

/// How often the result of an expression may be an expression again.
const REEVALUATION_MAX: usize = 16;
/// What it costs to read and evaluate a result once more, in steps.
const AGAIN_STEPS: u32 = 1_000;
/// How many bytes of a text are searched and copied for one step.
const COPIED_PER_STEP: u64 = 64;

type Compiled = Arc<Result<Template, Box<Error>>>;

/// Compiled texts, cached, and the limits on evaluation. Shared by all threads; one per process is
/// enough.
pub struct Expressions {
    limits: Limits,
    texts: Cache<Str, Option<Arc<Text>>>,
    templates: [Cache<Str, Compiled>; 2],
}

impl Default for Expressions {
    fn default() -> Expressions {
        Expressions::new(Limits::default())
    }
}

impl std::fmt::Debug for Expressions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expressions")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Expressions {
    /// An empty cache with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Expressions {
        Expressions {
            limits,
            texts: Cache::new(limits.cached),
            templates: [Cache::new(limits.cached), Cache::new(limits.cached)],
        }
    }

    /// Scans a workflow statement for expressions.
    #[must_use]
    pub fn compile(&self, statement: &Value) -> Statement {
        Statement::new(statement, &|text| self.text(text))
    }

    fn text(&self, text: &Str) -> Option<Arc<Text>> {
        if !statement::may_have_expressions(text) {
            return None;
        }
        self.texts
            .get_or_make(text, || (text.clone(), statement::scan(text).map(Arc::new)))
    }

    fn template(&self, source: &str, environment: Environment) -> Compiled {
        let cache = match environment {
            Environment::Plain => &self.templates[0],
            Environment::Workflow => &self.templates[1],
        };
        cache.get_or_make(source, || {
            let template = Template::compile(source, environment, &self.limits);
            (Str::from(source), Arc::new(template))
        })
    }

    /// The value of a statement as plain data: sets, tuples and iterators are lists, dates are ISO
    /// text.
    ///
    /// # Errors
    ///
    /// `YaqlEvaluationException` or `JinjaEvaluationException` naming the expression and the cause.
    pub fn evaluate(&self, statement: &Statement, scope: &dyn Scope) -> Result<Value, Error> {
        self.node(&statement.node, scope)
    }

    /// As [`Expressions::evaluate`], but a statement that is one YAQL expression keeps sets, dates
    /// and timespans.
    ///
    /// # Errors
    ///
    /// As [`Expressions::evaluate`].
    pub fn evaluate_rich(
        &self,
        statement: &Statement,
        scope: &dyn Scope,
    ) -> Result<squall_yaql::Value, Error> {
        match &statement.node {
            Node::Text(text) if text.language == Language::Yaql => {
                self.yaql(text, scope, 0, &mut yaql::budget(&self.limits))
            }
            node => self
                .node(node, scope)
                .map(squall_yaql::Value::from_mutable_data),
        }
    }

    fn node(&self, node: &Node, scope: &dyn Scope) -> Result<Value, Error> {
        match node {
            Node::Plain(value) => Ok(value.clone()),
            Node::Text(text) => match text.language {
                Language::Yaql => {
                    let value = self.yaql(text, scope, 0, &mut yaql::budget(&self.limits))?;
                    value
                        .to_data()
                        .map_err(|error| yaql::described(&error, &text.source))
                }
                Language::Jinja => self.jinja(text, scope),
            },
            Node::List(items) => {
                let items = items.iter().map(|item| self.node(item, scope));
                Ok(Value::from(items.collect::<Result<Vec<Value>, Error>>()?))
            }
            Node::Dict(items) => {
                let mut out = Dict::with_capacity(items.len());
                for (key, item) in items.iter() {
                    let key = match self.node(key, scope)? {
                        Value::String(key) => key,
                        other => Str::from(squall_value::python::str(&other)),
                    };
                    out.insert(key, self.node(item, scope)?);
                }
                Ok(Value::from(out))
            }
        }
    }

    /// A YAQL text: its only expression's value, or the text with all values put in.
    fn yaql(
        &self,
        text: &Text,
        scope: &dyn Scope,
        depth: usize,
        budget: &mut squall_yaql::Budget,
    ) -> Result<squall_yaql::Value, Error> {
        let is_whole = matches!(&text.expressions[..], [one] if *one.text == *text.source);
        let mut output = String::new();
        if !is_whole {
            output.push_str(&text.source);
        }
        for found in &text.expressions {
            let described = |error: &squall_yaql::Error| yaql::described(error, &found.text);
            let compiled = found
                .yaql
                .get_or_init(|| yaql::engine().parse(&found.inner))
                .as_ref()
                .map_err(|error| described(&error.clone().into()))?;
            // What comes behind the first is the value of another: data.
            let is_data = depth > 0;
            let mut value = yaql::evaluate(compiled, is_data, scope, &self.limits, budget)
                .map_err(|error| described(&error))?;
            if let squall_yaql::Value::String(result) = &value
                && let Some(again) = self.again(result, Language::Yaql, depth)
            {
                let again = again.map_err(|error| nested(&error, Language::Yaql, &found.text))?;
                // A few texts that name each other often would otherwise take for ever.
                budget.steps = budget.steps.saturating_sub(AGAIN_STEPS.into());
                value = self
                    .yaql(&again, scope, depth + 1, budget)
                    .map_err(|error| nested(&error, Language::Yaql, &found.text))?;
            }
            if is_whole {
                return Ok(value);
            }
            let shown = value.to_python_str().map_err(|error| described(&error))?;
            // A long text of many expressions would otherwise be copied as often as it has some.
            budget.steps = budget
                .steps
                .saturating_sub(output.len() as u64 / COPIED_PER_STEP);
            output = self.put_in(&output, found, &shown, Language::Yaql)?;
        }
        Ok(squall_yaql::Value::string(output))
    }

    /// The expressions in a result, which workflows evaluate once more.
    fn again(
        &self,
        result: &Str,
        language: Language,
        depth: usize,
    ) -> Option<Result<Arc<Text>, Error>> {
        let text = self.text(result)?;
        let text = if text.language == language {
            text
        } else {
            Arc::new(statement::scan_as(result, language)?)
        };
        if depth >= REEVALUATION_MAX {
            return Some(Err(Error::new(
                "RecursionError",
                Kind::Limit,
                "maximum recursion depth exceeded: the expression's result is an expression again",
            )));
        }
        Some(Ok(text))
    }

    /// Puts a value's text in place of all occurrences of an expression.
    fn put_in(
        &self,
        output: &str,
        found: &Found,
        shown: &str,
        language: Language,
    ) -> Result<String, Error> {
        let places = output.matches(&*found.text).count();
        let bytes = output.len() + places.saturating_mul(shown.len());
        if bytes as u64 > self.limits.bytes {
            return Err(Error::evaluation(
                language,
                format!(
                    "Unable to evaluate expression '{}'. LimitError: the result is too large",
                    found.text
                ),
            ));
        }
        Ok(output.replace(&*found.text, shown))
    }

    fn jinja(&self, text: &Text, scope: &dyn Scope) -> Result<Value, Error> {
        let engine = Engine::new(Outside::Workflow(scope), true, &self.limits);
        let raw: Vec<&str> = raw_blocks(&text.source);
        let mut output = if raw.is_empty() {
            self.expand(text, &engine, 0)?
        } else {
            let mut source = text.source.to_string();
            for (index, block) in raw.iter().enumerate() {
                source = source.replace(block, &format!("{{{index}}}"));
            }
            let source = Str::from(source);
            match statement::scan_as(&source, Language::Jinja) {
                Some(text) => self.expand(&text, &engine, 0)?,
                None => Val::Str(source),
            }
        };
        if let Val::Str(shown) = &output {
            let unresolved: Vec<&str> = statement::Sections::new(shown, "{{", "}}")
                .map(|found| statement::strip_delimiters(found, Language::Jinja))
                .collect();
            if !unresolved.is_empty() {
                return Err(Error::evaluation(
                    Language::Jinja,
                    format!("There are unresolved variables: {}", unresolved.join(", ")),
                ));
            }
            if !raw.is_empty() {
                let mut source = shown.to_string();
                for (index, block) in raw.iter().enumerate() {
                    source = source.replace(&format!("{{{index}}}"), block);
                }
                // The values of its expressions stand in it by now.
                engine.is_data.set(true);
                let template = Template::compile(&source, Environment::Workflow, &self.limits);
                let rendered = template.and_then(|template| template.render(&engine));
                output = Val::str(rendered.map_err(|error| *error)?);
            }
        }
        match &output {
            // What is left of `a if b` without an `else`.
            Val::Undefined(missing) => Err(*missing.error()),
            value => jinja::plain(&engine, value)
                .map_err(|error| failed(&error, Language::Jinja, &text.source)),
        }
    }

    /// A Jinja text: with blocks a template, else its expressions one by one. What is undefined is
    /// left in place.
    fn expand(&self, text: &Text, engine: &Engine<'_>, depth: usize) -> Result<Val, Error> {
        if text.has_blocks {
            let rendered = match &*self.template(&text.source, Environment::Workflow) {
                Ok(template) => template.render(engine),
                Err(error) => Err(error.clone()),
            };
            let rendered =
                rendered.map_err(|error| failed(&error, Language::Jinja, &text.source))?;
            return self.expand_again(Val::str(rendered), engine, depth, &text.source);
        }
        let mut output = Val::Str(text.source.clone());
        for found in &text.expressions {
            let compiled = found
                .jinja
                .get_or_init(|| {
                    jinja::Expression::compile(&found.inner, Environment::Workflow, &self.limits)
                })
                .as_ref();
            let value = match compiled {
                Ok(expression) => expression.evaluate(engine),
                Err(error) => Err(error.clone()),
            };
            let value = value.map_err(|error| failed(&error, Language::Jinja, &found.text))?;
            let value = self.expand_again(value, engine, depth, &found.text)?;
            if matches!(&value, Val::Undefined(missing) if !missing.is_lenient) {
                continue;
            }
            output = match output {
                Val::Str(shown)
                    if text.expressions.len() > 1
                        || shown.chars().count() > found.text.chars().count() =>
                {
                    let steps = shown.len() as u64 / COPIED_PER_STEP;
                    let steps = usize::try_from(steps).unwrap_or(usize::MAX);
                    engine.budget.step(steps).map_err(|error| *error)?;
                    let value = jinja::str(engine, &value)
                        .map_err(|error| failed(&error, Language::Jinja, &found.text))?;
                    Val::str(self.put_in(&shown, found, &value, Language::Jinja)?)
                }
                _ => value,
            };
        }
        Ok(output)
    }

    fn expand_again(
        &self,
        value: Val,
        engine: &Engine<'_>,
        depth: usize,
        source: &str,
    ) -> Result<Val, Error> {
        let Val::Str(result) = &value else {
            return Ok(value);
        };
        let Some(again) = self.again(result, Language::Jinja, depth) else {
            return Ok(value);
        };
        engine
            .budget
            .step(AGAIN_STEPS as usize)
            .map_err(|error| *error)?;
        let was_data = engine.is_data.replace(true);
        let expanded = again.and_then(|text| self.expand(&text, engine, depth + 1));
        engine.is_data.set(was_data);
        expanded.map_err(|error| nested(&error, Language::Jinja, source))
    }

    /// Evaluates a YAQL expression of one's own with the functions of workflows and further
    /// variables, `$` among them.
    ///
    /// # Errors
    ///
    /// In the language's own terms.
    pub fn evaluate_yaql(
        &self,
        expression: &squall_yaql::Expression,
        variables: &[(&str, squall_yaql::Value)],
        scope: &dyn Scope,
    ) -> Result<squall_yaql::Value, squall_yaql::Error> {
        yaql::evaluate_over(
            expression,
            variables,
            scope,
            &self.limits,
            &mut yaql::budget(&self.limits),
        )
    }

    /// All syntax errors in a statement, without evaluating anything.
    #[must_use]
    pub fn validate(&self, statement: &Value) -> Vec<Invalid> {
        let mut found = Vec::new();
        statement::each_text(statement, &mut |text| {
            let yaql = statement::scan_as(text, Language::Yaql);
            let jinja = statement::scan_as(text, Language::Jinja);
            match (yaql, jinja) {
                (Some(_), Some(_)) => found.push(Invalid {
                    language: None,
                    expression: text.to_string(),
                    message: "Expression with multiple types is not supported.".into(),
                }),
                (Some(text), None) | (None, Some(text)) => found.extend(self.validate_text(&text)),
                (None, None) => {}
            }
        });
        found
    }

    /// The functions that a statement calls in YAQL and that are not there, each with the expression
    /// that it stands in. Evaluating that expression fails.
    #[must_use]
    pub fn unknown_functions(&self, statement: &Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        statement::each_text(statement, &mut |text| {
            let text = statement::scan_as(text, Language::Yaql);
            for expression in text.iter().flat_map(|text| &text.expressions) {
                let Ok(read) = yaql::engine().parse(&expression.inner) else {
                    continue;
                };
                let calls = read.calls().into_iter();
                let unknown = calls.filter(|name| !yaql::library().has(name));
                found.extend(unknown.map(|name| (name.to_owned(), expression.text.to_string())));
            }
        });
        found
    }

    /// The names that YAQL's functions and methods have here.
    #[must_use]
    pub fn function_names(&self) -> Vec<Str> {
        yaql::library().names()
    }

    /// The syntax errors of a text in one language.
    fn validate_text(&self, text: &Text) -> Vec<Invalid> {
        let language = text.language;
        let invalid = |expression: &str, message: String| Invalid {
            language: Some(language),
            expression: expression.into(),
            message,
        };
        let mut found: Vec<Invalid> = Vec::new();
        match language {
            Language::Yaql => {
                for expression in &text.expressions {
                    if let Err(error) = yaql::engine().parse(&expression.inner) {
                        found.push(invalid(&expression.text, error.message));
                    }
                }
            }
            Language::Jinja => {
                let environment = Environment::Workflow;
                if let Err(error) = Template::parse(&text.source, environment, &self.limits) {
                    found.push(invalid(&text.source, error.message));
                }
                for expression in &text.expressions {
                    if found
                        .iter()
                        .any(|known| *known.expression == *expression.text)
                    {
                        continue;
                    }
                    let inner = &expression.inner;
                    if let Err(error) =
                        jinja::Expression::validate(inner, environment, &self.limits)
                    {
                        found.push(invalid(&expression.text, error.message));
                    }
                }
            }
        }
        found
    }

    /// The workflow variables that a statement names, sorted by name, without repetitions.
    #[must_use]
    pub fn references(&self, statement: &Value) -> Vec<Reference> {
        references::in_statement(statement)
    }

    /// The text of a template outside workflows.
    ///
    /// # Errors
    ///
    /// What Jinja would raise, under its class name: `TemplateSyntaxError`, `UndefinedError`,
    /// `TypeError` …
    pub fn render(
        &self,
        template: &str,
        context: &Context<'_>,
        undefined: Undefined,
    ) -> Result<String, Error> {
        let compiled = self.template(template, Environment::Plain);
        let is_strict = undefined == Undefined::Strict;
        let engine = Engine::new(Outside::Plain(*context), is_strict, &self.limits);
        match &*compiled {
            Ok(template) => template.render(&engine).map_err(|error| *error),
            Err(error) => Err((**error).clone()),
        }
    }

    /// The names that a template reads from outside, which is what the dependencies among
    /// parameters are made of.
    ///
    /// # Errors
    ///
    /// `TemplateSyntaxError`.
    pub fn undeclared_variables(&self, template: &str) -> Result<BTreeSet<String>, Error> {
        match &*self.template(template, Environment::Plain) {
            Ok(template) => Ok(template.undeclared()),
            Err(error) => Err((**error).clone()),
        }
    }

    /// The names that [`Expressions::render_values`] would read for this mapping, so that whoever
    /// has many variables need not put all of them together. A template that can't be read has none;
    /// rendering it says what is wrong.
    #[must_use]
    pub fn names_in(&self, mapping: &Dict) -> BTreeSet<String> {
        let texts = mapping
            .iter()
            .flat_map(|(key, value)| [key.to_string(), template_text(value)]);
        let names = texts.filter_map(|text| self.undeclared_variables(&text).ok());
        names.flatten().collect()
    }

    /// Renders every key and value of a mapping (the rules of `render_values`): containers are
    /// rendered as JSON text and read back, other values become text if a template changed them.
    ///
    /// # Errors
    ///
    /// As [`Expressions::render`]; `JSONDecodeError` if a container is no longer JSON.
    pub fn render_values(&self, mapping: &Dict, context: &Context<'_>) -> Result<Dict, Error> {
        if mapping.is_empty() || (context.variables.is_empty() && context.datastore.is_none()) {
            return Ok(mapping.clone());
        }
        let mut variables = context.variables.clone();
        if !variables.contains_key("__context") {
            variables.insert("__context", Value::from(context.variables.clone()));
        }
        let context = Context {
            variables: &variables,
            ..*context
        };
        let mut out = Dict::with_capacity(mapping.len());
        for (key, value) in mapping.iter() {
            let is_container = is_container(value);
            let text = template_text(value);
            let key = self.render(key, &context, Undefined::Strict)?;
            let rendered = self.render(&text, &context, Undefined::Strict)?;
            let value = if rendered == text {
                value.clone()
            } else if is_container {
                orjson::read(&rendered).map_err(|error| {
                    Error::new("JSONDecodeError", Kind::Value, orjson::message(&error))
                })?
            } else {
                Value::from(rendered)
            };
            out.insert(key, value);
        }
        Ok(out)
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Dict(_))
}

/// A member of a mapping as the text that is rendered.
fn template_text(value: &Value) -> String {
    if is_container(value) {
        json::write_styled(value, json::Style::PYTHON)
    } else {
        squall_value::python::str(value)
    }
}

/// The references to the context in a text of one language, such as `ctx().x.y`, sorted.
#[must_use]
pub fn context_references(text: &str, language: Language) -> Vec<String> {
    references::in_text(text, language)
}

/// The failure of an expression as workflows report it.
fn failed(error: &Error, language: Language, expression: &str) -> Error {
    // A syntax error in the very first token still carries its line.
    let line = if error.line > 0 && error.at_first_token {
        format!("\n  line {}", error.line)
    } else {
        String::new()
    };
    Error::evaluation(
        language,
        format!(
            "Unable to evaluate expression '{expression}'. {}: {}{line}",
            error.class, error.message
        ),
    )
}

/// The failure of an expression that came out of another one.
fn nested(error: &Error, language: Language, expression: &str) -> Error {
    failed(error, language, expression)
}

/// `{% raw %}…{% endraw %}` as workflows set them aside: exactly so written, on one line.
fn raw_blocks(text: &str) -> Vec<&str> {
    const OPEN: &str = "{% raw %}";
    const CLOSE: &str = "{% endraw %}";
    statement::Sections::new(text, OPEN, CLOSE).collect()
}

/// Whether a value counts as a template: a string with `{{` or `{%` in it.
#[must_use]
pub fn is_jinja_expression(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.contains("{{") || text.contains("{%"))
}

/// Wraps every string that holds `{{…}}` or `{%…%}` in a raw section, within lists and dictionary
/// values too, so that rendering gives it back unchanged.
#[must_use]
pub fn convert_jinja_to_raw_block(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let is_template = statement::Sections::new(text, "{{", "}}").next().is_some()
                || statement::Sections::new(text, "{%", "%}").next().is_some();
            if is_template {
                Value::from(format!("{{% raw %}}{text}{{% endraw %}}"))
            } else {
                value.clone()
            }
        }
        Value::List(items) => items.iter().map(convert_jinja_to_raw_block).collect(),
        Value::Dict(dict) => Value::from(
            dict.iter()
                .map(|(key, item)| (key.clone(), convert_jinja_to_raw_block(item)))
                .collect::<Dict>(),
        ),
        other => other.clone(),
    }
}
