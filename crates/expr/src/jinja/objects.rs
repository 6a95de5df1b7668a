//! The callable and stateful objects of a running template.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use squall_value::Str;

use super::ast::Macro;
use super::registry::{Callable, CatalogueFunction};
use super::scope::Scope;
use super::value::{Key, Val};

/// A function known by name.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    Range,
    Dict,
    Lipsum,
    CyclerClass,
    JoinerClass,
    NamespaceClass,
    Catalogue(&'static CatalogueFunction),
}

impl Function {
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Function::Catalogue(function) if function.needs_scope => "partial",
            Function::Dict
            | Function::CyclerClass
            | Function::JoinerClass
            | Function::NamespaceClass => "type",
            Function::Range | Function::Lipsum | Function::Catalogue(_) => "function",
        }
    }

    pub(super) fn global(name: &str) -> Option<Function> {
        Some(match name {
            "range" => Function::Range,
            "dict" => Function::Dict,
            "lipsum" => Function::Lipsum,
            "cycler" => Function::CyclerClass,
            "joiner" => Function::JoinerClass,
            "namespace" => Function::NamespaceClass,
            _ => return None,
        })
    }
}

/// A method bound to its value.
pub(crate) struct Method {
    pub(crate) target: Val,
    pub(crate) callable: &'static Callable,
}

/// A macro, or the body of a `{% call %}` block.
pub(crate) struct MacroValue {
    pub(super) node: Arc<Macro>,
    /// Where it was defined.
    pub(super) scope: Rc<Scope>,
}

/// `loop` within a `{% for %}`.
pub(crate) struct LoopState {
    pub(super) items: Vec<Val>,
    pub(super) index: Cell<usize>,
    pub(super) depth: usize,
    /// What `loop.changed` saw last.
    pub(super) last: RefCell<Option<Vec<Val>>>,
    /// For `loop(…)` in a recursive loop: where to go on.
    pub(super) recursion: Option<Recursion>,
    pub(super) is_strict: bool,
}

/// The loop to run again, one level deeper.
pub(crate) struct Recursion {
    pub(super) node: Arc<super::ast::For>,
    pub(super) scope: Rc<Scope>,
}

pub(crate) struct Cycler {
    pub(super) items: Vec<Val>,
    pub(super) at: Cell<usize>,
}

pub(crate) struct Joiner {
    pub(super) separator: Val,
    pub(super) is_used: Cell<bool>,
}

#[derive(Default)]
pub(crate) struct Namespace {
    pub(super) attributes: RefCell<Vec<(Str, Val)>>,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.empty();
    }
}

impl Drop for Cycler {
    fn drop(&mut self) {
        super::value::drop_flat(self.items.drain(..));
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        super::value::drop_flat([std::mem::replace(&mut self.separator, Val::None)]);
    }
}

impl Drop for LoopState {
    fn drop(&mut self) {
        super::value::drop_flat(self.items.drain(..));
    }
}

impl Drop for Method {
    fn drop(&mut self) {
        super::value::drop_flat([std::mem::replace(&mut self.target, Val::None)]);
    }
}

impl Namespace {
    pub(super) fn empty(&self) {
        let attributes = std::mem::take(&mut *self.attributes.borrow_mut());
        super::value::drop_flat(attributes.into_iter().map(|(_, value)| value));
    }

    pub(super) fn get(&self, name: &str) -> Option<Val> {
        let attributes = self.attributes.borrow();
        let found = attributes.iter().find(|(found, _)| **found == *name);
        found.map(|(_, value)| value.clone())
    }

    pub(super) fn set(&self, name: &Str, value: Val) {
        let mut attributes = self.attributes.borrow_mut();
        match attributes.iter_mut().find(|(found, _)| found == name) {
            Some((_, old)) => *old = value,
            None => attributes.push((name.clone(), value)),
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::text::repr(&self.0))
    }
}

