//! The syntax tree. Nodes are shared, because lambdas and lazy iterators outlive the call that made
//! them.

use std::sync::Arc;

use squall_value::{Str, Value as Data};

/// One argument of a call; `None` is a skipped one, which takes its default.
pub(crate) type Argument = Option<Arc<Expr>>;

#[derive(Debug)]
pub(crate) enum Expr {
    /// `1`, `'text'`, `true`.
    Literal(Data),
    /// A bare word: a text, and the name of a member or of an argument.
    Keyword(Str),
    /// `$name`.
    Variable(Variable),
    /// Anything that is resolved as a function.
    Call(Call),
    /// `( … )`, which keeps a call from being taken for a method.
    Wrap(Arc<Expr>),
    /// `key => value`.
    Rule(Arc<Expr>, Arc<Expr>),
}

/// A variable's name without `$`; positional ones by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// `$` and `$1`.
    First,
    Named(Str),
}

impl Variable {
    /// From a name with or without its `$`.
    pub(crate) fn new(name: &str) -> Variable {
        match name.strip_prefix('$').unwrap_or(name) {
            "" | "1" => Variable::First,
            other => Variable::Named(Str::from(other)),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: Name,
    pub(crate) args: Vec<Argument>,
    pub(crate) form: Form,
}

/// The name under which overloads are looked up, such as `where` or `#operator_+`.
#[derive(Debug)]
pub(crate) enum Name {
    Known(&'static str),
    Written(Str),
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Name::Known(name) => name,
            Name::Written(name) => name,
        }
    }
}

/// How the call was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `name(…)`: may stand to the right of a dot.
    Function,
    Operator(Operator),
    Index,
    List,
    Map,
}

/// The operators, for those that the evaluator knows by heart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Dot,
    SafeDot,
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Equal,
    NotEqual,
    In,
    And,
    Or,
    Send,
    Match,
    NotMatch,
    UnaryPlus,
    UnaryMinus,
    Not,
}

impl Operator {
    /// The name of the function that carries the operator out.
    pub(crate) fn function_name(self) -> &'static str {
        match self {
            Operator::Dot => "#operator_.",
            Operator::SafeDot => "#operator_?.",
            Operator::Plus => "#operator_+",
            Operator::Minus => "#operator_-",
            Operator::Multiply => "#operator_*",
            Operator::Divide => "#operator_/",
            Operator::Modulo => "#operator_mod",
            Operator::Greater => "#operator_>",
            Operator::Less => "#operator_<",
            Operator::GreaterOrEqual => "#operator_>=",
            Operator::LessOrEqual => "#operator_<=",
            Operator::Equal => "*equal",
            Operator::NotEqual => "*not_equal",
            Operator::In => "#operator_in",
            Operator::And => "#operator_and",
            Operator::Or => "#operator_or",
            Operator::Send => "#operator_->",
            Operator::Match => "#operator_=~",
            Operator::NotMatch => "#operator_!~",
            Operator::UnaryPlus => "#unary_operator_+",
            Operator::UnaryMinus => "#unary_operator_-",
            Operator::Not => "#unary_operator_not",
        }
    }
}

impl Expr {
    /// Adds the names of the functions and methods that are called by name.
    pub(crate) fn add_calls<'e>(&'e self, calls: &mut Vec<&'e str>) {
        match self {
            Expr::Call(call) => {
                if call.form == Form::Function {
                    calls.push(&call.name);
                }
                for argument in call.args.iter().flatten() {
                    argument.add_calls(calls);
                }
            }
            Expr::Wrap(inner) => inner.add_calls(calls),
            Expr::Rule(key, value) => {
                key.add_calls(calls);
                value.add_calls(calls);
            }
            Expr::Literal(_) | Expr::Keyword(_) | Expr::Variable(_) => {}
        }
    }

    /// Whether the node may be the right side of a dot as a method call.
    pub(crate) fn uses_receiver(&self) -> bool {
        matches!(self, Expr::Call(call) if call.form == Form::Function)
    }
}
