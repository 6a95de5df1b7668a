//! The schema of Orquesta workflows, and a checker for the part of JSON Schema draft 4 that it uses.
//!
//! The schema is data, and the checker knows nothing of workflows. Messages are those of Python's
//! `jsonschema` 4, since users and programs know them.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use squall_value::{Dict, Value, dict, list, python};

use super::Dialect;
use super::path::Path;

/// A violation of a schema.
pub(crate) struct Violation {
    pub(crate) message: String,
    /// Where in the document.
    pub(crate) path: Path,
    /// Where in the schema.
    pub(crate) schema_path: String,
    /// Names that the schema knows where an unknown one was found, and the unknown one.
    pub(crate) unexpected: Option<(String, Vec<String>)>,
}

impl Violation {
    /// The same for a document of which the one that was checked is the part at `path`.
    pub(crate) fn below(mut self, path: &Path, schema_path: &str) -> Violation {
        self.path = path.join(&self.path);
        self.schema_path = below(schema_path, &self.schema_path);
        self
    }
}

/// Names of tasks and variables in the schema.
const WORD: &str = r"^\w+$";

/// What `with.items` must look like, as the reference engine spells it in its messages.
const ITEMS: &str = r"^(\s+)?({{.*?}}|<%.*?%>)(\s+)?$|^(\s+)?((\w+,\s?|\s+)+)?(\w+)\s+in\s+({{.*?}}|<%.*?%>)(\s+)?$";

static PATTERNS: LazyLock<HashMap<&str, Regex>> = LazyLock::new(|| {
    [WORD, ITEMS]
        .into_iter()
        .map(|pattern| {
            // Python takes braces that repeat nothing literally.
            let escaped = pattern.replace("{{", r"\{\{").replace("}}", r"\}\}");
            (
                pattern,
                Regex::new(&escaped).expect("the patterns are fixed"),
            )
        })
        .collect()
});

/// The schema of a workflow.
pub(crate) static WORKFLOW: LazyLock<Value> = LazyLock::new(|| workflow(Dialect::Squall));

/// The schema of a workflow that the reference engine takes, too.
pub(crate) static ORQUESTA: LazyLock<Value> = LazyLock::new(|| workflow(Dialect::Orquesta));

fn text() -> Value {
    dict! { "type" => "string", "minLength" => 1 }
}

fn one_of(schemas: Vec<Value>) -> Value {
    dict! { "oneOf" => schemas }
}

fn natural() -> Value {
    dict! { "type" => "integer", "minimum" => 0 }
}

fn text_or_natural() -> Value {
    one_of(vec![text(), natural()])
}

/// A time limit: at least a second, or an expression that gives one.
fn limit() -> Value {
    one_of(vec![text(), dict! { "type" => "integer", "minimum" => 1 }])
}

fn texts() -> Value {
    dict! { "type" => "array", "items" => text(), "uniqueItems" => true, "minItems" => 1 }
}

fn anything() -> Value {
    let types = [
        "null", "array", "boolean", "integer", "number", "object", "string",
    ];
    let schemas: Vec<Value> = types.iter().map(|kind| dict! { "type" => *kind }).collect();
    dict! { "anyOf" => schemas }
}

fn parameters() -> Value {
    dict! {
        "type" => "object", "minProperties" => 1, "patternProperties" => dict! { WORD => anything() },
    }
}

fn assignment() -> Value {
    dict! {
        "type" => "object", "minProperties" => 1, "maxProperties" => 1,
        "patternProperties" => dict! { WORD => anything() },
    }
}

fn list_of(items: Value) -> Value {
    dict! { "type" => "array", "items" => items, "uniqueItems" => true, "minItems" => 1 }
}

fn closed(properties: Value) -> Value {
    dict! { "type" => "object", "properties" => properties, "additionalProperties" => false }
}

fn task(dialect: Dialect) -> Value {
    let with = closed(dict! {
        "items" => dict! { "type" => "string", "minLength" => 1, "pattern" => ITEMS },
        "concurrency" => text_or_natural(),
    });
    let retry = dict! {
        "type" => "object",
        "properties" => dict! {
            "when" => text(), "count" => text_or_natural(), "delay" => text_or_natural(),
        },
        "required" => list!["count"],
        "additionalProperties" => false,
    };
    let transition = closed(dict! {
        "when" => text(),
        "publish" => one_of(vec![text(), list_of(assignment())]),
        "do" => one_of(vec![text(), texts()]),
    });
    let mut properties = dict! {
        "delay" => text_or_natural(),
        "join" => one_of(vec![dict! { "enum" => list!["all"] }, natural()]),
        "with" => with,
        "action" => text(),
        "input" => one_of(vec![text(), parameters()]),
        "retry" => retry,
        "next" => dict! { "type" => "array", "items" => transition },
    };
    if dialect == Dialect::Squall {
        let more = dict! {
            "timeout" => limit(), "on_failure" => dict! { "enum" => list!["proceed", "hold"] },
        };
        properties = extended(&properties, &more);
    }
    closed(properties)
}

