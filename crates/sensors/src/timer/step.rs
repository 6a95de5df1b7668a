//! What a timer does at a given time: the misfire policy.

use jiff::{SignedDuration, Timestamp};
use squall_value::{Str, Value, dict};

use super::Schedule;
use crate::event::{Event, Position};

/// What happens to due times that passed while nobody looked: the server was down, suspended, or
/// the timer's lease changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MisfirePolicy {
    /// They are dropped.
    Skip,
    /// The latest of them fires, late; if another tick is due on time at that moment, that one
    /// stands for all.
    #[default]
    Once,
    /// Each of them fires, late, at most [`Misfire::ticks_max`] at once: the latest ones.
    All,
}

/// When a due time counts as missed, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfire {
    /// What happens to missed due times that lie within `window`.
    pub policy: MisfirePolicy,
    /// Lateness up to this long is ordinary delay: such a tick fires under every policy.
    pub grace: SignedDuration,
    /// Missed due times older than this are dropped under every policy.
    pub window: SignedDuration,
    /// One step gives at most so many ticks, whatever was missed; at least 1.
    pub ticks_max: usize,
}

impl Default for Misfire {
    /// One late tick for anything missed within the last hour; ten seconds are no lateness.
    fn default() -> Misfire {
        Misfire {
            policy: MisfirePolicy::default(),
            grace: SignedDuration::from_secs(10),
            window: SignedDuration::from_hours(1),
            ticks_max: 100,
        }
    }
}

/// What a timer must remember; stored with its ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// All due times up to here are settled: fired or dropped. At first the time at which the
    /// trigger was created.
    pub settled: Timestamp,
}

impl State {
    /// As a source's position: microseconds would round, so it is text.
    #[must_use]
    pub fn to_value(self) -> Value {
        dict! { "settled" => self.settled.to_string() }
    }

    /// The state in a position; `None` when it is not one that [`State::to_value`] wrote.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<State> {
        let settled = value.get("settled")?.as_str()?.parse().ok()?;
        Some(State { settled })
    }
}

/// A due time that fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// When it was due.
    pub due: Timestamp,
    /// The same for the same timer and due time, always and everywhere, so that it can serve as
    /// the event's `dedupe_key`.
    pub id: Str,
    /// Whether it is later than the grace allows.
    pub late: bool,
}

/// What [`Timer::step`] decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What fires now, earliest first.
    pub ticks: Vec<Tick>,
    /// What to remember. Unchanged if nothing was due.
    pub state: State,
    /// Whether due times were dropped, by the policy, the window or the bound.
    pub dropped: bool,
    /// When to look again; `None` if the timer will never be due again.
    pub wake: Option<Timestamp>,
}

/// A schedule with its misfire policy, under a name.
#[derive(Debug, Clone)]
pub struct Timer {
    /// Which timer this is, in ticks' ids: the trigger's `uid` or `ref`, the same over restarts.
    pub key: Str,
    /// When it is due.
    pub schedule: Schedule,
    /// What happens to missed times.
    pub misfire: Misfire,
}

/// A clock that was this far ahead and came back was wrong; waiting for it would silence a timer
/// for as long.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_hours(24);

impl Timer {
    /// What to do at `now`, given what was settled before.
    ///
    /// A clock that steps back makes nothing fire twice: due times that are settled stay so. Only
    /// a clock that had been more than a day ahead is taken for an error, and the timer starts
    /// anew from `now`.
    #[must_use]
    pub fn step(&self, now: Timestamp, state: &State) -> Step {
        let settled = match now.checked_add(CLOCK_ERROR) {
            Ok(limit) if state.settled > limit => now,
            _ => state.settled,
        };
        let next = self.schedule.next_after(settled);
        if next.is_none_or(|next| next > now) {
            return Step {
                ticks: Vec::new(),
                state: State { settled },
                dropped: false,
                wake: next,
            };
        }
        let on_time_from = earlier(now, self.misfire.grace).max(settled);
        let window_from = earlier(now, self.misfire.window.max(self.misfire.grace)).max(settled);
        let on_time = self.latest(on_time_from, now);
        let late = match self.misfire.policy {
            MisfirePolicy::Skip => Vec::new(),
            MisfirePolicy::Once if !on_time.is_empty() => Vec::new(),
            MisfirePolicy::Once => Vec::from_iter(self.last(window_from, on_time_from)),
            MisfirePolicy::All => {
                let mut late = self.latest(window_from, on_time_from);
                let room = self.misfire.ticks_max.saturating_sub(on_time.len());
                late.drain(..late.len().saturating_sub(room));
                late
            }
        };
        let fired = late.len() + on_time.len();
        let dropped = self.first(settled, now, fired + 1).len() > fired;
        let tick = |due: &Timestamp, late| Tick {
            due: *due,
            id: format!("{}@{due}", self.key).into(),
            late,
        };
        Step {
            ticks: late
                .iter()
                .map(|due| tick(due, true))
                .chain(on_time.iter().map(|due| tick(due, false)))
                .collect(),
            state: State { settled: now },
            dropped,
            wake: self.schedule.next_after(now),
        }
    }

