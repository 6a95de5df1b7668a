//! Singleton work: done by whoever holds its lease, for as long as the lease is kept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_model::Timestamp;
use squall_store::{Command, Refusal};
use squall_value::Str;
use tokio::sync::watch;

use super::state::SourcePhase;
use crate::Engine;

/// Tells a source to stop. A sender that is gone says the same.
#[derive(Debug, Clone)]
pub(super) struct StopSignal(pub(super) watch::Receiver<bool>);

impl StopSignal {
    pub(super) async fn stopped(&mut self) {
        // An error says that nobody is left to ask for a stop.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// How a stretch of work ended that nobody stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// There is nothing more to do until the definition changes.
    ForGood,
    /// Another server may have it.
    LeaseLost,
}

/// Work that one server does at a time.
#[async_trait]
pub(super) trait Work: Send + Sync {
    /// Works until told to stop, and then ends in an orderly way within a bounded time.
    async fn run(&self, stop: StopSignal) -> Ended;
}

/// Holds the lease of `key`, or waits for it, and works while it is held. Returns when told to
/// stop, once the work has ended and the lease is free.
pub(super) async fn hold(engine: Arc<Engine>, key: Str, work: Arc<dyn Work>, mut stop: StopSignal) {
    let holder = Holder {
        lease: lease_name(&key),
        pause: engine.settings.lease / 3,
        engine,
        key,
    };
    loop {
        if let Renewed::Until(until) = holder.renew().await {
            let stopped = holder.work(&*work, &mut stop, until).await;
            holder.release().await;
            if stopped {
                return;
            }
        }
        let board = &holder.engine.sources;
        board.change(&holder.key, |state| state.phase = SourcePhase::Elsewhere);
        tokio::select! {
            () = stop.stopped() => return,
            () = holder.engine.env.sleep(holder.pause) => {}
        }
    }
}

/// The lease under which a source runs.
pub(super) fn lease_name(key: &str) -> Str {
    Str::from(format!("source:{key}"))
}

/// What came of taking or keeping a lease.
enum Renewed {
    Until(Timestamp),
    /// Another server has it.
    Taken,
    /// The store did not answer.
    Unknown,
}

struct Holder {
    engine: Arc<Engine>,
    key: Str,
    lease: Str,
    /// Between two renewals, so that two may fail before the lease is lost.
    pause: Duration,
}

impl Holder {
    /// Takes or keeps the lease.
    async fn renew(&self) -> Renewed {
        let engine = &self.engine;
        let until = engine.env.now().checked_add(engine.settings.lease);
        let until = until.unwrap_or(Timestamp::MAX);
        let command = Command::HoldLease {
            name: self.lease.clone(),
            holder: engine.lease,
            until,
        };
        match engine.commit(vec![command]).await {
            Ok(()) => Renewed::Until(until),
            Err(error) if error.refusal() == Some(&Refusal::Leased) => Renewed::Taken,
            Err(error) => {
                let source = &*self.key;
                tracing::warn!(source, %error, "the lease of a source could not be kept");
                Renewed::Unknown
            }
        }
    }

    async fn release(&self) {
        let command = Command::ReleaseLease {
            name: self.lease.clone(),
            holder: self.engine.lease,
        };
        if let Err(error) = self.engine.commit(vec![command]).await {
            // It runs out by itself; another server only starts the source later.
            tracing::warn!(source = &*self.key, %error, "the lease of a source was not given up");
        }
    }

    /// Works under the lease; returns whether it was told to stop.
    async fn work(&self, work: &dyn Work, stop: &mut StopSignal, until: Timestamp) -> bool {
        let (tell, told) = watch::channel(false);
        let mut running = work.run(StopSignal(told));
        let stopped = tokio::select! {
            ended = &mut running => match ended {
                Ended::LeaseLost => return false,
                // The lease is kept, so that no other server finds out the same again and again.
                Ended::ForGood => {
                    return tokio::select! {
                        () = stop.stopped() => true,
                        () = self.keep(until) => false,
                    };
                }
            },
            () = stop.stopped() => true,
            () = self.keep(until) => {
                tracing::warn!(source = &*self.key, "the lease of a source was lost; it stops here");
                false
            }
        };
        tell.send_replace(true);
        running.await;
        stopped
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, mut until: Timestamp) {
        loop {
            self.engine.env.sleep(self.pause).await;
            match self.renew().await {
                Renewed::Until(renewed) => until = renewed,
                Renewed::Taken => return,
                // The work stops before another server may begin with it.
                Renewed::Unknown if self.ends_before_next_try(until) => return,
                Renewed::Unknown => {}
            }
        }
    }

    fn ends_before_next_try(&self, until: Timestamp) -> bool {
        let next = self.engine.env.now().checked_add(self.pause);
        next.is_ok_and(|next| next >= until)
    }
}
