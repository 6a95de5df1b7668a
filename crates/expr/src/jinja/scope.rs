//! The variables of a running template: one frame per Jinja scope.

use std::cell::RefCell;
use std::rc::Rc;

use squall_value::Str;

use super::value::Val;

/// A frame and the frames around it. Macros keep the frame in which they were defined.
pub(crate) struct Scope {
    names: RefCell<Vec<(Str, Val)>>,
    parent: Option<Rc<Scope>>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Scope {
    pub(super) fn root() -> Rc<Scope> {
        Rc::new(Scope {
            names: RefCell::new(Vec::new()),
            parent: None,
        })
    }

    pub(super) fn inner(parent: &Rc<Scope>) -> Rc<Scope> {
        Rc::new(Scope {
            names: RefCell::new(Vec::new()),
            parent: Some(Rc::clone(parent)),
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<Val> {
        let mut scope = self;
        loop {
            let names = scope.names.borrow();
            if let Some((_, value)) = names.iter().find(|(found, _)| **found == *name) {
                return Some(value.clone());
            }
            drop(names);
            scope = scope.parent.as_deref()?;
        }
    }

    pub(super) fn set(&self, name: &Str, value: Val) {
        let mut names = self.names.borrow_mut();
        match names.iter_mut().find(|(found, _)| found == name) {
            Some((_, old)) => *old = value,
            None => names.push((name.clone(), value)),
        }
    }

    /// The frame of the whole template.
    pub(super) fn outermost(scope: &Rc<Scope>) -> Rc<Scope> {
        let mut scope = scope;
        while let Some(parent) = &scope.parent {
            scope = parent;
        }
        Rc::clone(scope)
    }

    /// Forgets all names, for the next round of a loop.
    pub(super) fn clear(&self) {
        let names = std::mem::take(&mut *self.names.borrow_mut());
        super::value::drop_flat(names.into_iter().map(|(_, value)| value));
    }
}
