//! Which filters, tests and functions there are, and how arguments meet their parameters.

use std::collections::HashMap;
use std::sync::LazyLock;

use squall_value::Str;

use super::eval::Engine;
use super::value::Val;
use super::{Res, catalogue, filters, tests, type_error};

/// Which functions a template may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Environment {
    /// Parameters, rules, configurations, chat.
    Plain,
    /// Workflow expressions.
    Workflow,
}

/// A filter, test or function.
pub(crate) struct Callable {
    /// As templates call it.
    pub(crate) name: &'static str,
    /// As messages about arguments call it.
    pub(crate) python_name: &'static str,
    pub(crate) params: &'static [&'static str],
    pub(crate) required: usize,
    /// Whether further positional arguments are taken.
    pub(crate) takes_rest: bool,
    /// Whether unknown keywords are taken.
    pub(crate) takes_keywords: bool,
    /// Whether it looks at the workflow around: such functions are no use as filters.
    pub(crate) needs_scope: bool,
    pub(crate) call: fn(&Engine<'_>, Bound) -> Res<Val>,
}

pub(crate) type Filter = Callable;
pub(crate) type Test = Callable;
pub(crate) type CatalogueFunction = Callable;

impl std::fmt::Debug for Callable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Callable {
    pub(crate) const fn new(
        name: &'static str,
        python_name: &'static str,
        params: &'static [&'static str],
        required: usize,
        call: fn(&Engine<'_>, Bound) -> Res<Val>,
    ) -> Callable {
        Callable {
            name,
            python_name,
            params,
            required,
            takes_rest: false,
            takes_keywords: false,
            needs_scope: false,
            call,
        }
    }

    /// Also takes any further arguments.
    pub(crate) const fn variadic(self) -> Callable {
        Callable {
            takes_rest: true,
            takes_keywords: true,
            ..self
        }
    }

    pub(crate) const fn scoped(self) -> Callable {
        Callable {
            needs_scope: true,
            ..self
        }
    }
}

/// Arguments of a call, evaluated.
#[derive(Default)]
pub(crate) struct CallArgs {
    pub(crate) positional: Vec<Val>,
    pub(crate) named: Vec<(Str, Val)>,
}

impl CallArgs {
    pub(crate) fn of(positional: Vec<Val>) -> CallArgs {
        CallArgs {
            positional,
            named: Vec::new(),
        }
    }
}

/// Arguments by parameter.
pub(crate) struct Bound {
    values: Vec<Option<Val>>,
    pub(crate) rest: Vec<Val>,
    pub(crate) keywords: Vec<(Str, Val)>,
}

impl Bound {
    /// The argument of a required parameter.
    pub(crate) fn required(&mut self, index: usize) -> Val {
        self.optional(index).unwrap_or(Val::None)
    }

    /// The argument of a parameter, if it was given.
    pub(crate) fn optional(&mut self, index: usize) -> Option<Val> {
        self.values.get_mut(index).and_then(Option::take)
    }

    /// All arguments that are left.
    pub(super) fn into_values(self) -> impl Iterator<Item = Val> {
        let keywords = self.keywords.into_iter().map(|(_, value)| value);
        self.values
            .into_iter()
            .flatten()
            .chain(self.rest)
            .chain(keywords)
    }
}

/// Gives each parameter its argument, with Python's messages for what does not fit.
pub(crate) fn bind(callable: &Callable, args: CallArgs) -> Res<Bound> {
    let name = callable.python_name;
    let params = callable.params;
    let given = args.positional.len();
    let mut values: Vec<Option<Val>> = args.positional.into_iter().map(Some).collect();
    let mut rest = Vec::new();
    if given > params.len() {
        if !callable.takes_rest {
            return Err(type_error(too_many(callable, given)));
        }
        rest = values.drain(params.len()..).flatten().collect();
    }
    values.resize_with(params.len(), || None);
    let mut keywords = Vec::new();
    for (keyword, value) in args.named {
        match params.iter().position(|param| **param == *keyword) {
            Some(index) if values[index].is_some() => {
                return Err(type_error(format!(
                    "{name}() got multiple values for argument '{keyword}'"
                )));
            }
            Some(index) => values[index] = Some(value),
            None if callable.takes_keywords => keywords.push((keyword, value)),
            None => {
                return Err(type_error(format!(
                    "{name}() got an unexpected keyword argument '{keyword}'"
                )));
            }
        }
    }
    let missing: Vec<&str> = (0..callable.required)
        .filter(|index| values[*index].is_none())
        .map(|index| params[index])
        .collect();
    if !missing.is_empty() {
        return Err(type_error(missing_arguments(name, &missing)));
    }
    Ok(Bound {
        values,
        rest,
        keywords,
    })
}

