//! What is tried again, and when.

use std::time::Duration;

use squall_model::{Outcome, Status};

/// StackStorm's `action.retry`: an execution that ends in one of some ways is run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The ends that are not accepted: `failed` and `timeout` are known.
    pub on: Vec<Status>,
    /// How often it is tried again at most.
    pub count_max: u32,
    /// How long to wait before.
    pub delay: Duration,
}

impl Retry {
    /// How long to wait before the next attempt, after `tried` retries; `None` to accept the end.
    #[must_use]
    pub fn after(&self, outcome: Outcome, tried: u32) -> Option<Duration> {
        let status = squall_model::State::Ended(outcome).status();
        (self.on.contains(&status) && tried < self.count_max).then_some(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_ends_are_tried_again_and_only_so_often() {
        let retry = Retry {
            on: vec![Status::Timeout],
            count_max: 2,
            delay: Duration::from_secs(3),
        };
        assert_eq!(
            retry.after(Outcome::TimedOut, 0),
            Some(Duration::from_secs(3))
        );
        assert_eq!(
            retry.after(Outcome::TimedOut, 1),
            Some(Duration::from_secs(3))
        );
        assert_eq!(retry.after(Outcome::TimedOut, 2), None);
        assert_eq!(retry.after(Outcome::Failed, 0), None);
        assert_eq!(retry.after(Outcome::Succeeded, 0), None);
    }
}
