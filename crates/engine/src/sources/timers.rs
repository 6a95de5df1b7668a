//! All timers of all rules: one loop over what is due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use squall_model::{Timestamp, TriggerRef};
use squall_sensors::timer::{
    CRON_TIMER, DATE_TIMER, INTERVAL_TIMER, Schedule, State, Step, Timer, TimerSet, TimerTrigger,
};
use squall_sensors::{DispatchError, Position, Sink};
use squall_value::{Str, Value};

use super::hold::{Ended, StopSignal, Work, lease_name};
use super::port::Door;
use super::state::SourcePhase;
use super::{Settings, chain};
use crate::ingest::RETRY;
use crate::{Catalog, Engine, Trigger};

/// How many timers are taken on at a time; the store commits what they tell together.
const BATCH: usize = 64;

/// The longest sleep: a clock that is set is noticed after it.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The member of a timer's position that an interval counts from.
const ANCHOR: &str = "anchor";

pub(super) fn is_timer(kind: &TriggerRef) -> bool {
    [INTERVAL_TIMER, DATE_TIMER, CRON_TIMER].contains(&kind.as_str())
}

/// The work.
pub(super) struct Timers {
    pub(super) engine: Arc<Engine>,
    pub(super) settings: Arc<Settings>,
}

/// The key of the one source that has all timers.
const KEY: &str = "timers";

#[async_trait]
impl Work for Timers {
    async fn run(&self, mut stop: StopSignal) -> Ended {
        tokio::select! {
            () = stop.stopped() => Ended::ForGood,
            () = self.tick() => Ended::LeaseLost,
        }
    }
}

/// The timers that are followed now.
#[derive(Default)]
struct Followed {
    set: TimerSet,
    triggers: HashMap<Str, Followee>,
    /// Triggers that make no schedule, so that each is told once.
    broken: HashSet<Str>,
}

struct Followee {
    trigger: TimerTrigger,
    anchor: Timestamp,
}

impl Followee {
    /// A timer's state with what its schedule needs besides.
    fn place(&self, state: Value) -> Value {
        let Value::Dict(mut state) = state else {
            return state;
        };
        Arc::make_mut(&mut state).insert(ANCHOR, self.anchor.to_string());
        Value::Dict(state)
    }
}

fn key_of(reference: &str) -> Str {
    Str::from(format!("timer:{reference}"))
}

/// Whether a rule that is in force waits for the timer.
fn is_asked_for(catalog: &Catalog, reference: &Str) -> bool {
    catalog.trigger(reference).is_some() && catalog.rules.listens(reference)
}

