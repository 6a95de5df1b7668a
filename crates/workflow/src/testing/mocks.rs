//! Which pretended result an execution gets.

use squall_expr::{HostError, KeyScope};
use squall_value::{Dict, Value};

use super::case::Mock;
use crate::status::Status;

/// The pretended results with how often each was used.
pub(crate) struct Mocks<'c> {
    mocks: &'c [Mock],
    used: Vec<usize>,
}

/// The end of a pretended execution.
pub(crate) struct Ended {
    pub(crate) item: Option<usize>,
    pub(crate) status: Status,
    /// The number of the mock; `None` if none is given and the execution just succeeds.
    pub(crate) mock: Option<usize>,
}

impl<'c> Mocks<'c> {
    pub(crate) fn new(mocks: &'c [Mock]) -> Mocks<'c> {
        Mocks {
            mocks,
            used: vec![0; mocks.len()],
        }
    }

    /// The end of the execution of `task`: the first mock left for exactly this entry, else the first
    /// left for any, else success. For one of several items, `items` are those that wait.
    pub(crate) fn take(
        &mut self,
        task: &str,
        route: usize,
        entry: usize,
        items: &[usize],
    ) -> Ended {
        let fits = |mocks: &Mocks<'_>, number: usize| {
            let mock: &Mock = &mocks.mocks[number];
            *mock.task == *task
                && mocks.used[number] < mock.times
                && mock.route.is_none_or(|wanted| wanted == route)
                && mock
                    .item
                    .is_none_or(|item| items.is_empty() || items.contains(&item))
        };
        let exact =
            |number: &usize| fits(self, *number) && self.mocks[*number].entry == Some(entry);
        let open = |number: &usize| fits(self, *number) && self.mocks[*number].entry.is_none();
        let all = 0..self.mocks.len();
        let found = all.clone().find(exact).or_else(|| all.clone().find(open));
        if let Some(number) = found {
            self.used[number] += 1;
        }
        Ended {
            item: found
                .and_then(|number| self.mocks[number].item)
                .or(items.first().copied()),
            status: found.map_or(Status::Succeeded, |number| self.mocks[number].status),
            mock: found,
        }
    }

    /// The mocks that nothing used.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &'c Mock> {
        self.mocks
            .iter()
            .zip(&self.used)
            .filter(|(_, used)| **used == 0)
            .map(|(mock, _)| mock)
    }
}

/// The outside world of a test: a datastore from the test, and time that stands still.
pub(crate) struct TestHost<'c> {
    pub(crate) datastore: &'c Dict,
}

impl squall_expr::Host for TestHost<'_> {
    fn key(&self, _: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok(self.datastore.get(name).cloned())
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        Ok(ciphertext.to_owned())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        4
    }
}

impl crate::Host for TestHost<'_> {
    fn task_record(&self, _: &str, _: usize) -> Option<Value> {
        None
    }
}