    /// The due times in `(from, to]`, only the latest ones if there are more than fit.
    fn latest(&self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let limit = self.misfire.ticks_max.max(1);
        let ticks = self.first(from, to, limit + 1);
        if ticks.len() <= limit {
            return ticks;
        }
        // The latest start from which no more than `limit` ticks follow.
        let (mut too_many, mut few) = (from, to);
        while let Some(middle) = middle(too_many, few) {
            if self.first(middle, to, limit + 1).len() > limit {
                too_many = middle;
            } else {
                few = middle;
            }
        }
        self.first(few, to, limit)
    }

    fn first(&self, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Timestamp> {
        std::iter::successors(self.schedule.next_after(from), |due| {
            self.schedule.next_after(*due)
        })
        .take_while(|due| *due <= to)
        .take(limit)
        .collect()
    }

    /// The latest due time in `(from, to]`.
    fn last(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let due_in = |from| self.schedule.next_after(from).filter(|due| *due <= to);
        due_in(from)?;
        let (mut before, mut after) = (from, to);
        while let Some(middle) = middle(before, after) {
            if due_in(middle).is_some() {
                before = middle;
            } else {
                after = middle;
            }
        }
        due_in(before)
    }
}

/// The trigger that a timer fires.
#[derive(Debug, Clone, PartialEq)]
pub struct TimerTrigger {
    /// Its reference, `pack.name`.
    pub reference: Str,
    /// The reference of its type: one of the three timers.
    pub trigger_type: Str,
    /// Its parameters: the schedule as the rule's author wrote it.
    pub parameters: Value,
}

impl Step {
    /// The events of this step's ticks, with StackStorm's payload, to be dispatched in order.
    ///
    /// Each carries the state that holds once it is stored, under the timer's key as source, so
    /// that a crash between two of them neither loses nor repeats one. StackStorm fills
    /// `schedule` from a parameter that no timer can have, so that it is always null there; here
    /// the trigger's parameters stand in it, as the payload's schema promises.
    #[must_use]
    pub fn events(&self, timer: &Timer, trigger: &TimerTrigger, now: Timestamp) -> Vec<Event> {
        let last = self.ticks.len().saturating_sub(1);
        let type_name = trigger
            .trigger_type
            .split_once('.')
            .map_or("", |(_, name)| name);
        let name = trigger
            .reference
            .split_once('.')
            .map_or("", |(_, name)| name);
        let event = |(index, tick): (usize, &Tick)| Event {
            trigger: trigger.reference.clone(),
            parameters: None,
            payload: dict! {
                "executed_at" => python_text(now),
                "schedule" => trigger.parameters.clone(),
            },
            trace_tag: Some(format!("{type_name}-{name}").into()),
            dedupe_key: Some(tick.id.clone()),
            position: Some(Position {
                source: timer.key.clone(),
                value: if index == last {
                    self.state.to_value()
                } else {
                    State { settled: tick.due }.to_value()
                },
            }),
            occurred_at: tick.due,
        };
        self.ticks.iter().enumerate().map(event).collect()
    }
}

/// A time as Python's `str(datetime)` writes it in UTC, to the microsecond.
fn python_text(time: Timestamp) -> String {
    let wall = jiff::tz::Offset::UTC.to_datetime(time);
    let micros = wall.subsec_nanosecond() / 1_000;
    let seconds = wall.strftime("%Y-%m-%d %H:%M:%S");
    if micros == 0 {
        format!("{seconds}+00:00")
    } else {
        format!("{seconds}.{micros:06}+00:00")
    }
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The time half way between two, `None` when they are neighbours.
fn middle(from: Timestamp, to: Timestamp) -> Option<Timestamp> {
    let half = to.duration_since(from) / 2;
    if half.is_zero() {
        return None;
    }
    from.checked_add(half).ok()
}