fn too_many(callable: &Callable, given: usize) -> String {
    let (least, most) = (callable.required, callable.params.len());
    let were = if given == 1 { "was" } else { "were" };
    if least == most {
        let plural = if most == 1 { "" } else { "s" };
        format!(
            "{}() takes {most} positional argument{plural} but {given} {were} given",
            callable.python_name
        )
    } else {
        format!(
            "{}() takes from {least} to {most} positional arguments but {given} {were} given",
            callable.python_name
        )
    }
}

fn missing_arguments(name: &str, missing: &[&str]) -> String {
    let quoted: Vec<String> = missing.iter().map(|param| format!("'{param}'")).collect();
    let listed = match quoted.as_slice() {
        [one] => one.clone(),
        [first, second] => format!("{first} and {second}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
        [] => String::new(),
    };
    format!(
        "{name}() missing {} required positional argument{}: {listed}",
        missing.len(),
        if missing.len() == 1 { "" } else { "s" }
    )
}

type Table = HashMap<&'static str, &'static Callable>;

fn table(parts: &[&'static [Callable]]) -> Table {
    parts
        .iter()
        .flat_map(|part| part.iter())
        .map(|callable| (callable.name, callable))
        .collect()
}

static PLAIN_FILTERS: LazyLock<Table> = LazyLock::new(|| {
    table(&[
        filters::TEXT,
        filters::SEQUENCE,
        filters::NUMBER,
        filters::MARKUP,
        catalogue::DATA,
        catalogue::FILTERS_ONLY,
    ])
});

static WORKFLOW_FILTERS: LazyLock<Table> = LazyLock::new(|| {
    table(&[
        filters::TEXT,
        filters::SEQUENCE,
        filters::NUMBER,
        filters::MARKUP,
        catalogue::DATA,
        catalogue::ALIASES,
        catalogue::WORKFLOW,
    ])
});

static FUNCTIONS: LazyLock<Table> =
    LazyLock::new(|| table(&[catalogue::DATA, catalogue::ALIASES, catalogue::WORKFLOW]));

static PLAIN_TESTS: LazyLock<Table> = LazyLock::new(|| table(&[tests::ALL, tests::PLAIN_IN]));
static WORKFLOW_TESTS: LazyLock<Table> = LazyLock::new(|| table(&[tests::ALL, tests::BUILTIN_IN]));

impl Environment {
    pub(crate) fn filter(self, name: &str) -> Option<&'static Filter> {
        let table = match self {
            Environment::Plain => &PLAIN_FILTERS,
            Environment::Workflow => &WORKFLOW_FILTERS,
        };
        table.get(name).copied()
    }

    pub(crate) fn test(self, name: &str) -> Option<&'static Test> {
        let table = match self {
            Environment::Plain => &PLAIN_TESTS,
            Environment::Workflow => &WORKFLOW_TESTS,
        };
        table.get(name).copied()
    }
}

/// A function of workflow expressions.
pub(crate) fn function(name: &str) -> Option<&'static CatalogueFunction> {
    FUNCTIONS.get(name).copied()
}

/// All functions of workflow expressions.
pub(crate) fn functions() -> impl Iterator<Item = &'static CatalogueFunction> {
    [catalogue::DATA, catalogue::ALIASES, catalogue::WORKFLOW]
        .into_iter()
        .flatten()
}

/// Functions that look at the workflow get the filtered value in place of it.
pub(super) fn needs_scope(filter: &Filter, args: CallArgs) -> Box<crate::Error> {
    let mut args = args;
    args.positional.remove(0);
    match bind(filter, args) {
        Err(error) => error,
        Ok(_) => type_error("string indices must be integers, not 'str'"),
    }
}