fn extended(properties: &Value, more: &Value) -> Value {
    let parts = [properties, more].into_iter().filter_map(Value::as_dict);
    let all = parts.flat_map(|part| part.iter().map(|(name, rule)| (name.clone(), rule.clone())));
    Value::from(all.collect::<Dict>())
}

fn workflow(dialect: Dialect) -> Value {
    let version = dict! {
        "anyOf" => list![text(), natural(), dict! { "type" => "number", "minimum" => 0 }],
        "enum" => list!["1.0", 1.0],
    };
    let mut properties = dict! {
        "vars" => list_of(assignment()),
        "input" => list_of(one_of(vec![text(), assignment()])),
        "output" => list_of(assignment()),
        "tasks" => dict! {
            "type" => "object", "minProperties" => 1,
            "patternProperties" => dict! { WORD => task(dialect) },
        },
        "name" => text(),
        "version" => version,
        "description" => text(),
        "tags" => texts(),
    };
    if dialect == Dialect::Squall {
        properties = extended(&properties, &dict! { "timeout" => limit() });
    }
    dict! {
        "type" => "object",
        "properties" => properties,
        "required" => list!["tasks"],
        "additionalProperties" => false,
    }
}

/// All violations of `schema` in `instance`, in the order of the schema.
pub(crate) fn check(schema: &Value, instance: &Value) -> Vec<Violation> {
    let mut checker = Checker {
        violations: Vec::new(),
    };
    checker.check(schema, instance, &Path::root(), "");
    for violation in &mut checker.violations {
        violation.message = unescape(&violation.message);
    }
    checker.violations
}

