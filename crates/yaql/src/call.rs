//! What a function's body sees of its call.

use num_traits::ToPrimitive;
use squall_value::{BigInt, Str};

use crate::context::Context;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::iterator::{Cursor, Iter};
use crate::lambda::LambdaRef;
use crate::value::{Dict, Sequence, Value};

/// One call of a function: its arguments in the order of its parameters, already checked against
/// their types, and the evaluation it is part of.
pub struct Call<'c, 'e> {
    pub(crate) ev: &'c mut Evaluation<'e>,
    pub(crate) context: &'c Context,
    pub(crate) args: Vec<Option<Value>>,
    pub(crate) rest: Vec<Value>,
    pub(crate) named: Vec<(Str, Value)>,
}

impl<'e> Call<'_, 'e> {
    /// The argument of the parameter at `index`; null when it was not given and has no default.
    #[must_use]
    pub fn value(&self, index: usize) -> Value {
        self.args.get(index).cloned().flatten().unwrap_or_default()
    }

    /// The argument, if one was given for a parameter with the default `—`.
    #[must_use]
    pub fn given(&self, index: usize) -> Option<Value> {
        self.args.get(index).cloned().flatten()
    }

    /// The variadic arguments.
    #[must_use]
    pub fn rest(&self) -> &[Value] {
        &self.rest
    }

    /// The keyword arguments that no parameter is named after.
    #[must_use]
    pub fn named(&self) -> &[(Str, Value)] {
        &self.named
    }

    /// The context of the caller.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.context
    }

    /// The evaluation, for functions that walk over iterators or charge for what they allocate.
    pub fn evaluation(&mut self) -> &mut Evaluation<'e> {
        self.ev
    }

    fn mismatch(&self, index: usize) -> Error {
        // Types were checked when the function was chosen: only a wrong signature leads here.
        Error::type_error(format!(
            "argument {} has the unexpected type '{}'",
            index + 1,
            self.value(index).type_name()
        ))
    }

    /// The text argument of a `str` parameter.
    ///
    /// # Errors
    ///
    /// When it is no text.
    pub fn str(&self, index: usize) -> Result<Str, Error> {
        match self.args.get(index) {
            Some(Some(Value::String(text))) => Ok(text.clone()),
            _ => Err(self.mismatch(index)),
        }
    }

    /// The text argument of a nullable `str?` parameter.
    ///
    /// # Errors
    ///
    /// When it is neither text nor null.
    pub fn str_or_null(&self, index: usize) -> Result<Option<Str>, Error> {
        match self.args.get(index) {
            None | Some(None | Some(Value::Null)) => Ok(None),
            _ => self.str(index).map(Some),
        }
    }

    /// The integer argument of an `int` parameter, brought into the range of 64 bits. Null is 0.
    ///
    /// # Errors
    ///
    /// When it is no integer.
    pub fn int(&self, index: usize) -> Result<i64, Error> {
        match self.args.get(index) {
            Some(Some(Value::Int(number))) => Ok(*number),
            Some(Some(Value::Bool(truth))) => Ok(i64::from(*truth)),
            Some(Some(Value::BigInt(number))) => {
                Ok(number
                    .to_i64()
                    .unwrap_or(if number.sign() == num_bigint::Sign::Minus {
                        i64::MIN
                    } else {
                        i64::MAX
                    }))
            }
            None | Some(None | Some(Value::Null)) => Ok(0),
            _ => Err(self.mismatch(index)),
        }
    }

    /// As [`Call::int`], for what CPython counts with a machine word.
    ///
    /// # Errors
    ///
    /// `OverflowError` when it does not fit.
    pub(crate) fn word(&self, index: usize) -> Result<i64, Error> {
        match self.args.get(index) {
            Some(Some(Value::BigInt(_))) => Err(Error::overflow(
                "Python int too large to convert to C ssize_t",
            )),
            _ => self.int(index),
        }
    }

    pub(crate) fn big_int(&self, index: usize) -> Result<BigInt, Error> {
        match self.args.get(index) {
            Some(Some(Value::BigInt(number))) => Ok((**number).clone()),
            _ => self.int(index).map(BigInt::from),
        }
    }

    /// The truth of an argument; null and missing are false.
    #[must_use]
    pub fn truth(&self, index: usize) -> bool {
        self.value(index).is_truthy()
    }

    pub(crate) fn dict(&self, index: usize) -> Result<Dict, Error> {
        match self.args.get(index) {
            Some(Some(Value::Dict(dict))) => Ok(dict.clone()),
            _ => Err(self.mismatch(index)),
        }
    }

    pub(crate) fn sequence(&self, index: usize) -> Result<Sequence, Error> {
        match self.args.get(index) {
            Some(Some(Value::Sequence(items))) => Ok(items.clone()),
            _ => Err(self.mismatch(index)),
        }
    }

    pub(crate) fn lambda(&self, index: usize) -> Result<LambdaRef, Error> {
        match self.args.get(index) {
            Some(Some(Value::Function(lambda))) => Ok(lambda.clone()),
            _ => Err(self.mismatch(index)),
        }
    }

    pub(crate) fn lambda_or_null(&self, index: usize) -> Result<Option<LambdaRef>, Error> {
        match self.args.get(index) {
            None | Some(None | Some(Value::Null)) => Ok(None),
            _ => self.lambda(index).map(Some),
        }
    }

    /// A walk over a collection argument.
    pub(crate) fn cursor(&mut self, index: usize) -> Result<Cursor, Error> {
        let value = self.value(index);
        self.ev.cursor(&value)
    }

    /// A lazy result that holds the call's arguments.
    pub(crate) fn lazy(
        &self,
        step: impl FnMut(&mut Evaluation<'_>) -> Result<Option<Value>, Error> + 'static,
    ) -> Result<Value, Error> {
        let args = self.args.iter().flatten().chain(&self.rest);
        let depth = args.map(|value| value.extent().depth).max().unwrap_or(0);
        Ok(Value::Iterator(Iter::new(depth, step)?))
    }
}
