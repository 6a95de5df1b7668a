//! Hiding secrets by schema.
//!
//! A schema marks what is secret; a [`Mask`] is that part of it, compiled. Where StackStorm looks
//! for the mark only in `properties` and `items`, or only where a `type` is declared, a mask follows
//! every keyword that holds schemas of members: a secret shown because its definition was written
//! in an unusual way is still a secret shown.

use fancy_regex::{Regex, RegexBuilder};
use indexmap::IndexMap;
use squall_value::{Dict, Str, Value, python};

use crate::parameter::Parameters;

/// What a secret is shown as.
pub const MASKED: &str = "********";

/// How deep schemas may nest. Definitions that nest deeper are refused at registration.
pub(crate) const DEPTH_MAX: usize = 64;

/// How much backtracking one property name may cost before it counts as matched.
const BACKTRACK_MAX: usize = 100_000;

/// The secret parts of a schema.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    node: Node,
}

#[derive(Clone, Debug, Default)]
enum Node {
    /// Nothing below is secret.
    #[default]
    Open,
    /// All of it is secret.
    Secret,
    Object(Box<Object>),
    Array(Box<Array>),
    /// Several schemas apply at once.
    All(Vec<Node>),
}

#[derive(Clone, Debug, Default)]
struct Object {
    properties: IndexMap<Str, Node>,
    /// `None` stands for a pattern that can't be compiled: it matches every name.
    patterns: Vec<(Option<Regex>, Node)>,
    additional: Node,
}

#[derive(Clone, Debug, Default)]
struct Array {
    positional: Vec<Node>,
    rest: Node,
}

impl Mask {
    /// The mask of a schema for any value.
    #[must_use]
    pub fn new(schema: &Value) -> Mask {
        Mask {
            node: Node::new(schema, 0),
        }
    }

    /// The mask of a mapping of parameters. Names without a definition are not hidden.
    #[must_use]
    pub fn of_parameters(parameters: &Parameters) -> Mask {
        let properties: IndexMap<Str, Node> = parameters
            .iter()
            .map(|(name, parameter)| (name.clone(), Node::new(parameter.attributes(), 0)))
            .filter(|(_, node)| !node.is_open())
            .collect();
        if properties.is_empty() {
            return Mask::default();
        }
        Mask {
            node: Node::Object(Box::new(Object {
                properties,
                ..Object::default()
            })),
        }
    }

    /// Whether nothing is secret, so that masking changes nothing.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.node.is_open()
    }

    /// The mask of the member `name` of an object.
    #[must_use]
    pub fn member(&self, name: &str) -> Mask {
        Mask {
            node: match &self.node {
                Node::Object(object) => object.properties.get(name).cloned().unwrap_or_default(),
                _ => Node::Open,
            },
        }
    }

    /// `value` with [`MASKED`] in place of every secret. Shares all parts without secrets.
    #[must_use]
    pub fn apply(&self, value: &Value) -> Value {
        self.node.apply(value)
    }

    /// Appends the texts (and numbers, as text) that are secret in `value`, for masking by value in
    /// output and logs.
    pub fn collect(&self, value: &Value, secrets: &mut Vec<Str>) {
        self.node.collect(value, secrets);
    }
}

impl Node {
    fn new(schema: &Value, depth: usize) -> Node {
        let Some(schema) = schema.as_dict().filter(|_| depth < DEPTH_MAX) else {
            return Node::Open;
        };
        if schema.get("secret").is_some_and(Value::is_truthy) {
            return Node::Secret;
        }
        let mut nodes: Vec<Node> = ["anyOf", "oneOf", "allOf"]
            .iter()
            .filter_map(|key| schema.get(key).and_then(Value::as_list))
            .flatten()
            .map(|alternative| Node::new(alternative, depth + 1))
            .filter(|node| !node.is_open())
            .collect();
        nodes.extend(Object::of(schema, depth).map(Node::Object));
        nodes.extend(Array::of(schema, depth).map(Node::Array));
        if nodes.len() > 1 {
            Node::All(nodes)
        } else {
            nodes.pop().unwrap_or_default()
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Node::Open)
    }