impl Timers {
    /// Fires what is due until the lease is lost.
    async fn tick(&self) {
        let mut followed = Followed::default();
        let mut changes = self.engine.definition_changes();
        changes.mark_changed();
        loop {
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                let catalog = self.engine.catalog();
                if let Err(error) = self.follow(&mut followed, &catalog).await {
                    self.failed(&error);
                    self.engine.env.sleep(RETRY).await;
                    changes.mark_changed();
                    continue;
                }
            }
            let now = self.engine.env.now();
            let due = followed.set.due(now, BATCH);
            if due.is_empty() {
                let wake = followed.set.next_wake();
                let pause = wake.map_or(SLEEP_MAX, |wake| until(now, wake).min(SLEEP_MAX));
                tokio::select! {
                    // The sender lives in the engine.
                    _ = changes.changed() => changes.mark_changed(),
                    () = self.engine.env.sleep(pause) => {}
                }
                continue;
            }
            match self.fire(&mut followed, due, now).await {
                Ok(()) => {}
                Err(DispatchError::LeaseLost) => return,
                Err(error) => {
                    self.failed(&chain(&error));
                    self.engine.env.sleep(RETRY).await;
                }
            }
        }
    }

    fn failed(&self, reason: &str) {
        tracing::warn!(reason, "timers wait for the store");
        self.engine.sources.change(KEY, |state| {
            state.phase = SourcePhase::BackingOff;
            state.restarts += 1;
            state.last_error = Some(Str::from(reason));
        });
    }

    /// Brings the set in step with the rules.
    async fn follow(&self, followed: &mut Followed, catalog: &Catalog) -> Result<(), String> {
        let is_gone = |key: &&Str| {
            let reference = key.strip_prefix("timer:").unwrap_or(key);
            !is_asked_for(catalog, &Str::from(reference))
        };
        let gone: Vec<Str> = followed.triggers.keys().filter(is_gone).cloned().collect();
        for key in gone {
            self.engine
                .forget_position(&key)
                .await
                .map_err(|error| chain(&error))?;
            followed.set.remove(&key);
            followed.triggers.remove(&key);
        }
        followed
            .broken
            .retain(|reference| is_asked_for(catalog, reference));
        for trigger in catalog.triggers() {
            let reference = trigger.reference.text();
            if is_timer(&trigger.kind)
                && is_asked_for(catalog, &reference)
                && !followed.triggers.contains_key(&key_of(&reference))
                && !followed.broken.contains(&reference)
            {
                self.add(followed, trigger).await?;
            }
        }
        let (count, broken) = (followed.triggers.len(), followed.broken.len());
        self.engine.sources.change(KEY, |state| {
            state.phase = SourcePhase::Running;
            state.subject = Str::from(if broken == 0 {
                format!("{count} timers")
            } else {
                format!("{count} timers, and {broken} that cannot be used")
            });
        });
        Ok(())
    }

    async fn add(&self, followed: &mut Followed, trigger: &Trigger) -> Result<(), String> {
        let reference = trigger.reference.text();
        let key = key_of(&reference);
        let known = self.engine.source_position(&key).await;
        let known = known.map_err(|error| chain(&error))?;
        let now = self.engine.env.now();
        let anchor = known
            .as_ref()
            .and_then(|place| place.get(ANCHOR)?.as_str()?.parse().ok())
            .unwrap_or(now);
        let zone = &self.settings.time_zone;
        let kind = trigger.kind.as_str();
        let schedule = match Schedule::parse(kind, &trigger.parameters, anchor, zone) {
            Ok(schedule) => schedule,
            Err(error) => {
                tracing::error!(trigger = &*reference, %error, "a timer cannot be used");
                let reason = Str::from(format!("{reference}: {error}"));
                let board = &self.engine.sources;
                board.change(KEY, |state| state.last_error = Some(reason));
                followed.broken.insert(reference);
                return Ok(());
            }
        };
        let followee = Followee {
            trigger: TimerTrigger {
                reference,
                trigger_type: trigger.kind.text(),
                parameters: trigger.parameters.clone(),
            },
            anchor,
        };
        let state = match known.as_ref().and_then(State::from_value) {
            Some(state) => state,
            None => {
                let state = State { settled: now };
                let place = followee.place(state.to_value());
                let lease = lease_name(KEY);
                let stored = self.engine.advance_held(&key, &place, Some(&lease)).await;
                stored.map_err(|error| chain(&error))?;
                state
            }
        };
        let timer = Timer {
            key: key.clone(),
            schedule,
            misfire: self.settings.misfire,
        };
        followed.set.insert(timer, state);
        followed.triggers.insert(key, followee);
        Ok(())
    }

    /// Tells what is due, several timers at a time; the first error is told once all are done.
    async fn fire(
        &self,
        followed: &mut Followed,
        due: Vec<(Str, Step)>,
        now: Timestamp,
    ) -> Result<(), DispatchError> {
        let told = due.iter().map(|(key, step)| {
            let timer = followed.set.get(key).map(|(timer, _)| timer);
            let followee = followed.triggers.get(key);
            async move {
                match timer.zip(followee) {
                    Some((timer, followee)) => self.tell(timer, followee, step, now).await,
                    None => Ok(()),
                }
            }
        });
        let told = join_all(told).await;
        let mut result = Ok(());
        for ((key, step), told) in due.iter().zip(told) {
            match told {
                Ok(()) => followed.set.settle(key, step),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    async fn tell(
        &self,
        timer: &Timer,
        followee: &Followee,
        step: &Step,
        now: Timestamp,
    ) -> Result<(), DispatchError> {
        let door = Door {
            engine: Arc::clone(&self.engine),
            lease: lease_name(KEY),
            trigger: None,
            position: None,
        };
        for mut event in step.events(timer, &followee.trigger, now) {
            if let Some(position) = &mut event.position {
                position.value = followee.place(std::mem::take(&mut position.value));
            }
            match door.dispatch(event).await {
                Ok(_) => {}
                // The rule went while its timer fired; nobody waits for this tick.
                Err(DispatchError::UnknownTrigger { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if step.ticks.is_empty() {
            let position = Position {
                source: timer.key.clone(),
                value: followee.place(step.state.to_value()),
            };
            door.advance(position).await?;
        }
        Ok(())
    }
}

fn until(now: Timestamp, wake: Timestamp) -> Duration {
    Duration::try_from(wake.duration_since(now)).unwrap_or(Duration::ZERO)
}
