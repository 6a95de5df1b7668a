//! What an expression may ask of the program that evaluates it.

use std::sync::Arc;

use squall_value::{Dict as DataDict, Value as Data};

use crate::call::Call;
use crate::error::Error;
use crate::value::Value;

/// The outside world of an evaluation: clock, chance, and the host's own functions and data.
///
/// All methods have an answer for hosts that do not offer the thing.
pub trait Host {
    /// Microseconds since the Unix epoch, for `now()`.
    fn now_micros(&self) -> Option<i64> {
        None
    }

    /// Seconds east of UTC of the local time zone, for `localtz()`.
    fn local_offset_seconds(&self) -> i32 {
        0
    }

    /// 64 random bits, for `random()`.
    fn random(&self) -> Option<u64> {
        None
    }

    /// Asked every few thousand steps: `true` ends the evaluation with a limit error. The place for
    /// a wall clock that belongs to the host.
    fn is_out_of_time(&self) -> bool {
        false
    }

    /// Carries out a function that was registered as [`Body::Host`](crate::Body::Host).
    ///
    /// # Errors
    ///
    /// Whatever the function fails with.
    fn call(&self, function: u32, call: &mut Call<'_, '_>) -> Result<Value, Error> {
        let _ = call;
        Err(Error::host(
            "NotImplementedError",
            format!("the host has no function of number {function}"),
        ))
    }

    /// One member of the dictionary behind [`Value::HostDict`].
    ///
    /// # Errors
    ///
    /// When the host can't look it up; a missing member is `None`.
    fn dict_get(&self, dict: u32, key: &str) -> Result<Option<Data>, Error> {
        Ok(self.dict(dict)?.get(key).cloned())
    }

    /// The whole dictionary behind [`Value::HostDict`].
    ///
    /// # Errors
    ///
    /// When the host has no such dictionary.
    fn dict(&self, dict: u32) -> Result<Arc<DataDict>, Error> {
        Err(Error::host(
            "NotImplementedError",
            format!("the host has no dictionary of number {dict}"),
        ))
    }
}

/// A host that offers nothing: expressions over plain data need no more.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detached;

impl Host for Detached {}
