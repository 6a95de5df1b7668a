//! Variables and functions that an expression sees, in layers.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use squall_value::Str;

use crate::ast::Variable;
use crate::error::Error;
use crate::lambda::{Lambda, LambdaBody};
use crate::library::Library;
use crate::value::Value;

/// How long a chain of contexts may grow.
const CHAIN_MAX: u32 = 1000;

/// A layer of variables over its parent's; the outermost one has a [`Library`] of functions.
///
/// Cloning gives another handle of the same layer.
#[derive(Clone)]
pub struct Context(Rc<Layer>);

struct Layer {
    parent: Option<Context>,
    library: Option<Arc<Library>>,
    /// `$` and `$1`, apart from the others because nearly every lambda sets and reads it.
    first: RefCell<Option<Value>>,
    variables: RefCell<Vec<(Str, Value)>>,
    functions: RefCell<Vec<(Str, LambdaBody)>>,
    depth: Cell<u32>,
}

impl Context {
    /// An outermost context over a library of functions.
    #[must_use]
    pub fn new(library: Arc<Library>) -> Context {
        Context(Rc::new(Layer {
            parent: None,
            library: Some(library),
            first: RefCell::default(),
            variables: RefCell::default(),
            functions: RefCell::default(),
            depth: Cell::new(0),
        }))
    }

    /// A layer over this one.
    ///
    /// # Errors
    ///
    /// When the chain would become longer than evaluation can bear.
    pub fn child(&self) -> Result<Context, Error> {
        let depth = self.0.depth.get() + 1;
        if depth > CHAIN_MAX {
            return Err(Error::too_deep());
        }
        Ok(Context(Rc::new(Layer {
            parent: Some(self.clone()),
            library: None,
            first: RefCell::default(),
            variables: RefCell::default(),
            functions: RefCell::default(),
            depth: Cell::new(depth),
        })))
    }

    /// Sets a variable of this layer; the name may have its `$`. `$` alone is `$1`.
    ///
    /// # Errors
    ///
    /// When the value nests too deep.
    pub fn set(&self, name: &str, value: Value) -> Result<(), Error> {
        let depth = value.extent().depth + 1;
        if depth > CHAIN_MAX {
            return Err(Error::too_deep());
        }
        self.0.depth.set(self.0.depth.get().max(depth));
        match Variable::new(name) {
            Variable::First => *self.0.first.borrow_mut() = Some(value),
            Variable::Named(name) => {
                let mut variables = self.0.variables.borrow_mut();
                match variables.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, slot)) => *slot = value,
                    None => variables.push((name, value)),
                }
            }
        }
        Ok(())
    }

    /// The value of a variable here or further out; unknown ones are null.
    #[must_use]
    pub fn get(&self, name: &str) -> Value {
        self.lookup(&Variable::new(name))
    }

    pub(crate) fn lookup(&self, variable: &Variable) -> Value {
        let mut layer = Some(self);
        while let Some(context) = layer {
            match variable {
                Variable::First => {
                    if let Some(value) = &*context.0.first.borrow() {
                        return value.clone();
                    }
                }
                Variable::Named(name) => {
                    let variables = context.0.variables.borrow();
                    if let Some((_, value)) = variables.iter().find(|(known, _)| known == name) {
                        return value.clone();
                    }
                }
            }
            layer = context.0.parent.as_ref();
        }
        Value::Null
    }

    /// Adds a function. Only its body is kept: a lambda would hold this context, and neither would
    /// ever be freed.
    pub(crate) fn define(&self, name: Str, body: LambdaBody) {
        self.0.functions.borrow_mut().push((name, body));
    }

    /// The functions called `name` that expressions defined, one vector per layer, inner first.
    pub(crate) fn defined(&self, name: &str) -> Vec<Vec<Rc<Lambda>>> {
        let mut layers = Vec::new();
        let mut layer = Some(self);
        while let Some(context) = layer {
            let functions = context.0.functions.borrow();
            let found: Vec<Rc<Lambda>> = functions
                .iter()
                .filter(|(known, _)| **known == *name)
                .map(|(_, body)| Rc::new(Lambda::from_body(body.clone(), context.clone())))
                .collect();
            if !found.is_empty() {
                layers.push(found);
            }
            layer = context.0.parent.as_ref();
        }
        layers
    }

    pub(crate) fn library(&self) -> Option<Arc<Library>> {
        let mut layer = self;
        loop {
            if let Some(library) = &layer.0.library {
                return Some(library.clone());
            }
            layer = layer.0.parent.as_ref()?;
        }
    }

    /// Empties the layer for another call and sets `$`, if nobody else holds it.
    pub(crate) fn reuse(&self, first: Value) -> Result<bool, Error> {
        if Rc::strong_count(&self.0) != 1 {
            return Ok(false);
        }
        let depth = self.0.parent.as_ref().map_or(0, Context::depth) + 1;
        self.0.depth.set(depth.max(first.extent().depth + 1));
        if self.0.depth.get() > CHAIN_MAX {
            return Err(Error::too_deep());
        }
        *self.0.first.borrow_mut() = Some(first);
        Ok(true)
    }

    /// Forgets everything in the layer, if nobody else holds it; says whether it did.
    pub(crate) fn clear(&self) -> bool {
        if Rc::strong_count(&self.0) != 1 {
            return false;
        }
        *self.0.first.borrow_mut() = None;
        self.0.variables.borrow_mut().clear();
        self.0.functions.borrow_mut().clear();
        true
    }

    pub(crate) fn depth(&self) -> u32 {
        self.0.depth.get()
    }

    pub(crate) fn address(&self) -> *const () {
        Rc::as_ptr(&self.0).cast()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}
