//! Walking the syntax tree.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use squall_value::{Dict as DataDict, Value as Data};

use crate::ast::{self, Expr, Form, Operator};
use crate::context::Context;
use crate::error::Error;
use crate::host::Host;
use crate::iterator::{Cursor, Ordering, VALUE_BYTES};
use crate::library::Library;
use crate::limits::{Budget, INTERRUPT_STEPS, Options};
use crate::operators;
use crate::properties;
use crate::resolve::{self, Request};
use crate::value::{Value, from_data};

/// An evaluation under way: what it may still use, and whom it may ask.
pub struct Evaluation<'e> {
    budget: &'e mut Budget,
    host: &'e dyn Host,
    options: &'e Options,
    library: Arc<Library>,
    depth: u32,
    until_interrupt: u32,
    /// Whether `def` was used: only then must contexts be searched for functions.
    definitions: bool,
    /// Sorted collections whose keys may hold the collection itself; see [`Evaluation::finish`].
    orderings: Vec<Weak<Ordering>>,
}

impl<'e> Evaluation<'e> {
    pub(crate) fn new(
        budget: &'e mut Budget,
        host: &'e dyn Host,
        options: &'e Options,
        library: Arc<Library>,
    ) -> Evaluation<'e> {
        Evaluation {
            budget,
            host,
            options,
            library,
            depth: 0,
            until_interrupt: INTERRUPT_STEPS,
            definitions: false,
            orderings: Vec::new(),
        }
    }

    pub(crate) fn note_ordering(&mut self, ordering: &Rc<Ordering>) {
        self.orderings.push(Rc::downgrade(ordering));
    }

    /// Ends the evaluation: drops the keys of sorted collections, since `thenBy` can make one whose
    /// key holds the collection, which would never be freed.
    pub(crate) fn finish(self) {
        for ordering in self.orderings.iter().filter_map(Weak::upgrade) {
            ordering.forget_fields();
        }
    }

    /// The host program.
    #[must_use]
    pub fn host(&self) -> &'e dyn Host {
        self.host
    }

    pub(crate) fn options(&self) -> &'e Options {
        self.options
    }

    pub(crate) fn library(&self) -> Arc<Library> {
        self.library.clone()
    }

    pub(crate) fn has_definitions(&self) -> bool {
        self.definitions
    }

    pub(crate) fn note_definition(&mut self) {
        self.definitions = true;
    }

    /// Counts one step of work.
    ///
    /// # Errors
    ///
    /// When the budget has none left, or the host wants the evaluation to stop.
    pub fn step(&mut self) -> Result<(), Error> {
        if self.budget.steps == 0 {
            return Err(Error::steps());
        }
        self.budget.steps -= 1;
        self.until_interrupt -= 1;
        if self.until_interrupt == 0 {
            self.until_interrupt = INTERRUPT_STEPS;
            let stops = self.budget.interrupt.as_ref().is_some_and(|stop| stop());
            if stops || self.host.is_out_of_time() {
                return Err(Error::interrupted());
            }
        }
        Ok(())
    }

    /// Counts several steps of work at once.
    pub(crate) fn steps(&mut self, count: u64) -> Result<(), Error> {
        self.step()?;
        match self.budget.steps.checked_sub(count) {
            Some(left) => {
                self.budget.steps = left;
                Ok(())
            }
            None => {
                self.budget.steps = 0;
                Err(Error::steps())
            }
        }
    }

    /// Counts memory that is about to be allocated.
    ///
    /// # Errors
    ///
    /// When the budget has not that much left.
    pub fn charge(&mut self, bytes: u64) -> Result<(), Error> {
        match self.budget.memory.checked_sub(bytes) {
            Some(left) => {
                self.budget.memory = left;
                Ok(())
            }
            None => {
                self.budget.memory = 0;
                Err(Error::memory())
            }
        }
    }

    pub(crate) fn memory_left(&self) -> u64 {
        self.budget.memory
    }

    pub(crate) fn enter(&mut self) -> Result<(), Error> {
        if self.depth >= self.budget.depth {
            return Err(Error::too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Refuses a sized collection with more elements than the engine's option allows.
    pub(crate) fn check_size(&self, value: &Value) -> Result<(), Error> {
        match (self.options.limit_iterators, value.size()) {
            (Some(limit), Some(size)) if size as u64 > limit => Err(Error::too_large(limit)),
            _ => Ok(()),
        }
    }

    /// Refuses a value larger than the engine's option allows, by CPython's sizes on 64 bits.
    pub(crate) fn check_quota(&self, value: &Value) -> Result<(), Error> {
        let Some(quota) = self.options.memory_quota else {
            return Ok(());
        };
        let size = match value {
            Value::String(text) => 49 + text.len() as u64,
            Value::Sequence(items) => 56 + 8 * items.len() as u64,
            Value::Dict(dict) if dict.is_mutable() => 64 + 100 * dict.len() as u64,
            Value::Set(set) => 216 + 32 * set.len() as u64,
            Value::BigInt(number) => 24 + number.bits() / 8,
            _ => 48,
        };
        if size > quota {
            return Err(Error::memory());
        }
        Ok(())
    }

    /// A value with everything lazy in it pulled, as at the end of an evaluation.
    ///
    /// # Errors
    ///
    /// Of the elements, and when the budget or a limit is exceeded.
    pub fn settle(&mut self, value: Value) -> Result<Value, Error> {
        crate::convert::finalize(self, value)
    }

    /// A walk over a collection, under the engine's limit on its length.
    pub(crate) fn cursor(&mut self, value: &Value) -> Result<Cursor, Error> {
        let limit = self.options.limit_iterators;
        if let Value::Dict(dict) = value {
            let keys = Value::View(crate::value::View {
                dict: dict.clone(),
                kind: crate::value::ViewKind::Keys,
            });
            if let Some(cursor) = Cursor::new(self, &keys, limit)? {
                return Ok(cursor);
            }
        }
        Cursor::new(self, value, limit)?.ok_or_else(|| {
            Error::type_error(format!("'{}' object is not iterable", value.type_name()))
        })
    }

    /// A new text, counted against the budget.
    pub(crate) fn text(&mut self, text: &str) -> Result<Value, Error> {
        self.charge(text.len() as u64 + VALUE_BYTES)?;
        Ok(Value::from(text))
    }

    /// Evaluates to a value that stands on its own: a dictionary of the host is fetched whole.
    pub(crate) fn eval_whole(
        &mut self,
        expr: &Arc<Expr>,
        context: &Context,
    ) -> Result<Value, Error> {
        let value = self.eval(expr, context)?;
        self.whole(value)
    }

    pub(crate) fn whole(&self, value: Value) -> Result<Value, Error> {
        match value {
            Value::HostDict(id) => {
                let dict: Arc<DataDict> = self.host.dict(id)?;
                Ok(Value::from_plain_dict(Data::Dict(dict)))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn eval(&mut self, expr: &Arc<Expr>, context: &Context) -> Result<Value, Error> {
        match &**expr {
            Expr::Literal(data) => Ok(Value::from(data.clone())),
            Expr::Keyword(word) => Ok(Value::String(word.clone())),
            Expr::Variable(variable) => Ok(context.lookup(variable)),
            Expr::Wrap(inner) => {
                self.enter()?;
                let value = self.eval(inner, context);
                self.leave();
                value
            }
            Expr::Rule(key, value) => {
                let key = self.eval_whole(key, context)?;
                let value = self.eval_whole(value, context)?;
                Ok(Value::Rule(Rc::new((key, value))))
            }
            Expr::Call(call) => {
                self.step()?;
                self.enter()?;
                let value = self.call(call, None, context);
                self.leave();
                value
            }
        }
    }

    /// A call as written, with the receiver that stood before the dot.
    fn call(
        &mut self,
        call: &ast::Call,
        receiver: Option<&Value>,
        context: &Context,
    ) -> Result<Value, Error> {
        match (call.form, &call.args[..]) {
            (Form::Operator(operator), [Some(operand)]) => {
                let operand = self.eval_whole(operand, context)?;
                operators::unary(operator, &operand)
            }
            (Form::Operator(operator), [Some(left), Some(right)]) => {
                self.operator(operator, left, right, context)
            }
            // Seen before anything is evaluated: no literal scalar has elements.
            (Form::Index, [Some(target), ..])
                if matches!(**target, Expr::Literal(_) | Expr::Keyword(_)) =>
            {
                Err(Error::no_matching("#indexer", None))
            }
            (Form::Index, [Some(target), Some(index)]) if !matches!(**index, Expr::Rule(..)) => {
                let target = self.eval(target, context)?;
                let index = self.eval_whole(index, context)?;
                self.index(target, &index, None)
            }
            (Form::Index, [Some(target), Some(index), Some(default)])
                if !matches!(**index, Expr::Rule(..)) && !matches!(**default, Expr::Rule(..)) =>
            {
                let target = self.eval(target, context)?;
                let index = self.eval_whole(index, context)?;
                let default = self.eval_whole(default, context)?;
                self.index(target, &index, Some(default))
            }
            _ => {
                let request = Request::new(&call.name, context, receiver, &call.args);
                let value = resolve::call(self, request)?;
                self.check_quota(&value)?;
                Ok(value)
            }
        }
    }

    fn operator(
        &mut self,
        operator: Operator,
        left: &Arc<Expr>,
        right: &Arc<Expr>,
        context: &Context,
    ) -> Result<Value, Error> {
        match operator {
            // Seen before anything is evaluated: behind a dot stands a name or a call.
            Operator::Dot if !matches!(**right, Expr::Keyword(_)) && !right.uses_receiver() => {
                Err(Error::no_matching("#operator_.", None))
            }
            Operator::Dot => {
                let left = self.eval(left, context)?;
                self.dot(left, right, context)
            }
            Operator::SafeDot => match self.eval(left, context)? {
                Value::Null => Ok(Value::Null),
                left => self.dot(left, right, context),
            },
            Operator::And | Operator::Or => {
                let left = self.eval_whole(left, context)?;
                if left.is_truthy() == (operator == Operator::Or) {
                    return Ok(left);
                }
                self.eval_whole(right, context)
            }
            Operator::Send => match self.eval_whole(left, context)? {
                Value::Context(inner) => self.eval(right, &inner),
                _ => Err(Error::no_matching(operator.function_name(), None)),
            },
            _ => {
                if operators::refuses_constants(operator, left, right) {
                    return Err(Error::no_matching(operator.function_name(), None));
                }
                let left = self.eval_whole(left, context)?;
                let right = self.eval_whole(right, context)?;
                let value = operators::binary(self, operator, &left, &right)?;
                self.check_quota(&value)?;
                Ok(value)
            }
        }
    }

    /// `left.right`: a member, a property or a method.
    fn dot(&mut self, left: Value, right: &Arc<Expr>, context: &Context) -> Result<Value, Error> {
        match &**right {
            Expr::Keyword(name) => self.member(left, name),
            Expr::Call(call) if right.uses_receiver() => {
                let left = self.whole(left)?;
                self.step()?;
                self.call(call, Some(&left), context)
            }
            _ => Err(Error::no_matching("#operator_.", None)),
        }
    }

    /// `value.name`.
    pub(crate) fn member(
        &mut self,
        value: Value,
        name: &squall_value::Str,
    ) -> Result<Value, Error> {
        let missing = || {
            let mut key = String::new();
            squall_value::python::write_str_repr(&mut key, name);
            Error::key_error(key)
        };
        match &value {
            Value::HostDict(id) => {
                let found = self.host.dict_get(*id, name)?;
                found.map(|data| from_data(data, false)).ok_or_else(missing)
            }
            Value::Dict(dict) => dict.get_str(name).ok_or_else(missing),
            other if other.is_iterable() => {
                self.check_size(other)?;
                let mut source = self.cursor(other)?;
                let depth = source.depth();
                let name = name.clone();
                let iter = crate::iterator::Iter::new(depth, move |ev| match source.next(ev)? {
                    Some(item) => ev.member(item, &name).map(Some),
                    None => Ok(None),
                })?;
                Ok(Value::Iterator(iter))
            }
            other => properties::property(other, name),
        }
    }

    pub(crate) fn index(
        &mut self,
        target: Value,
        index: &Value,
        default: Option<Value>,
    ) -> Result<Value, Error> {
        if let (Value::HostDict(id), Value::String(key)) = (&target, index) {
            let found = self.host.dict_get(*id, key)?.map(Value::from);
            return found
                .or(default)
                .ok_or_else(|| Error::key_error(crate::text::repr_short(index)));
        }
        let target = self.whole(target)?;
        match (&target, default) {
            (Value::Dict(dict), default) => dict
                .get(index)?
                .or(default)
                .ok_or_else(|| Error::key_error(crate::text::repr_short(index))),
            (Value::Sequence(items), None) => operators::element(items, index),
            _ => Err(Error::no_matching("#indexer", None)),
        }
    }
}
