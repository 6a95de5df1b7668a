//! YAQL within workflows: the catalogue's functions, the context, the errors.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use squall_value::{Dict, Str, Value as Data};
use squall_yaql::{Body, Budget, Call, Context, Engine, Kind as Form, Library, Options, Value};

use crate::jinja::{self, Outside, Val};
use crate::{Error, Kind, Limits, Scope, bridge};

/// The dictionary behind `ctx()`.
const CONTEXT: u32 = 0;

/// The catalogue as YAQL functions, numbered as the registry lists them. Parameters have the names
/// that YAQL gives to Python's: `result_index` is `resultIndex`.
static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| {
    let mut library = Library::over(Library::standard());
    for (number, function) in jinja::functions().enumerate() {
        let number = u32::try_from(number).expect("the catalogue is small");
        library
            .register(&signature(function), Form::Function, Body::Host(number))
            .expect("the catalogue's signatures are well-formed");
    }
    Arc::new(library)
});

/// The functions that expressions may call.
pub(crate) fn library() -> &'static Library {
    &LIBRARY
}

fn signature(function: &jinja::CatalogueFunction) -> String {
    let mut params: Vec<String> = function
        .params
        .iter()
        .enumerate()
        .map(|(index, param)| {
            let default = if index < function.required {
                ""
            } else {
                "=—"
            };
            format!("{}{}{default}", camel(param), type_of(param))
        })
        .collect();
    if function.takes_rest {
        if function.params.is_empty() {
            params.push("*args".into());
        }
        params.push("**kwargs".into());
    }
    format!("{}({})", function.name, params.join(", "))
}

/// The type that YAQL infers from the default of Python's parameter.
fn type_of(param: &str) -> &'static str {
    match param {
        "ignorecase" | "sort_keys" | "allow_unicode" => ": bool?",
        "result_index" => ": int?",
        _ => "",
    }
}

fn camel(name: &str) -> String {
    let mut out = String::new();
    let mut is_upper = false;
    for c in name.chars() {
        match c {
            '_' => is_upper = true,
            c if is_upper => {
                out.extend(c.to_uppercase());
                is_upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// What workflows get: no limits but the budget, sets stay sets.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Options::default()));
    &ENGINE
}

/// A workflow's variables and functions, as YAQL asks for them.
struct Host<'a> {
    scope: &'a dyn Scope,
    engine: RefCell<jinja::Engine<'a>>,
}

impl squall_yaql::Host for Host<'_> {
    fn now_micros(&self) -> Option<i64> {
        Some(self.scope.host().now().as_microsecond())
    }

    fn random(&self) -> Option<u64> {
        Some(self.scope.host().random())
    }

    fn is_out_of_time(&self) -> bool {
        self.scope.host().is_out_of_time()
    }

    fn call(&self, number: u32, call: &mut Call<'_, '_>) -> Result<Value, squall_yaql::Error> {
        let function = jinja::functions()
            .nth(number as usize)
            .expect("the library has the catalogue's functions alone");
        if function.name == "ctx" {
            return self.ctx(call);
        }
        // In YAQL, literals and data are frozen dictionaries, which the original does not know.
        if function.name == "json"
            && matches!(call.given(0), Some(Value::Dict(dict)) if !dict.is_mutable())
        {
            return Err(squall_yaql::Error::type_error(
                "Given object is not typeof string.",
            ));
        }
        if let Some(value) = handed_through(function.name, call) {
            return Ok(value);
        }
        let engine = self.engine.borrow();
        let mut args = jinja::CallArgs::default();
        let mut is_skipped = false;
        for (index, param) in function.params.iter().enumerate() {
            let Some(value) = call.given(index) else {
                is_skipped = true;
                continue;
            };
            let value = match index == 0 && takes_text(function.name) {
                true => Val::str(value.to_python_str()?),
                false => bridge::from_yaql(&engine, &value)?,
            };
            match is_skipped {
                true => args.named.push((Str::from(*param), value)),
                false => args.positional.push(value),
            }
        }
        // Of the catalogue's functions, `zip` alone walks what it is given.
        let walks = function.name == "zip";
        for value in call.rest().to_vec() {
            args.positional.push(match value {
                Value::Iterator(_) | Value::Ordering(_) if walks => {
                    bridge::from_yaql(&engine, &call.evaluation().settle(value)?)?
                }
                Value::View(view) if walks => {
                    bridge::from_yaql(&engine, &Value::tuple(view.iter().collect())?)?
                }
                value => bridge::from_yaql(&engine, &value)?,
            });
        }
        for (name, value) in call.named().to_vec() {
            args.named.push((name, bridge::from_yaql(&engine, &value)?));
        }
        let result =
            jinja::call_function(&engine, function, args).map_err(|error| to_yaql(*error))?;
        let is_from_workflow = matches!(function.name, "result" | "item");
        result_value(&engine, &result, is_from_workflow)
    }

    fn dict_get(&self, _: u32, key: &str) -> Result<Option<Data>, squall_yaql::Error> {
        if key.starts_with("__") {
            return Ok(None);
        }
        Ok(self.scope.variable(key))
    }

    fn dict(&self, _: u32) -> Result<Arc<Dict>, squall_yaql::Error> {
        Ok(jinja::visible(self.scope.variables()))
    }
}

impl Host<'_> {
    fn ctx(&self, call: &Call<'_, '_>) -> Result<Value, squall_yaql::Error> {
        match call.given(0) {
            Some(key) if key.is_truthy() => {
                let engine = self.engine.borrow();
                let args = jinja::CallArgs::of(vec![bridge::from_yaql(&engine, &key)?]);
                let function = jinja::function("ctx").expect("the catalogue has ctx");
                let found = jinja::call_function(&engine, function, args)
                    .map_err(|error| to_yaql(*error))?;
                result_value(&engine, &found, true)
            }
            _ => Ok(Value::HostDict(CONTEXT)),
        }
    }
}

