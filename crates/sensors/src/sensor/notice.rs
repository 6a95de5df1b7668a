//! What people are told about a sensor that goes on all the same.

use std::time::Duration;

use jiff::Timestamp;
use squall_value::Str;
use tokio::sync::watch;

use super::SensorState;

/// Tells of a sensor, in its state and in the log.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) sensor: Str,
    pub(super) state: watch::Sender<SensorState>,
}

impl Notice {
    /// Puts the reason in the place of the last one; the same again is told once.
    pub(super) fn tell(&self, reason: String) {
        if self.state.borrow().last_error.as_deref() == Some(reason.as_str()) {
            return;
        }
        tracing::warn!(sensor = &*self.sensor, "{reason}");
        self.state
            .send_modify(|state| state.last_error = Some(Str::from(reason)));
    }
}

/// Notices a process that sends more events than anybody can mean.
#[derive(Debug)]
pub(super) struct Flood {
    events_max: u32,
    within: Duration,
    /// How many have come, and since when; `None` once it was noticed.
    counted: Option<(u32, Timestamp)>,
}

impl Flood {
    pub(super) fn new(events_max: u32, within: Duration, now: Timestamp) -> Flood {
        Flood {
            events_max,
            within,
            counted: Some((0, now)),
        }
    }

    /// Counts an event; the first one too many gives the reason to tell.
    pub(super) fn sent(&mut self, now: Timestamp) -> Option<String> {
        let (count, since) = self.counted?;
        let is_over = now.duration_since(since).unsigned_abs() > self.within;
        let (count, since) = if is_over {
            (1, now)
        } else {
            (count + 1, since)
        };
        self.counted = Some((count, since));
        if count <= self.events_max {
            return None;
        }
        self.counted = None;
        let (max, seconds) = (self.events_max, self.within.as_secs());
        Some(format!(
            "it floods: more than {max} events within {seconds} s, from {since:.0} on; each is \
             stored, and the sensor waits for it"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_once_and_a_brook_never() {
        let start = Timestamp::UNIX_EPOCH;
        let at = |millis: i64| start + jiff::SignedDuration::from_millis(millis);
        for (pause, expected) in [(100, 0), (11, 0), (10, 1), (1, 1)] {
            let mut flood = Flood::new(100, Duration::from_secs(1), start);
            let told = (0..1_000).filter_map(|n| flood.sent(at(n * pause)));
            assert_eq!(told.count(), expected, "an event each {pause} ms");
        }
    }
}
