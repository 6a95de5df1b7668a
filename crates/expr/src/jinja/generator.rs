//! Generators: elements that filters make one by one, when somebody asks for them.
//!
//! As in Python nothing happens before the first element is wanted: neither are arguments looked at
//! nor elements beyond the last one that was taken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use squall_value::Str;

use super::eval::Engine;
use super::filters::Getter;
use super::registry::{Bound, CallArgs, Filter, Test, bind};
use super::value::{List, Val, drop_flat};
use super::{Res, lookup, ops, value_error};

/// Elements that are taken one by one and are gone then.
pub(crate) struct Iter {
    /// What Python calls it: `generator`, `list_reverseiterator` …
    pub(crate) kind: &'static str,
    state: RefCell<State>,
}

enum State {
    Ready(VecDeque<Val>),
    Lazy(Box<Lazy>),
}

/// An element that need not have become a value of its own yet.
pub(super) enum Element {
    Value(Val),
    At(Rc<List>, usize),
}

impl Element {
    pub(super) fn value(self) -> Val {
        match self {
            Element::Value(value) => value,
            Element::At(list, index) => list.get(index).unwrap_or(Val::None),
        }
    }

    /// The element as a value, which stays one.
    pub(super) fn peek(&self) -> Val {
        match self {
            Element::Value(value) => value.clone(),
            Element::At(list, index) => list.get(*index).unwrap_or(Val::None),
        }
    }
}