/// The reference engine takes the escapes in its validator's messages back, so that patterns read as
/// they were written.
fn unescape(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(c @ ('\\' | '\'' | '"')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

struct Checker {
    violations: Vec<Violation>,
}

fn below(schema_path: &str, part: &str) -> String {
    if schema_path.is_empty() {
        part.to_owned()
    } else {
        format!("{schema_path}.{part}")
    }
}

impl Checker {
    fn fail(&mut self, path: &Path, schema_path: &str, keyword: &str, message: String) {
        self.violations.push(Violation {
            message,
            path: path.clone(),
            schema_path: below(schema_path, keyword),
            unexpected: None,
        });
    }

    fn check(&mut self, schema: &Value, instance: &Value, path: &Path, schema_path: &str) {
        let Some(keywords) = schema.as_dict() else {
            return;
        };
        for (keyword, rule) in keywords.iter() {
            match &**keyword {
                "oneOf" | "anyOf" => {
                    let alternatives = rule.as_list().unwrap_or_default();
                    if !alternatives
                        .iter()
                        .any(|alternative| is_valid(alternative, instance))
                    {
                        let repr = python::repr(instance);
                        let message = format!("{repr} is not valid under any of the given schemas");
                        self.fail(path, schema_path, keyword, message);
                    }
                }
                "properties" => self.properties(rule, instance, path, schema_path),
                "patternProperties" => self.pattern_properties(rule, instance, path, schema_path),
                "items" => {
                    let schema_path = below(schema_path, "items");
                    for (index, item) in instance.as_list().unwrap_or_default().iter().enumerate() {
                        self.check(rule, item, &path.index(index), &schema_path);
                    }
                }
                "additionalProperties" => self.unexpected(schema, instance, path, schema_path),
                "required" => {
                    let Some(dict) = instance.as_dict() else {
                        continue;
                    };
                    for name in rule.as_list().unwrap_or_default() {
                        if name.as_str().is_some_and(|name| !dict.contains_key(name)) {
                            let message = format!("{} is a required property", python::repr(name));
                            self.fail(path, schema_path, keyword, message);
                        }
                    }
                }
                _ => {
                    if let Some(message) = scalar_rule(keyword, rule, instance) {
                        self.fail(path, schema_path, keyword, message);
                    }
                }
            }
        }
    }

    fn properties(&mut self, rule: &Value, instance: &Value, path: &Path, schema_path: &str) {
        let (Some(rules), Some(dict)) = (rule.as_dict(), instance.as_dict()) else {
            return;
        };
        for (name, schema) in rules.iter() {
            if let Some(value) = dict.get(name) {
                let schema_path = below(schema_path, &format!("properties.{name}"));
                self.check(schema, value, &path.key(name.clone()), &schema_path);
            }
        }
    }

    fn pattern_properties(
        &mut self,
        rule: &Value,
        instance: &Value,
        path: &Path,
        schema_path: &str,
    ) {
        let (Some(rules), Some(dict)) = (rule.as_dict(), instance.as_dict()) else {
            return;
        };
        for (pattern, schema) in rules.iter() {
            let schema_path = below(schema_path, &format!("patternProperties.{pattern}"));
            for (name, value) in dict.iter() {
                if matches(pattern, name) {
                    self.check(schema, value, &path.key(name.clone()), &schema_path);
                }
            }
        }
    }

    fn unexpected(&mut self, schema: &Value, instance: &Value, path: &Path, schema_path: &str) {
        let known = schema.get("properties").and_then(Value::as_dict);
        let (Some(known), Some(dict)) = (known, instance.as_dict()) else {
            return;
        };
        let mut extras: Vec<_> = dict
            .keys()
            .filter(|name| !known.contains_key(name))
            .collect();
        extras.sort();
        let Some(first) = extras.first() else {
            return;
        };
        let names: Vec<String> = extras
            .iter()
            .map(|name| python::repr(&Value::from((*name).clone())))
            .collect();
        let verb = if extras.len() == 1 { "was" } else { "were" };
        self.violations.push(Violation {
            message: format!(
                "Additional properties are not allowed ({} {verb} unexpected)",
                names.join(", ")
            ),
            path: path.clone(),
            schema_path: below(schema_path, "additionalProperties"),
            unexpected: Some((
                first.to_string(),
                known.keys().map(ToString::to_string).collect(),
            )),
        });
    }
}

fn is_valid(schema: &Value, instance: &Value) -> bool {
    let mut checker = Checker {
        violations: Vec::new(),
    };
    checker.check(schema, instance, &Path::root(), "");
    checker.violations.is_empty()
}

fn matches(pattern: &str, text: &str) -> bool {
    // A pattern that the checker doesn't know restricts nothing.
    PATTERNS
        .get(pattern)
        .is_none_or(|regex| regex.is_match(text))
}

/// The rules that look at one value alone.
fn scalar_rule(keyword: &str, rule: &Value, instance: &Value) -> Option<String> {
    let repr = || python::repr(instance);
    let bound = rule
        .as_int()
        .and_then(|bound| usize::try_from(bound).ok())
        .unwrap_or(0);
    let too_short = |length: usize, what: &str| {
        let what = if bound == 1 {
            "should be non-empty"
        } else {
            what
        };
        (length < bound).then(|| format!("{} {what}", repr()))
    };
    match (keyword, instance) {
        ("type", _) => {
            let kind = rule.as_str().unwrap_or_default();
            let fits = instance.kind() == kind || kind == "number" && instance.kind() == "integer";
            (!fits).then(|| format!("{} is not of type {}", repr(), python::repr(rule)))
        }
        ("enum", _) => {
            let known = rule.as_list().unwrap_or_default();
            let found = known.iter().any(|value| same(value) == same(instance));
            (!found).then(|| format!("{} is not one of {}", repr(), python::repr(rule)))
        }
        ("minLength", Value::String(text)) => too_short(text.chars().count(), "is too short"),
        ("minItems", Value::List(items)) => too_short(items.len(), "is too short"),
        ("minProperties", Value::Dict(dict)) => {
            too_short(dict.len(), "does not have enough properties")
        }
        ("maxProperties", Value::Dict(dict)) => {
            (dict.len() > bound).then(|| format!("{} has too many properties", repr()))
        }
        ("pattern", Value::String(text)) => {
            let pattern = rule.as_str().unwrap_or_default();
            (!matches(pattern, text))
                .then(|| format!("{} does not match {}", repr(), python::repr(rule)))
        }
        ("minimum", Value::Int(_) | Value::BigInt(_) | Value::Float(_)) => {
            let (number, least) = (instance.as_number()?, rule.as_number()?);
            (number < least).then(|| {
                format!(
                    "{} is less than the minimum of {}",
                    repr(),
                    python::repr(rule)
                )
            })
        }
        ("uniqueItems", Value::List(items)) => {
            let mut seen = std::collections::HashSet::with_capacity(items.len());
            let repeated = items.iter().any(|item| !seen.insert(same(item)));
            repeated.then(|| format!("{} has non-unique elements", repr()))
        }
        _ => None,
    }
}

/// A text that is equal for values that JSON Schema holds equal: `1` and `1.0`, dictionaries in any
/// order.
fn same(value: &Value) -> String {
    fn canonical(value: &Value) -> Value {
        match value {
            #[allow(clippy::cast_possible_truncation)]
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Value::Int(*number as i64)
            }
            Value::List(items) => items.iter().map(canonical).collect(),
            Value::Dict(dict) => {
                let mut entries: Vec<_> = dict.iter().collect();
                entries.sort_by_key(|(key, _)| (*key).clone());
                let entries = entries
                    .into_iter()
                    .map(|(key, item)| (key.clone(), canonical(item)));
                Value::from(entries.collect::<squall_value::Dict>())
            }
            other => other.clone(),
        }
    }
    canonical(value).to_json()
}
