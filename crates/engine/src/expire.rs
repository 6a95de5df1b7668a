//! Beside the path: retention. What is old enough goes, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use squall_model::Timestamp;
use squall_store::{Error, Purge};

use crate::Engine;

/// How many records one step removes at most, so that it never holds the store for long.
const BATCH: usize = 500;

impl Engine {
    /// Removes some of what is older than the settings keep; returns how many records went, so that
    /// the caller can go on at once while there is more.
    ///
    /// # Errors
    ///
    /// When the store does not answer; the next call goes on.
    pub async fn expire(self: &Arc<Engine>) -> Result<u64, Error> {
        let now = self.env.now();
        let retention = &self.settings.retention;
        let before = |age: Option<Duration>| age.and_then(|age| now.checked_sub(age).ok());
        let limit = BATCH;
        let mut purges = vec![Purge::Expired { now, limit }];
        let mut add = |moment: Option<Timestamp>, purge: fn(Timestamp, usize) -> Purge| {
            purges.extend(moment.map(|moment| purge(moment, limit)));
        };
        add(before(retention.executions), |ended_before, limit| {
            Purge::Executions {
                ended_before,
                limit,
            }
        });
        add(before(retention.output), |ended_before, limit| {
            Purge::Output {
                ended_before,
                limit,
            }
        });
        add(
            before(retention.trigger_instances),
            |occurred_before, limit| Purge::TriggerInstances {
                occurred_before,
                limit,
            },
        );
        add(before(retention.audit), |before, limit| Purge::Audit {
            before,
            limit,
        });
        add(before(retention.changes), |before, limit| Purge::Changes {
            before,
            limit,
        });
        let mut removed = 0;
        for purge in purges {
            removed += self.store.purge(purge).await?;
        }
        Ok(removed)
    }
}