pub(super) const LOOP_METHODS: &[Callable] = &[
    Callable::new("cycle", "cycle", &["self"], 1, |_, mut args| {
        let Val::Loop(state) = args.required(0) else {
            return Err(super::type_error("loop expected"));
        };
        if args.rest.is_empty() {
            return Err(super::type_error("no items for cycling given"));
        }
        Ok(args.rest[state.index.get() % args.rest.len()].clone())
    })
    .variadic(),
    Callable::new("changed", "changed", &["self"], 1, |_, mut args| {
        let Val::Loop(state) = args.required(0) else {
            return Err(super::type_error("loop expected"));
        };
        let mut last = state.last.borrow_mut();
        let now = Val::tuple(args.rest.clone());
        let is_same = match last.take() {
            Some(before) => super::ops::equals(&Val::tuple(before), &now)?,
            None => false,
        };
        *last = Some(args.rest);
        Ok(Val::Bool(!is_same))
    })
    .variadic(),
];

pub(super) const CYCLER_METHODS: &[Callable] = &[
    Callable::new("next", "next", &["self"], 1, |_, mut args| {
        let Val::Cycler(cycler) = args.required(0) else {
            return Err(super::type_error("cycler expected"));
        };
        let current = cycler.current();
        cycler.at.set((cycler.at.get() + 1) % cycler.items.len());
        Ok(current)
    }),
    Callable::new("reset", "reset", &["self"], 1, |_, mut args| {
        if let Val::Cycler(cycler) = args.required(0) {
            cycler.at.set(0);
        }
        Ok(Val::None)
    }),
];

impl LoopState {
    pub(super) fn attribute(self: &Rc<LoopState>, name: &str) -> Option<Val> {
        let (index, length) = (self.index.get(), self.items.len());
        Some(match name {
            "index" => Val::len_of(index + 1),
            "index0" => Val::len_of(index),
            "revindex" => Val::len_of(length - index),
            "revindex0" => Val::len_of(length - index - 1),
            "first" => Val::Bool(index == 0),
            "last" => Val::Bool(index + 1 == length),
            "length" => Val::len_of(length),
            "depth" => Val::len_of(self.depth + 1),
            "depth0" => Val::len_of(self.depth),
            "previtem" if index == 0 => {
                Val::undefined("there is no previous item", !self.is_strict)
            }
            "previtem" => self.items[index - 1].clone(),
            "nextitem" => match self.items.get(index + 1) {
                Some(item) => item.clone(),
                None => Val::undefined("there is no next item", !self.is_strict),
            },
            _ => {
                let callable = super::methods::find(&Val::Loop(Rc::clone(self)), name)?;
                Val::Method(Rc::new(Method {
                    target: Val::Loop(Rc::clone(self)),
                    callable,
                }))
            }
        })
    }

    /// The items that are still to come.
    pub(super) fn rest(&self) -> Vec<Val> {
        self.items[self.index.get() + 1..].to_vec()
    }
}

impl Cycler {
    pub(super) fn current(&self) -> Val {
        self.items[self.at.get()].clone()
    }
}

impl MacroValue {
    pub(super) fn attribute(&self, name: &str) -> Option<Val> {
        Some(match name {
            "name" => self.node.name.clone().map_or(Val::None, Val::Str),
            "arguments" => Val::tuple(self.node.params.iter().cloned().map(Val::Str).collect()),
            "catch_kwargs" => Val::Bool(self.node.reads_kwargs),
            "catch_varargs" => Val::Bool(self.node.reads_varargs),
            "caller" => Val::Bool(self.node.reads_caller),
            _ => return None,
        })
    }
}

impl super::value::Lookup {
    /// The look-up of a longer key.
    pub(super) fn extended(&self, name: &str) -> Val {
        let key = if self.key.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.key)
        };
        Val::Key(Rc::new(super::value::Lookup {
            scope: self.scope.clone(),
            key,
        }))
    }
}
