//! Lazy iterators, and the one way to walk over anything iterable.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::error::Error;
use crate::eval::Evaluation;
use crate::lambda::LambdaRef;
use crate::value::{NESTING_MAX, Sequence, Set, Value, View};

type Step = Box<dyn FnMut(&mut Evaluation<'_>) -> Result<Option<Value>, Error>>;

/// A lazy iterator: each element is made when it is pulled, and pulled once, unless memorized.
#[derive(Clone)]
pub struct Iter(Rc<Kind>);

enum Kind {
    Once {
        step: RefCell<Option<Step>>,
        depth: u32,
    },
    Memorized {
        source: RefCell<Cursor>,
        seen: RefCell<Vec<Value>>,
        depth: u32,
    },
}

impl Iter {
    /// An iterator over what `step` gives until `None`. `depth` is that of the deepest value it holds.
    pub(crate) fn new(
        depth: u32,
        step: impl FnMut(&mut Evaluation<'_>) -> Result<Option<Value>, Error> + 'static,
    ) -> Result<Iter, Error> {
        if depth >= NESTING_MAX {
            return Err(Error::too_deep());
        }
        Ok(Iter(Rc::new(Kind::Once {
            step: RefCell::new(Some(Box::new(step))),
            depth: depth + 1,
        })))
    }

    pub(crate) fn memorized(source: Cursor) -> Result<Iter, Error> {
        let depth = source.depth();
        if depth >= NESTING_MAX {
            return Err(Error::too_deep());
        }
        Ok(Iter(Rc::new(Kind::Memorized {
            source: RefCell::new(source),
            seen: RefCell::default(),
            depth: depth + 1,
        })))
    }

    pub(crate) fn depth(&self) -> u32 {
        match &*self.0 {
            Kind::Once { depth, .. } | Kind::Memorized { depth, .. } => *depth,
        }
    }

    pub(crate) fn address(&self) -> *const () {
        Rc::as_ptr(&self.0).cast()
    }

    /// The element at `index`, which is the next one for an iterator that is not memorized.
    fn pull(&self, ev: &mut Evaluation<'_>, index: usize) -> Result<Option<Value>, Error> {
        let busy = || Error::value_error("generator already executing");
        match &*self.0 {
            Kind::Once { step, .. } => {
                let mut slot = step.try_borrow_mut().map_err(|_| busy())?;
                let Some(run) = slot.as_mut() else {
                    return Ok(None);
                };
                ev.enter()?;
                let item = run(ev);
                ev.leave();
                if matches!(item, Ok(None)) {
                    *slot = None;
                }
                item
            }
            Kind::Memorized { source, seen, .. } => {
                if let Some(value) = seen.borrow().get(index) {
                    return Ok(Some(value.clone()));
                }
                let mut source = source.try_borrow_mut().map_err(|_| busy())?;
                let item = source.next(ev)?;
                if let Some(value) = &item {
                    seen.borrow_mut().push(value.clone());
                }
                Ok(item)
            }
        }
    }
}

impl fmt::Debug for Iter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter")
    }
}

/// A walk over an iterable value.
pub(crate) struct Cursor {
    source: Source,
    index: usize,
    /// The most elements that may come.
    limit: Option<u64>,
}

enum Source {
    Sequence(Sequence),
    Set(Set),
    View(View),
    Iterator(Iter),
}

impl Cursor {
    /// A walk over `value`; strings and, where the language lets one iterate them, dictionaries are
    /// the caller's business.
    pub(crate) fn new(
        ev: &mut Evaluation<'_>,
        value: &Value,
        limit: Option<u64>,
    ) -> Result<Option<Cursor>, Error> {
        let source = match value {
            Value::Sequence(items) => Source::Sequence(items.clone()),
            Value::Set(set) => Source::Set(set.clone()),
            Value::View(view) => Source::View(view.clone()),
            Value::Iterator(iter) => Source::Iterator(iter.clone()),
            Value::Ordering(ordering) => Source::Sequence(ordering.sorted(ev)?),
            _ => return Ok(None),
        };
        Ok(Some(Cursor {
            source,
            index: 0,
            limit,
        }))
    }

    pub(crate) fn depth(&self) -> u32 {
        match &self.source {
            Source::Sequence(items) => items.extent().depth,
            Source::Set(set) => set.extent().depth,
            Source::View(view) => view.dict.extent().depth,
            Source::Iterator(iter) => iter.depth(),
        }
    }

    /// The next element.
    pub(crate) fn next(&mut self, ev: &mut Evaluation<'_>) -> Result<Option<Value>, Error> {
        ev.step()?;
        let index = self.index;
        let item = match &self.source {
            Source::Sequence(items) => items.get(index),
            Source::Set(set) => set
                .members()
                .get_index(index)
                .map(|key| key.value().clone()),
            Source::View(view) => view.get(index),
            Source::Iterator(iter) => iter.pull(ev, index)?,
        };
        if item.is_some() {
            self.index += 1;
            if let (Some(limit), Source::Iterator(_)) = (self.limit, &self.source)
                && index as u64 >= limit
            {
                return Err(Error::too_large(limit));
            }
        }
        Ok(item)
    }

    /// All that is left.
    pub(crate) fn collect(&mut self, ev: &mut Evaluation<'_>) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        while let Some(item) = self.next(ev)? {
            ev.charge(VALUE_BYTES)?;
            items.push(item);
        }
        Ok(items)
    }
}

/// What one element of a collection costs.
pub(crate) const VALUE_BYTES: u64 = 24;

/// The result of `orderBy`: sorted when it is first walked over.
pub struct Ordering {
    state: RefCell<OrderingState>,
    depth: u32,
}

struct OrderingState {
    source: Option<Cursor>,
    fields: Vec<(LambdaRef, bool)>,
    sorted: Option<Sequence>,
}

impl Ordering {
    pub(crate) fn new(
        source: Cursor,
        selector: LambdaRef,
        ascending: bool,
    ) -> Result<Ordering, Error> {
        let depth = source.depth().max(selector.depth());
        if depth >= NESTING_MAX {
            return Err(Error::too_deep());
        }
        Ok(Ordering {
            depth: depth + 1,
            state: RefCell::new(OrderingState {
                source: Some(source),
                fields: vec![(selector, ascending)],
                sorted: None,
            }),
        })
    }

    /// Adds a key for elements that the keys before it leave equal. Too late once sorted.
    pub(crate) fn then(&self, selector: LambdaRef, ascending: bool) -> Result<(), Error> {
        let mut state = self
            .state
            .try_borrow_mut()
            .map_err(|_| Error::runtime("a collection can't be changed while it is sorted"))?;
        state.fields.push((selector, ascending));
        Ok(())
    }

    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Drops the keys.
    pub(crate) fn forget_fields(&self) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.fields.clear();
        }
    }

    fn sorted(&self, ev: &mut Evaluation<'_>) -> Result<Sequence, Error> {
        let mut state = self
            .state
            .try_borrow_mut()
            .map_err(|_| Error::runtime("a collection can't be sorted by itself"))?;
        if let Some(sorted) = &state.sorted {
            return Ok(sorted.clone());
        }
        let items = match state.source.take() {
            Some(mut source) => source.collect(ev)?,
            None => Vec::new(),
        };
        ev.enter()?;
        let sorted = crate::sort::sort_by_fields(ev, items, &state.fields);
        ev.leave();
        let sorted = Sequence::new(sorted?, true)?;
        state.sorted = Some(sorted.clone());
        Ok(sorted)
    }
}

impl fmt::Debug for Ordering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ordering")
    }
}