/// What a generator does, once it is asked for an element.
pub(super) enum Plan {
    /// Makes all elements at once.
    Whole(fn(&Engine<'_>, Bound) -> Res<Vec<Val>>, Bound),
    /// Changes or drops each element of a source, in a way that follows from the arguments.
    Each {
        source: Val,
        arguments: Bound,
        prepare: fn(&Engine<'_>, Bound) -> Res<Stage>,
    },
}

/// A test with its arguments behind the first.
type TestCall = (&'static Test, Vec<Val>, Vec<(Str, Val)>);

/// What happens to each element.
pub(super) enum Stage {
    Select {
        getter: Option<Getter>,
        test: Option<TestCall>,
        keeps: bool,
    },
    Attribute(Getter),
    Filter(&'static Filter, Vec<Val>, Vec<(Str, Val)>),
}

enum Walk {
    List(Rc<List>, usize),
    Iter(Rc<Iter>),
    Items(VecDeque<Val>),
}

struct Lazy {
    plan: Option<Plan>,
    walk: Walk,
    /// What happens to each element, one after the other.
    stages: Vec<Stage>,
}

impl Iter {
    pub(super) fn ready(kind: &'static str, items: Vec<Val>) -> Iter {
        Iter {
            kind,
            state: RefCell::new(State::Ready(items.into())),
        }
    }

    pub(super) fn lazy(plan: Plan) -> Iter {
        Iter {
            kind: "generator",
            state: RefCell::new(State::Lazy(Box::new(Lazy {
                plan: Some(plan),
                walk: Walk::Items(VecDeque::new()),
                stages: Vec::new(),
            }))),
        }
    }

    /// The next element.
    ///
    /// # Errors
    ///
    /// Whatever making it fails with; there is none after it.
    pub(super) fn next(&self, engine: &Engine<'_>) -> Res<Option<Val>> {
        Ok(self.next_element(engine)?.map(Element::value))
    }

    fn next_element(&self, engine: &Engine<'_>) -> Res<Option<Element>> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Err(value_error("generator already executing"));
        };
        let lazy = match &mut *state {
            State::Ready(items) => return Ok(items.pop_front().map(Element::Value)),
            State::Lazy(lazy) => lazy,
        };
        let next = engine.nested(|| lazy.next(engine));
        if !matches!(next, Ok(Some(_))) {
            drop_flat(lazy.take());
            *state = State::Ready(VecDeque::new());
        }
        next
    }
}

impl Walk {
    fn next(&mut self, engine: &Engine<'_>) -> Res<Option<Element>> {
        match self {
            Walk::List(list, at) if *at < list.len() => {
                *at += 1;
                Ok(Some(Element::At(Rc::clone(list), *at - 1)))
            }
            Walk::List(..) => Ok(None),
            Walk::Iter(iter) => iter.next_element(engine),
            Walk::Items(items) => Ok(items.pop_front().map(Element::Value)),
        }
    }
}

impl Stage {
    /// What becomes of an element; nothing when it is left out.
    fn apply(&self, engine: &Engine<'_>, element: Element) -> Res<Option<Element>> {
        Ok(match self {
            Stage::Select {
                getter,
                test,
                keeps,
            } => {
                let tested = match getter {
                    Some(getter) => getter.of(engine, &element)?,
                    None => element.peek(),
                };
                let is_kept = is_chosen(engine, tested, test.as_ref())? == *keeps;
                is_kept.then_some(element)
            }
            Stage::Attribute(getter) => Some(Element::Value(getter.of(engine, &element)?)),
            Stage::Filter(filter, rest, keywords) => {
                let args = arguments(element.value(), rest, keywords);
                Some(Element::Value(engine.apply(filter, args)?))
            }
        })
    }
}

impl Lazy {
    fn start(&mut self, engine: &Engine<'_>) -> Res<()> {
        match self.plan.take() {
            None => {}
            Some(Plan::Whole(make, arguments)) => {
                self.walk = Walk::Items(make(engine, arguments)?.into());
            }
            Some(Plan::Each {
                source,
                arguments,
                prepare,
            }) => {
                // What is empty or null is not walked over, nor are the arguments checked.
                if !ops::truth(&source)? {
                    return Ok(());
                }
                let stage = prepare(engine, arguments)?;
                match source {
                    Val::List(list) => self.walk = Walk::List(list, 0),
                    Val::Iter(iter) => match Rc::try_unwrap(iter) {
                        Ok(iter) => self.take_over(&iter, engine)?,
                        Err(iter) => self.walk = Walk::Iter(iter),
                    },
                    other => self.walk = Walk::Items(lookup::elements(&other, engine)?.into()),
                }
                self.stages.push(stage);
            }
        }
        Ok(())
    }

    /// Does the work of a generator that nobody else has: a chain of filters is one loop.
    fn take_over(&mut self, source: &Iter, engine: &Engine<'_>) -> Res<()> {
        match source.state.replace(State::Ready(VecDeque::new())) {
            State::Ready(items) => self.walk = Walk::Items(items),
            State::Lazy(mut source) => {
                let started = engine.nested(|| source.start(engine));
                self.walk = std::mem::replace(&mut source.walk, Walk::Items(VecDeque::new()));
                self.stages = std::mem::take(&mut source.stages);
                started?;
            }
        }
        Ok(())
    }

    fn next(&mut self, engine: &Engine<'_>) -> Res<Option<Element>> {
        self.start(engine)?;
        while let Some(element) = self.walk.next(engine)? {
            engine.step()?;
            engine.budget.step(self.stages.len())?;
            let mut element = Some(element);
            for stage in &self.stages {
                element = match element {
                    Some(element) => stage.apply(engine, element)?,
                    None => break,
                };
            }
            if element.is_some() {
                return Ok(element);
            }
        }
        Ok(None)
    }

    /// All values that it holds.
    fn take(&mut self) -> Vec<Val> {
        let mut held = Vec::new();
        let mut hold_rest = |rest: Vec<Val>, keywords: Vec<(Str, Val)>| {
            held.extend(rest);
            held.extend(keywords.into_iter().map(|(_, value)| value));
        };
        let mut getters = Vec::new();
        for stage in std::mem::take(&mut self.stages) {
            match stage {
                Stage::Select { getter, test, .. } => {
                    if let Some((_, rest, keywords)) = test {
                        hold_rest(rest, keywords);
                    }
                    getters.extend(getter);
                }
                Stage::Attribute(getter) => getters.push(getter),
                Stage::Filter(_, rest, keywords) => hold_rest(rest, keywords),
            }
        }
        held.extend(getters.into_iter().flat_map(Getter::into_values));
        match self.plan.take() {
            None => {}
            Some(Plan::Whole(_, arguments)) => held.extend(arguments.into_values()),
            Some(Plan::Each {
                source, arguments, ..
            }) => {
                held.push(source);
                held.extend(arguments.into_values());
            }
        }
        match std::mem::replace(&mut self.walk, Walk::Items(VecDeque::new())) {
            Walk::List(list, _) => held.push(Val::List(list)),
            Walk::Iter(iter) => held.push(Val::Iter(iter)),
            Walk::Items(items) => held.extend(items),
        }
        held
    }
}

fn arguments(value: Val, rest: &[Val], keywords: &[(Str, Val)]) -> CallArgs {
    let mut positional = Vec::with_capacity(1 + rest.len());
    positional.push(value);
    positional.extend(rest.iter().cloned());
    CallArgs {
        positional,
        named: keywords.to_vec(),
    }
}

fn is_chosen(engine: &Engine<'_>, value: Val, test: Option<&TestCall>) -> Res<bool> {
    match test {
        None => ops::truth(&value),
        Some((test, rest, keywords)) => {
            let args = arguments(value, rest, keywords);
            ops::truth(&(test.call)(engine, bind(test, args)?)?)
        }
    }
}

impl Drop for Iter {
    fn drop(&mut self) {
        match self.state.get_mut() {
            State::Ready(items) => drop_flat(items.drain(..)),
            State::Lazy(lazy) => drop_flat(lazy.take()),
        }
    }
}
