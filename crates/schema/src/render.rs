//! Rendering of parameters: which value each has, and in what order templates become text.
//!
//! Source: StackStorm `st2common/util/param.py`. Parameters are rendered twice: *live*, when an
//! execution is asked for, on what was given; *final*, before it runs, on the defaults that are
//! still missing. What was given counts as plain data the second time, so that the output of one
//! template is never taken for another.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use indexmap::map::Entry;
use squall_expr::{Context, Expressions, Host, Kind, Undefined};
use squall_value::{Dict, Str, Value, json, orjson, python};

use crate::mask::{MASKED, Mask};
use crate::parameter::{Parameters, has_marker};

/// How long a secret has to be, in characters, to be masked within a text.
const SECRET_LENGTH_MIN: usize = 6;
/// Name of the datastore in templates.
const DATASTORE: &str = "st2kv";
/// Name of the execution's context in templates.
const ACTION_CONTEXT: &str = "action_context";
/// Name of the pack's configuration in templates.
const CONFIG_CONTEXT: &str = "config_context";

/// What the templates in parameters may look at besides other parameters.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// `action_context`: who asked, from where. `api_user`, else `user`, decides whose part of the
    /// datastore `st2kv.user` is.
    pub action_context: &'a Value,
    /// `config_context`: gives the pack's configuration, resolved. Only called when a template
    /// names it.
    pub config: &'a dyn Fn() -> Value,
    /// Further variables, such as `trigger` for rules.
    pub additional: &'a Dict,
    /// The user whose part of the datastore is used when the context names none.
    pub system_user: &'a Str,
    /// The template language.
    pub expressions: &'a Expressions,
    /// The datastore.
    pub host: &'a dyn Host,
}

/// What somebody gives for parameters.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// The values, by name.
    pub values: &'a Dict,
    /// Which of them are data, whatever they look like: they were rendered before, or come from
    /// outside.
    pub is_data: &'a dyn Fn(&str) -> bool,
    /// The world as templates in the others see it, where whoever gives them may see less of it than
    /// the definitions.
    pub seen: Option<Seen<'a>>,
}

/// The world as somebody sees it who may not see all of it. Parameters that are secret and that
/// somebody has not given are none of it either.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The datastore.
    pub host: &'a dyn Host,
    /// The pack's configuration, without its secrets.
    pub config: &'a dyn Fn() -> Value,
}

/// Values that all may be templates, by one who may see everything.
impl<'a> From<&'a Dict> for Given<'a> {
    fn from(values: &'a Dict) -> Given<'a> {
        Given {
            values,
            is_data: &|_| false,
            seen: None,
        }
    }
}

/// Parameters can't be rendered or cast. `Display` is StackStorm's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A template names something that is neither a parameter nor a context.
    #[error("Dependency unsatisfied in variable \"{variable}\"")]
    Unsatisfied {
        /// The missing name.
        variable: Str,
    },
    /// Templates need each other.
    #[error(
        "Cyclic dependency found in the following variables: {}. Likely the variable is \
         referencing itself",
        variables.join(", ")
    )]
    Cycle {
        /// The names on cycles, sorted.
        variables: Vec<Str>,
    },
    /// A template failed.
    #[error("Failed to render parameter \"{parameter}\": {message}")]
    Render {
        /// The parameter.
        parameter: Str,
        /// Why.
        message: String,
    },
    /// A value does not have the form that its type asks for.
    #[error("{}", source.message)]
    Cast {
        /// The parameter.
        parameter: Str,
        /// The error that Python raises for it.
        source: squall_expr::Error,
    },
}

impl Error {
    /// The parameter or variable in question, where there is one.
    #[must_use]
    pub fn parameter(&self) -> Option<&Str> {
        match self {
            Error::Unsatisfied { variable: name }
            | Error::Render {
                parameter: name, ..
            }
            | Error::Cast {
                parameter: name, ..
            } => Some(name),
            Error::Cycle { .. } => None,
        }
    }
}

