//! The types of JSON Schema, and what Python calls the type of a value.

use squall_value::Value;

/// A type of JSON Schema draft 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A list.
    Array,
    /// True or false.
    Boolean,
    /// A number without a fraction. As in draft 4, `1.0` is not one.
    Integer,
    /// Nothing.
    Null,
    /// Any number.
    Number,
    /// A dictionary.
    Object,
    /// Text.
    String,
}

/// All types, in the order in which messages name them.
pub const TYPES: [Type; 7] = [
    Type::Array,
    Type::Boolean,
    Type::Integer,
    Type::Null,
    Type::Number,
    Type::Object,
    Type::String,
];

impl Type {
    /// The type with this name in a schema.
    #[must_use]
    pub fn parse(name: &str) -> Option<Type> {
        TYPES.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in a schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Type::Array => "array",
            Type::Boolean => "boolean",
            Type::Integer => "integer",
            Type::Null => "null",
            Type::Number => "number",
            Type::Object => "object",
            Type::String => "string",
        }
    }

    /// Whether `value` is of this type.
    #[must_use]
    pub fn admits(self, value: &Value) -> bool {
        match value {
            Value::Null => self == Type::Null,
            Value::Bool(_) => self == Type::Boolean,
            Value::Int(_) | Value::BigInt(_) => matches!(self, Type::Integer | Type::Number),
            Value::Float(_) => self == Type::Number,
            Value::String(_) => self == Type::String,
            Value::List(_) => self == Type::Array,
            Value::Dict(_) => self == Type::Object,
        }
    }
}

/// What Python calls the type of a value, as messages quote it.
#[must_use]
pub fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::BigInt(_) => "int",
        Value::Float(_) => "float",
        Value::String(_) => "str",
        Value::List(_) => "list",
        Value::Dict(_) => "dict",
    }
}
