//! The tree of a parsed template.

use std::sync::Arc;

use squall_value::{Str, Value};

use super::registry::{Filter, Test};

pub(super) type Body = Vec<Stmt>;

#[derive(Debug)]
pub(super) enum Stmt {
    Data(Str),
    Print(Expr),
    For(Arc<For>),
    If {
        /// `if` and `elif`, in order.
        branches: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    Set(Target, Expr),
    SetBlock {
        target: Target,
        filter: Option<Expr>,
        body: Body,
    },
    With {
        bindings: Vec<(Target, Expr)>,
        body: Body,
    },
    AutoEscape(Expr, Body),
    FilterBlock {
        filter: Expr,
        body: Body,
    },
    Macro(Arc<Macro>),
    CallBlock {
        call: Expr,
        caller: Arc<Macro>,
    },
    Block {
        is_scoped: bool,
        body: Body,
    },
    /// `include`, `import`, `from`, `extends`: there is nothing to load from.
    Load {
        template: Expr,
        names: Vec<Str>,
    },
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) iter: Expr,
    pub(super) test: Option<Expr>,
    pub(super) body: Body,
    pub(super) otherwise: Body,
    pub(super) is_recursive: bool,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Option<Str>,
    pub(super) params: Vec<Str>,
    /// Defaults of the last parameters.
    pub(super) defaults: Vec<Expr>,
    pub(super) body: Body,
    /// Which of the three special names the body reads.
    pub(super) reads_varargs: bool,
    pub(super) reads_kwargs: bool,
    pub(super) reads_caller: bool,
}

/// What can be assigned to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Str),
    /// An attribute of a namespace.
    Attribute(Str, Str),
    Tuple(Vec<Target>),
}

#[derive(Debug)]
pub(super) enum Expr {
    Const(Value),
    Name(Str),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Cond {
        test: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
        line: u32,
    },
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    /// Operators of one precedence, grouped to the left.
    Chain(Box<Expr>, Vec<(BinOp, Expr)>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(CmpOp, Expr)>),
    Attr(Box<Expr>, Str),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<[Option<Expr>; 3]>),
    Filter {
        /// `None` in `{% filter %}` and `{% set %}` blocks: the block's text.
        target: Option<Box<Expr>>,
        name: Str,
        filter: Option<&'static Filter>,
        args: Box<Args>,
    },
    Test {
        target: Box<Expr>,
        name: Str,
        test: Option<&'static Test>,
        args: Box<Args>,
    },
    Call {
        target: Box<Expr>,
        args: Box<Args>,
    },
}

#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) positional: Vec<Expr>,
    pub(super) named: Vec<(Str, Expr)>,
    pub(super) star: Option<Expr>,
    pub(super) star_star: Option<Expr>,
}

impl Args {
    pub(super) fn is_empty(&self) -> bool {
        self.positional.is_empty()
            && self.named.is_empty()
            && self.star.is_none()
            && self.star_star.is_none()
    }

    /// All argument expressions in order of evaluation.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Expr> {
        self.positional
            .iter()
            .chain(self.named.iter().map(|(_, value)| value))
            .chain(&self.star)
            .chain(&self.star_star)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CmpOp {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    In,
    NotIn,
}