/// What comes out as it went in, lazy or not.
fn handed_through(function: &str, call: &Call<'_, '_>) -> Option<Value> {
    match function {
        "use_none" => call.given(0).filter(|value| !matches!(value, Value::Null)),
        "zip" => match call.rest() {
            [Value::Null] | [_, _, ..] | [] => None,
            [only] => Some(only.clone()),
        },
        _ => None,
    }
}

/// Whether the function's first argument is turned into text before anything else.
fn takes_text(function: &str) -> bool {
    matches!(
        function,
        "from_json_string"
            | "json_parse"
            | "from_yaml_string"
            | "yaml_parse"
            | "regex_match"
            | "regex_replace"
            | "regex_search"
            | "regex_substring"
    )
}

fn result_value(
    engine: &jinja::Engine<'_>,
    value: &Val,
    is_frozen: bool,
) -> Result<Value, squall_yaql::Error> {
    if is_frozen {
        let data = jinja::plain(engine, value).map_err(|error| to_yaql(*error))?;
        return Ok(Value::from(data));
    }
    bridge::to_yaql(engine, value)
}

pub(crate) fn to_yaql(error: Error) -> squall_yaql::Error {
    use squall_yaql::ErrorKind as K;
    let kind = match error.kind {
        Kind::Key => K::Key,
        Kind::Index => K::Index,
        Kind::Type => K::Type,
        Kind::Value => K::Value,
        Kind::Arithmetic => K::Arithmetic,
        Kind::Assertion => K::Assertion,
        Kind::Attribute => K::Attribute,
        Kind::Regex => K::Regex,
        Kind::Limit => K::Limit,
        _ => K::Host,
    };
    squall_yaql::Error::new(kind, error.class, error.message)
}

/// What the evaluation of one text may use up.
pub(crate) fn budget(limits: &Limits) -> Budget {
    let mut budget = Budget::new();
    budget.steps = limits.steps;
    budget.memory = limits.bytes;
    budget
}

/// Evaluates one expression; one that came as data (`is_data`) may not read the datastore.
///
/// # Errors
///
/// The failure in the language's own terms; [`described`] makes the workflow's of it.
pub(crate) fn evaluate(
    expression: &squall_yaql::Expression,
    is_data: bool,
    scope: &dyn Scope,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Value, squall_yaql::Error> {
    let engine = jinja::Engine::new(Outside::Workflow(scope), true, limits);
    engine.is_data.set(is_data);
    run(expression, &[], scope, engine, budget)
}

/// As [`evaluate`], with further variables such as `$`.
pub(crate) fn evaluate_over(
    expression: &squall_yaql::Expression,
    variables: &[(&str, Value)],
    scope: &dyn Scope,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Value, squall_yaql::Error> {
    let engine = jinja::Engine::new(Outside::Workflow(scope), true, limits);
    run(expression, variables, scope, engine, budget)
}

fn run<'a>(
    expression: &squall_yaql::Expression,
    variables: &[(&str, Value)],
    scope: &'a dyn Scope,
    engine: jinja::Engine<'a>,
    budget: &mut Budget,
) -> Result<Value, squall_yaql::Error> {
    let host = Host {
        scope,
        engine: RefCell::new(engine),
    };
    let context = Context::new(Arc::clone(&LIBRARY));
    for (name, value) in variables {
        context.set(name, value.clone())?;
    }
    expression.evaluate(&context, &host, budget)
}

/// The failure of an expression as workflows report it.
pub(crate) fn described(error: &squall_yaql::Error, expression: &str) -> Error {
    let text = error.message.trim_matches('\'');
    let message = if error.class == "KeyError" {
        format!("Unable to resolve key '{text}' in expression '{expression}' from context.")
    } else {
        format!(
            "Unable to evaluate expression '{expression}'. {}: {text}",
            error.class
        )
    };
    Error::evaluation(crate::Language::Yaql, message)
}