/// The form in which conformance cases and the API report it.
impl From<Error> for squall_expr::Error {
    fn from(error: Error) -> squall_expr::Error {
        match error {
            Error::Cast { source, .. } => source,
            other => squall_expr::Error::new("ParamException", Kind::Param, other.to_string()),
        }
    }
}

/// Final parameters, for the runner and for the action.
#[derive(Clone, Default, PartialEq)]
pub struct Final {
    /// What the runner's definition names, overrides of the action included.
    pub runner: Dict,
    /// What only the action's definition names.
    pub action: Dict,
}

/// The parameters that are live: those given, rendered and cast, and those whose default is a
/// template. Anything given under an unknown name is kept, for the validator to refuse.
///
/// # Errors
///
/// [`Error`] when a template fails, names something unknown or needs itself, and when a cast fails.
pub fn live<'a>(
    runner: &Parameters,
    action: &Parameters,
    given: impl Into<Given<'a>>,
    sources: &Sources<'_>,
) -> Result<Dict, Error> {
    let Given {
        values: given,
        is_data,
        seen,
    } = given.into();
    let mut graph = Graph::new(sources, [runner, action]);
    if let Some(seen) = seen {
        let secret = |(name, parameter): (&Str, &crate::Parameter)| {
            let is_open = Mask::new(parameter.attributes()).is_open();
            (!is_open && !given.contains_key(name)).then(|| name.clone())
        };
        let secrets = action.iter().chain(runner.iter()).filter_map(secret);
        graph.restricted = Some((seen, secrets.collect()));
    }
    // They come first: a parameter of the same name has a value by then, and needs no default.
    for (name, value) in sources.additional.iter() {
        graph.process(name, value, false);
    }
    for (name, value) in given.iter() {
        graph.process(name, value, !is_data(name) && has_marker(value));
        if let Some(node) = graph.nodes.get_mut(name) {
            node.is_given = true;
        }
    }
    graph.process_defaults(action);
    graph.process_defaults(runner);
    let values = graph.resolve()?;

    let mut result = Dict::with_capacity(given.len());
    for name in given.keys() {
        let value = values.get(name).unwrap_or(&Value::Null);
        result.insert(name.clone(), cast(runner, action, name, value)?);
    }
    for (name, parameter) in action.iter().chain(runner.iter()) {
        let is_live =
            parameter.default_is_template() && !parameter.immutable && !given.contains_key(name);
        let value = values.get(name).unwrap_or(&Value::Null);
        if is_live && parameter.default.as_ref() != Some(value) {
            let value = cast_by(parameter, name, value)?;
            result.insert(name.clone(), value);
        }
    }
    Ok(result)
}

/// All parameters of an execution: `given`, which are plain data by now, and defaults for the rest.
///
/// # Errors
///
/// As [`live`].
pub fn finalize(
    runner: &Parameters,
    action: &Parameters,
    given: &Dict,
    sources: &Sources<'_>,
) -> Result<Final, Error> {
    let mut graph = Graph::new(sources, [runner, action]);
    for (name, value) in given.iter() {
        graph.process(name, value, false);
    }
    graph.process_defaults(action);
    graph.process_defaults(runner);
    let values = graph.resolve()?;

    let mut result = Final::default();
    for (name, value) in values.iter() {
        if runner.get(name).is_some() {
            let value = cast(runner, action, name, value)?;
            result.runner.insert(name.clone(), value);
        } else if action.get(name).is_some() {
            let value = cast(runner, action, name, value)?;
            result.action.insert(name.clone(), value);
        }
    }
    Ok(result)
}

/// A name in both definitions is cast by the runner's.
fn cast(
    runner: &Parameters,
    action: &Parameters,
    name: &Str,
    value: &Value,
) -> Result<Value, Error> {
    match runner.get(name).or_else(|| action.get(name)) {
        Some(parameter) => cast_by(parameter, name, value),
        None => Ok(value.clone()),
    }
}

