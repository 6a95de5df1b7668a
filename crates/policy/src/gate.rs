//! A gate lets a limited number through and keeps the others in the order in which they came.

use std::collections::{HashSet, VecDeque};

use squall_model::ExecutionId;

/// What a gate answers to one who wants to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may run now.
    Admitted,
    /// It waits in this place, from 1.
    Waiting(usize),
}

/// At most `limit` executions run under one key; the others wait, first come, first served.
///
/// The order is strict: nobody passes while somebody waits, even if there is room, which happens
/// while a limit is being raised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    running: HashSet<ExecutionId>,
    waiting: VecDeque<ExecutionId>,
}

impl Gate {
    /// An empty gate.
    #[must_use]
    pub fn new() -> Gate {
        Gate::default()
    }

    /// `id` wants to pass. Asking again gives the same answer.
    pub fn ask(&mut self, id: ExecutionId, limit: usize) -> Admission {
        if self.running.contains(&id) {
            return Admission::Admitted;
        }
        if let Some(place) = self.place(id) {
            return Admission::Waiting(place);
        }
        if self.waiting.is_empty() && self.running.len() < limit {
            self.running.insert(id);
            return Admission::Admitted;
        }
        self.waiting.push_back(id);
        Admission::Waiting(self.waiting.len())
    }

    /// Whether one more would be let through at once.
    #[must_use]
    pub fn is_open(&self, limit: usize) -> bool {
        self.waiting.is_empty() && self.running.len() < limit
    }

    /// Enters one that runs already: at a start, from the store.
    pub fn restore(&mut self, id: ExecutionId) {
        self.running.insert(id);
    }

    /// Lets one through beyond the limit, wherever it waits.
    pub fn force(&mut self, id: ExecutionId) {
        self.waiting.retain(|waiting| *waiting != id);
        self.running.insert(id);
    }

    /// `id` has ended, or no longer wants to pass. Returns those that may run now, in order.
    pub fn leave(&mut self, id: ExecutionId, limit: usize) -> Vec<ExecutionId> {
        if !self.running.remove(&id) {
            self.waiting.retain(|waiting| *waiting != id);
        }
        self.open(limit)
    }

    /// Lets through whom the limit allows: after it was raised. Returns them in order.
    pub fn open(&mut self, limit: usize) -> Vec<ExecutionId> {
        let mut admitted = Vec::new();
        while self.running.len() < limit {
            let Some(id) = self.waiting.pop_front() else {
                break;
            };
            self.running.insert(id);
            admitted.push(id);
        }
        admitted
    }

    /// Sends away whoever waits. Returns them in order.
    pub fn disperse(&mut self) -> Vec<ExecutionId> {
        self.waiting.drain(..).collect()
    }

    /// The place of one that waits, from 1.
    #[must_use]
    pub fn place(&self, id: ExecutionId) -> Option<usize> {
        self.waiting
            .iter()
            .position(|waiting| *waiting == id)
            .map(|index| index + 1)
    }

    /// Those that run, in no order.
    pub fn running(&self) -> impl ExactSizeIterator<Item = ExecutionId> {
        self.running.iter().copied()
    }

    /// Those that wait, in their order.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = ExecutionId> {
        self.waiting.iter().copied()
    }

    /// Whether it runs.
    #[must_use]
    pub fn has_passed(&self, id: ExecutionId) -> bool {
        self.running.contains(&id)
    }

    /// Whether nobody runs and nobody waits, so that the gate can be forgotten.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Runs a script of `ask N`, `leave N` and `limit N`; compares what the gate answers.
    #[track_caller]
    fn check(script: &str, expect: Expect) {
        let mut gate = Gate::new();
        let mut limit = 1;
        let mut trace = String::new();
        for step in script.split(", ") {
            let (verb, number) = step.split_once(' ').unwrap();
            let number: u128 = number.parse().unwrap();
            let id = ExecutionId::from_raw(number);
            let short = |ids: Vec<ExecutionId>| ids.iter().map(|id| id.raw()).collect::<Vec<_>>();
            let answer = match verb {
                "ask" => format!("{:?}", gate.ask(id, limit)),
                "leave" => format!("lets {:?}", short(gate.leave(id, limit))),
                "limit" => {
                    limit = usize::try_from(number).unwrap();
                    format!("lets {:?}", short(gate.open(limit)))
                }
                other => panic!("unknown step {other}"),
            };
            trace.push_str(&format!("{step}: {answer}\n"));
        }
        expect.assert_eq(&trace);
    }

    #[test]
    fn who_came_first_is_served_first() {
        check(
            "ask 1, ask 2, ask 3, ask 2, leave 1, leave 2, ask 4",
            expect![[r#"
                ask 1: Admitted
                ask 2: Waiting(1)
                ask 3: Waiting(2)
                ask 2: Waiting(1)
                leave 1: lets [2]
                leave 2: lets [3]
                ask 4: Waiting(1)
            "#]],
        );
    }

    #[test]
    fn one_that_gives_up_frees_its_place() {
        check(
            "ask 1, ask 2, ask 3, leave 2, leave 1, leave 9",
            expect![[r#"
                ask 1: Admitted
                ask 2: Waiting(1)
                ask 3: Waiting(2)
                leave 2: lets []
                leave 1: lets [3]
                leave 9: lets []
            "#]],
        );
    }

    #[test]
    fn a_raised_limit_lets_several_through() {
        check(
            "ask 1, ask 2, ask 3, limit 3, ask 4",
            expect![[r#"
                ask 1: Admitted
                ask 2: Waiting(1)
                ask 3: Waiting(2)
                limit 3: lets [2, 3]
                ask 4: Waiting(1)
            "#]],
        );
    }
}