    fn apply(&self, value: &Value) -> Value {
        match (self, value) {
            (Node::Secret, _) => Value::from(MASKED),
            (Node::Object(object), Value::Dict(dict)) => Value::from(
                dict.iter()
                    .map(|(key, item)| (key.clone(), object.apply(key, item)))
                    .collect::<Dict>(),
            ),
            (Node::Array(array), Value::List(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| array.node(index).apply(item))
                .collect(),
            (Node::All(nodes), _) => nodes
                .iter()
                .fold(value.clone(), |value, node| node.apply(&value)),
            _ => value.clone(),
        }
    }

    fn collect(&self, value: &Value, secrets: &mut Vec<Str>) {
        match (self, value) {
            (Node::Secret, _) => collect_texts(value, secrets),
            (Node::Object(object), Value::Dict(dict)) => {
                for (key, item) in dict.iter() {
                    for node in object.nodes(key) {
                        node.collect(item, secrets);
                    }
                }
            }
            (Node::Array(array), Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    array.node(index).collect(item, secrets);
                }
            }
            (Node::All(nodes), _) => {
                for node in nodes {
                    node.collect(value, secrets);
                }
            }
            _ => {}
        }
    }
}

impl Object {
    fn of(schema: &Dict, depth: usize) -> Option<Box<Object>> {
        let members = |key: &str| {
            schema
                .get(key)
                .and_then(Value::as_dict)
                .into_iter()
                .flat_map(Dict::iter)
        };
        let patterns: Vec<_> = members("patternProperties")
            .map(|(pattern, member)| (compile(pattern), Node::new(member, depth + 1)))
            .collect();
        let additional = schema
            .get("additionalProperties")
            .map(|member| Node::new(member, depth + 1))
            .unwrap_or_default();
        let properties: IndexMap<Str, Node> = members("properties")
            .map(|(name, member)| (name.clone(), Node::new(member, depth + 1)))
            .collect();
        let is_open = additional.is_open()
            && properties.values().all(Node::is_open)
            && patterns.iter().all(|(_, node)| node.is_open());
        (!is_open).then(|| {
            Box::new(Object {
                properties,
                patterns,
                additional,
            })
        })
    }

    /// The nodes that apply to the member `key`: as in JSON Schema, `additionalProperties` only
    /// where nothing else does.
    fn nodes(&self, key: &str) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.properties.get(key).into_iter().collect();
        nodes.extend(
            self.patterns
                .iter()
                .filter(|(pattern, _)| {
                    pattern
                        .as_ref()
                        .is_none_or(|pattern| pattern.is_match(key).unwrap_or(true))
                })
                .map(|(_, node)| node),
        );
        if nodes.is_empty() {
            nodes.push(&self.additional);
        }
        nodes
    }

    fn apply(&self, key: &str, value: &Value) -> Value {
        self.nodes(key)
            .into_iter()
            .fold(value.clone(), |value, node| node.apply(&value))
    }
}

impl Array {
    fn of(schema: &Dict, depth: usize) -> Option<Box<Array>> {
        let array = match schema.get("items") {
            Some(Value::List(positional)) => Array {
                positional: positional
                    .iter()
                    .map(|item| Node::new(item, depth + 1))
                    .collect(),
                rest: schema
                    .get("additionalItems")
                    .map(|item| Node::new(item, depth + 1))
                    .unwrap_or_default(),
            },
            Some(item) => Array {
                positional: Vec::new(),
                rest: Node::new(item, depth + 1),
            },
            None => return None,
        };
        let is_open = array.rest.is_open() && array.positional.iter().all(Node::is_open);
        (!is_open).then(|| Box::new(array))
    }

    fn node(&self, index: usize) -> &Node {
        self.positional.get(index).unwrap_or(&self.rest)
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .backtrack_limit(BACKTRACK_MAX)
        .build()
        .ok()
}

fn collect_texts(value: &Value, secrets: &mut Vec<Str>) {
    match value {
        Value::String(text) => secrets.push(text.clone()),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            secrets.push(Str::from(python::str(value)));
        }
        Value::List(items) => {
            for item in items.iter() {
                collect_texts(item, secrets);
            }
        }
        Value::Dict(dict) => {
            for item in dict.values() {
                collect_texts(item, secrets);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
