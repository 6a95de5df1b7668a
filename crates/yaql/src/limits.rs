//! What an evaluation may use up, and the switches of the engine.

use std::fmt;
use std::sync::Arc;

/// Called now and then while an expression runs; `true` stops it. The place for a wall clock.
pub type Interrupt = Arc<dyn Fn() -> bool + Send + Sync>;

/// What evaluations may still use. One budget may serve several evaluations in turn; each takes away
/// from what is left.
#[derive(Clone)]
pub struct Budget {
    /// Calls, operators and elements pulled from iterators.
    pub steps: u64,
    /// Bytes allocated for values, by estimate. Memory given back is not given back to the budget,
    /// so that the bound holds for the work too.
    pub memory: u64,
    /// How deep calls and lazy iterators may nest while running. The default fits a stack of 2 MiB.
    pub depth: u32,
    /// Asked every few thousand steps whether to stop.
    pub interrupt: Option<Interrupt>,
}

impl Budget {
    /// Ten million steps and 512 MiB: seconds at worst, and far more than sane expressions take.
    #[must_use]
    pub fn new() -> Budget {
        Budget {
            steps: 10_000_000,
            memory: 512 << 20,
            depth: DEPTH_MAX,
            interrupt: None,
        }
    }
}

/// The default depth of a running expression.
pub(crate) const DEPTH_MAX: u32 = 150;

/// Steps between two questions to [`Budget::interrupt`].
pub(crate) const INTERRUPT_STEPS: u32 = 4096;

impl Default for Budget {
    fn default() -> Budget {
        Budget::new()
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("steps", &self.steps)
            .field("memory", &self.memory)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// The switches of the engine, under the reference implementation's names and defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Independent switches, named by the language.
pub struct Options {
    /// `yaql.limitIterators`: the most elements that a collection parameter or result may have.
    pub limit_iterators: Option<u64>,
    /// `yaql.memoryQuota`: the most bytes one value may take, by an estimate of CPython's sizes.
    pub memory_quota: Option<u64>,
    /// `yaql.convertInputData`: whether lists and dictionaries in `$` are immutable.
    pub convert_input_data: bool,
    /// `yaql.convertOutputData`: whether lazy and frozen results become plain ones.
    pub convert_output_data: bool,
    /// `yaql.convertTuplesToLists`: whether tuples in results become lists.
    pub convert_tuples_to_lists: bool,
    /// `yaql.convertSetsToLists`: whether sets in results become lists.
    pub convert_sets_to_lists: bool,
    /// `yaql.iterableDicts`: whether dictionaries count as collections of their keys.
    pub iterable_dicts: bool,
    /// Whether values may be called: `$f(1)`, `lambda($ + 1)(2)`.
    pub delegates: bool,
    /// Whether `=>` exists.
    pub keyword_operator: bool,
    /// How deep an expression's text may nest.
    pub nesting_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            limit_iterators: None,
            memory_quota: None,
            convert_input_data: true,
            convert_output_data: true,
            convert_tuples_to_lists: true,
            convert_sets_to_lists: false,
            iterable_dicts: false,
            delegates: false,
            keyword_operator: true,
            nesting_max: DEPTH_MAX as usize,
        }
    }
}
