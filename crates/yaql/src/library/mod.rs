//! Functions under their names, in layers.

mod boolean;
mod branching;
mod collections;
mod datetime;
mod folds;
mod math;
mod merge;
mod operators;
mod queries;
mod regex;
mod sets;
mod slices;
mod strings;
mod system;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use squall_value::Str;

use crate::call::Call;
use crate::error::Error;
use crate::resolve::Candidate;
use crate::signature::{Signature, SignatureError};
use crate::value::Value;

/// How a function may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `f(a)`.
    Function,
    /// `a.f()`.
    Method,
    /// Both.
    Extension,
}

impl Kind {
    fn is_callable(self, as_method: bool) -> bool {
        match self {
            Kind::Function => !as_method,
            Kind::Method => as_method,
            Kind::Extension => true,
        }
    }
}

/// What a function does.
pub enum Body {
    /// Rust code.
    Native(Native),
    /// [`Host::call`](crate::Host::call) with this number: for functions that need what lives no
    /// longer than one evaluation.
    Host(u32),
}

/// Rust code that carries a function out.
pub type Native = Box<dyn Fn(&mut Call<'_, '_>) -> Result<Value, Error> + Send + Sync>;

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Native(_) => f.write_str("Native"),
            Body::Host(id) => write!(f, "Host({id})"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) signature: Signature,
    pub(crate) kind: Kind,
    pub(crate) body: Body,
}

/// A layer of functions over its parent's. Built once, shared by all evaluations.
///
/// A function of an inner layer wins over those of the same name further out whenever its parameters
/// accept the arguments.
#[derive(Debug, Default)]
pub struct Library {
    parent: Option<Arc<Library>>,
    functions: HashMap<Str, Vec<Function>, foldhash::fast::RandomState>,
}

impl Library {
    /// The standard functions.
    #[must_use]
    pub fn standard() -> Arc<Library> {
        static STANDARD: LazyLock<Arc<Library>> = LazyLock::new(|| Arc::new(standard()));
        STANDARD.clone()
    }

    /// The standard functions with `lambda` and calls of values.
    #[must_use]
    pub fn standard_with_delegates() -> Arc<Library> {
        static DELEGATES: LazyLock<Arc<Library>> = LazyLock::new(|| {
            let mut library = standard();
            system::add_delegates(&mut library);
            Arc::new(library)
        });
        DELEGATES.clone()
    }

    /// Whether there is a function or method of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut layers = std::iter::successors(Some(self), |layer| layer.parent.as_deref());
        layers.any(|layer| layer.functions.contains_key(name))
    }

    /// An empty layer over `parent`.
    #[must_use]
    pub fn over(parent: Arc<Library>) -> Library {
        Library {
            parent: Some(parent),
            functions: HashMap::default(),
        }
    }

    /// Adds a function.
    ///
    /// The signature is a line such as `regex_substring(value, pattern, resultIndex: int?=0)`:
    /// parameters with an optional type (`int`, `num`, `str`, `bool`, `dict`, `set`, `regex`,
    /// `datetime`, `timespan`, `iterable`, `sequence`, `iterator`, `lambda`, `any`), a `?` where null
    /// is allowed, and a default (`—` for one that the body can tell from null). `*rest` and
    /// `**keywords` take what is left. A `!` before the name marks a function that takes
    /// `key => value` arguments as values. Without a type, anything is accepted, null included.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] when the line can't be read.
    pub fn register(
        &mut self,
        signature: &str,
        kind: Kind,
        body: Body,
    ) -> Result<(), SignatureError> {
        let signature = Signature::parse(signature)?;
        self.functions
            .entry(signature.name.clone())
            .or_default()
            .push(Function {
                signature,
                kind,
                body,
            });
        Ok(())
    }

    fn add(
        &mut self,
        signature: &str,
        kind: Kind,
        body: impl Fn(&mut Call<'_, '_>) -> Result<Value, Error> + Send + Sync + 'static,
    ) {
        self.register(signature, kind, Body::Native(Box::new(body)))
            .expect("the signatures of the standard library are well-formed");
    }

    fn function(
        &mut self,
        signature: &str,
        body: impl Fn(&mut Call<'_, '_>) -> Result<Value, Error> + Send + Sync + 'static,
    ) {
        self.add(signature, Kind::Function, body);
    }

    fn method(
        &mut self,
        signature: &str,
        body: impl Fn(&mut Call<'_, '_>) -> Result<Value, Error> + Send + Sync + 'static,
    ) {
        self.add(signature, Kind::Method, body);
    }

    fn extension(
        &mut self,
        signature: &str,
        body: impl Fn(&mut Call<'_, '_>) -> Result<Value, Error> + Send + Sync + 'static,
    ) {
        self.add(signature, Kind::Extension, body);
    }

    /// The function called `name`, if there is one and no other.
    pub(crate) fn only(&self, name: &str, as_method: bool) -> Option<&Function> {
        let mut only = None;
        let mut library = Some(self);
        while let Some(layer) = library {
            let functions = layer.functions.get(name).into_iter().flatten();
            for function in functions.filter(|function| function.kind.is_callable(as_method)) {
                if only.replace(function).is_some() {
                    return None;
                }
            }
            library = layer.parent.as_deref();
        }
        only
    }

    /// Appends the layers of functions called `name`, inner first.
    pub(crate) fn collect<'a>(
        &'a self,
        name: &str,
        as_method: bool,
        layers: &mut Vec<Vec<Candidate<'a>>>,
    ) {
        let mut library = Some(self);
        while let Some(layer) = library {
            if let Some(functions) = layer.functions.get(name) {
                let wanted: Vec<Candidate<'a>> = functions
                    .iter()
                    .filter(|function| function.kind.is_callable(as_method))
                    .map(Candidate::Library)
                    .collect();
                if !wanted.is_empty() {
                    layers.push(wanted);
                }
            }
            library = layer.parent.as_deref();
        }
    }

    /// The names of all functions that expressions can call by name, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<Str> {
        let mut names: Vec<Str> = Vec::new();
        let mut library = Some(self);
        while let Some(layer) = library {
            let plain = |name: &&Str| name.starts_with(|c: char| c.is_alphabetic());
            names.extend(layer.functions.keys().filter(plain).cloned());
            library = layer.parent.as_deref();
        }
        names.sort();
        names.dedup();
        names
    }
}

fn standard() -> Library {
    let mut library = Library::default();
    boolean::add(&mut library);
    branching::add(&mut library);
    collections::add(&mut library);
    datetime::add(&mut library);
    folds::add(&mut library);
    math::add(&mut library);
    merge::add(&mut library);
    operators::add(&mut library);
    queries::add(&mut library);
    regex::add(&mut library);
    sets::add(&mut library);
    slices::add(&mut library);
    strings::add(&mut library);
    system::add(&mut library);
    library
}