fn cast_by(parameter: &crate::Parameter, name: &Str, value: &Value) -> Result<Value, Error> {
    parameter.cast(value).map_err(|source| {
        let is_open = Mask::new(parameter.attributes()).is_open();
        Error::Cast {
            parameter: name.clone(),
            // Python's text repeats the value, and whoever reads it need not be who sent it.
            source: if is_open {
                source
            } else {
                let message =
                    format!("the value of the secret parameter '{name}' is not of its type");
                squall_expr::Error::new("ParamException", Kind::Param, message)
            },
        }
    })
}

/// One name: a parameter, a context, or something that a template asks for and nobody gave.
#[derive(Default)]
struct Node {
    template: Option<Value>,
    value: Option<Value>,
    /// Whether somebody gave it, rather than a definition.
    is_given: bool,
    /// Names that the template reads, by index.
    needs: Vec<usize>,
}

/// Who needs whom. Nodes are in the order in which they were first named.
struct Graph<'a> {
    sources: &'a Sources<'a>,
    /// The definitions of the runner's and the action's parameters.
    definitions: [&'a Parameters; 2],
    /// How what was given sees the world, and the parameters that it does not see.
    restricted: Option<(Seen<'a>, BTreeSet<Str>)>,
    nodes: IndexMap<Str, Node>,
    /// The names with templates, in the order in which these were noted.
    templates: Vec<usize>,
}

impl<'a> Graph<'a> {
    fn new(sources: &'a Sources<'a>, definitions: [&'a Parameters; 2]) -> Graph<'a> {
        Graph {
            sources,
            definitions,
            restricted: None,
            nodes: IndexMap::new(),
            templates: Vec::new(),
        }
    }

    /// Notes `value` for `name`; `may_be_template` says whether it has template markers. Text that
    /// has them and is no template after all stays plain. Gives whether it is a template.
    fn process(&mut self, name: &Str, value: &Value, may_be_template: bool) -> bool {
        let names = may_be_template.then(|| {
            let text = python::str(value);
            self.sources.expressions.undeclared_variables(&text)
        });
        let entry = self.nodes.entry(name.clone());
        let index = entry.index();
        let node = entry.or_default();
        let names = match names {
            Some(Ok(names)) => names,
            // Well-formed, but a filter is unknown or a limit was hit: rendering it will fail in
            // the same way, and say which parameter it is.
            Some(Err(error))
                if error.kind != Kind::Parse || error.class == "TemplateAssertionError" =>
            {
                BTreeSet::new()
            }
            Some(Err(_)) | None => {
                node.value = Some(value.clone());
                return false;
            }
        };
        node.template = Some(value.clone());
        self.templates.push(index);
        for needed in names {
            let index = match self.nodes.entry(Str::from(needed)) {
                Entry::Occupied(entry) => entry.index(),
                Entry::Vacant(entry) => {
                    let index = entry.index();
                    entry.insert(Node::default());
                    index
                }
            };
            if let Some(node) = self.nodes.get_mut(name) {
                node.needs.push(index);
            }
        }
        true
    }

    /// Defaults of one definition: for what is absent, null or a template so far, and for what
    /// callers may not set.
    ///
    /// Differs from StackStorm in one point: there a template given for an immutable parameter
    /// wins over a plain default. It must not.
    fn process_defaults(&mut self, parameters: &Parameters) {
        for (name, parameter) in parameters.iter() {
            let current = self.nodes.get(name);
            let has_value = current
                .is_some_and(|node| node.value.as_ref().is_some_and(|value| !value.is_null()));
            if has_value && !parameter.immutable {
                continue;
            }
            if parameter.immutable && parameter.default.is_some() {
                self.clear(name);
            }
            let default = parameter.default.as_ref().unwrap_or(&Value::Null);
            if self.process(name, default, parameter.default_has_marker)
                && let Some(node) = self.nodes.get_mut(name)
            {
                node.is_given = false;
            }
        }
    }

    fn clear(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            *node = Node::default();
        }
    }

    /// The value of every name.
    fn resolve(mut self) -> Result<Dict, Error> {
        if self.templates.is_empty() {
            return Ok(self
                .nodes
                .into_iter()
                .map(|(name, node)| (name, node.value.unwrap_or_default()))
                .collect());
        }
        self.add_contexts();
        let unsatisfied = self
            .nodes
            .iter()
            .find(|(_, node)| node.template.is_none() && node.value.is_none());
        if let Some((variable, _)) = unsatisfied {
            return Err(Error::Unsatisfied {
                variable: variable.clone(),
            });
        }
        let order = self.order()?;
        let user = self.user();
        let mut values = Dict::with_capacity(self.nodes.len());
        for index in order {
            let Some((name, node)) = self.nodes.get_index(index) else {
                continue;
            };
            let value = match &node.template {
                Some(template) => {
                    let restricted = self.restricted.as_ref().filter(|_| node.is_given);
                    let rendered = match restricted {
                        None => render(template, &values, self.sources, &user),
                        Some((seen, secrets)) => {
                            self.render_given(node, template, &values, (seen, secrets), &user)
                        }
                    };
                    rendered.map_err(|message| Error::Render {
                        parameter: name.clone(),
                        message: self.without_secrets(message, &values),
                    })?
                }
                None => node.value.clone().unwrap_or_default(),
            };
            values.insert(name.clone(), value);
        }
        Ok(values)
    }

    /// The reason of a failure without the secrets that it may quote.
    fn without_secrets(&self, message: String, values: &Dict) -> String {
        let mut secrets = Vec::new();
        let all = self.definitions.into_iter().flat_map(Parameters::iter);
        for (name, parameter) in all {
            if let Some(value) = values.get(name) {
                Mask::new(parameter.attributes()).collect(value, &mut secrets);
            }
        }
        // Shorter ones are words of the message, too.
        secrets.retain(|secret| secret.chars().count() >= SECRET_LENGTH_MIN);
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        let masked = |message: String, secret: &Str| message.replace(&**secret, MASKED);
        secrets.iter().fold(message, masked)
    }

    /// The value of a template of somebody who may not see everything.
    fn render_given(
        &self,
        node: &Node,
        template: &Value,
        values: &Dict,
        (seen, secrets): (&Seen<'_>, &BTreeSet<Str>),
        user: &Str,
    ) -> Result<Value, String> {
        let names = node.needs.iter();
        let names = names.filter_map(|&index| self.nodes.get_index(index));
        let mut visible = Dict::new();
        for (name, needed) in names {
            if secrets.contains(name) {
                return Err(format!(
                    "the parameter \"{name}\" is secret, and can't be read by another one"
                ));
            }
            let value = match &**name {
                CONFIG_CONTEXT if !needed.is_given => (seen.config)(),
                name => values.get(name).cloned().unwrap_or_default(),
            };
            visible.insert(name.clone(), value);
        }
        let sources = Sources {
            host: seen.host,
            ..*self.sources
        };
        render(template, &visible, &sources, user)
    }

    /// Gives the contexts to the templates that name them. A parameter of the same name hides a
    /// context.
    fn add_contexts(&mut self) {
        let sources = self.sources;
        for (name, node) in &mut self.nodes {
            if node.value.is_some() || node.template.is_some() {
                continue;
            }
            node.value = match &**name {
                // The template engine has the datastore itself, and asks only for what is read.
                DATASTORE => Some(Value::Null),
                name => match sources.additional.get(name) {
                    Some(value) => Some(value.clone()),
                    None if name == ACTION_CONTEXT => Some(sources.action_context.clone()),
                    None if name == CONFIG_CONTEXT => Some((sources.config)()),
                    None => None,
                },
            };
        }
    }

    fn user(&self) -> Str {
        let context = self.sources.action_context;
        let user = context.get("api_user").or_else(|| context.get("user"));
        match user {
            Some(Value::String(user)) if !user.is_empty() => user.clone(),
            _ => self.sources.system_user.clone(),
        }
    }

    /// An order in which every name comes after those it needs.
    fn order(&self) -> Result<Vec<usize>, Error> {
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut missing = Vec::with_capacity(self.nodes.len());
        for node in self.nodes.values() {
            missing.push(node.needs.len());
        }
        // Of several that wait for one name, the first noted comes first: it decides which of two
        // failures is told.
        let mut is_seen = vec![false; self.nodes.len()];
        for &index in &self.templates {
            if !std::mem::replace(&mut is_seen[index], true) {
                for &needed in &self.nodes[index].needs {
                    needed_by[needed].push(index);
                }
            }
        }
        let mut order: Vec<usize> = (0..missing.len()).filter(|&i| missing[i] == 0).collect();
        let mut next = 0;
        while next < order.len() {
            for &index in &needed_by[order[next]] {
                missing[index] -= 1;
                if missing[index] == 0 {
                    order.push(index);
                }
            }
            next += 1;
        }
        if order.len() == self.nodes.len() {
            return Ok(order);
        }
        Err(Error::Cycle {
            variables: self.cycle(&missing, &needed_by),
        })
    }

    /// Of the names that could not be ordered, those that lie on cycles: what merely needs one of
    /// them is taken off from its end.
    fn cycle(&self, missing: &[usize], needed_by: &[Vec<usize>]) -> Vec<Str> {
        let mut is_left: Vec<bool> = missing.iter().map(|&count| count > 0).collect();
        let mut users: Vec<usize> = needed_by
            .iter()
            .map(|users| users.iter().filter(|&&user| is_left[user]).count())
            .collect();
        let mut ends: Vec<usize> = (0..is_left.len())
            .filter(|&index| is_left[index] && users[index] == 0)
            .collect();
        while let Some(end) = ends.pop() {
            is_left[end] = false;
            for &needed in &self.nodes[end].needs {
                users[needed] = users[needed].saturating_sub(1);
                if is_left[needed] && users[needed] == 0 {
                    ends.push(needed);
                }
            }
        }
        let mut names: Vec<Str> = self
            .nodes
            .keys()
            .zip(&is_left)
            .filter(|(_, is_left)| **is_left)
            .map(|(name, _)| name.clone())
            .collect();
        names.sort_unstable();
        names
    }
}

/// The value of a template: text for a text; a container is rendered as JSON text and read back.
fn render(
    template: &Value,
    values: &Dict,
    sources: &Sources<'_>,
    user: &Str,
) -> Result<Value, String> {
    let context = Context::new(values).with_datastore(sources.host, Some(user));
    let render = |text: &str| {
        sources
            .expressions
            .render(text, &context, Undefined::Strict)
            .map_err(|error| error.message)
    };
    match template {
        Value::String(text) => render(text).map(Value::from),
        container => {
            let text = keep_types(&json::write(container));
            orjson::read(&render(&text)?).map_err(|error| orjson::message(&error))
        }
    }
}

/// Makes `{{name | to_complex}}` of every `"{{name}}"`, quotes included, so that the value keeps
/// its type. Only a bare name without spaces counts.
fn keep_types(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\"{{") {
        let (before, after) = rest.split_at(start);
        let name_and_more = &after[3..];
        // The range `A-z` of StackStorm's expression takes in what lies between `Z` and `a`.
        let name_length = name_and_more
            .find(|c: char| !matches!(c, 'A'..='z' | '0'..='9' | '-'))
            .unwrap_or(name_and_more.len());
        let (name, tail) = name_and_more.split_at(name_length);
        result.push_str(before);
        match tail.strip_prefix("}}\"") {
            Some(tail) if !name.is_empty() => {
                result.push_str("{{");
                result.push_str(name);
                result.push_str(" | to_complex}}");
                rest = tail;
            }
            _ => {
                result.push_str("\"{{");
                rest = name_and_more;
            }
        }
    }
    result.push_str(rest);
    result
}
