//! The table, the file of values, and the conditions under which they were taken.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::drive::fsync_ms;
use super::{Measured, Options};

/// What a value has to be. They hold for two cores, the embedded store with durable commits, and a
/// disk that syncs within 0.3 ms.
#[derive(Debug, Clone, Copy)]
enum Budget {
    Below(f64),
    AtLeast(f64),
}

impl Budget {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::Below(bound) => value < bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Below(bound) => format!("< {bound}"),
            Self::AtLeast(bound) => format!(">= {bound}"),
        }
    }
}

const BUDGETS: &[(&str, Budget)] = &[
    ("ready_ms", Budget::Below(300.0)),
    ("idle_rss_mib", Budget::Below(60.0)),
    ("register_3500_ms", Budget::Below(2000.0)),
    ("ready_many_ms", Budget::Below(300.0)),
    ("noop_latency_ms_p50", Budget::Below(3.0)),
    ("noop_latency_ms_p99", Budget::Below(15.0)),
    ("noop_per_s_64", Budget::AtLeast(4000.0)),
    ("noop_cpu_us", Budget::Below(500.0)),
    ("shell_latency_ms_p50", Budget::Below(8.0)),
    ("python_latency_ms_p50", Budget::Below(15.0)),
    ("python_first_ms", Budget::Below(200.0)),
    ("python_per_s", Budget::AtLeast(100.0)),
    ("event_latency_ms_p50", Budget::Below(5.0)),
    ("event_to_execution_per_s", Budget::AtLeast(3000.0)),
    ("match_us_10000_unrelated", Budget::Below(200.0)),
    ("sequence_100_ms", Budget::Below(150.0)),
    ("with_items_1000_ms", Budget::Below(500.0)),
    ("task_cpu_growth", Budget::Below(1.5)),
    ("list_ms_p99", Budget::Below(50.0)),
    ("list_other_ms_max", Budget::Below(1000.0)),
    ("list_tenth_ms_p99", Budget::Below(50.0)),
    ("list_tenth_other_ms_max", Budget::Below(1000.0)),
    ("stream_missed", Budget::Below(1.0)),
];

/// A full store may cost a third of the rate of an empty one.
const FULL_SHARE: f64 = 2.0 / 3.0;

/// What was measured so far.
#[derive(Debug)]
pub(super) struct Report {
    values: Map<String, Value>,
    notes: Vec<String>,
    failed: bool,
    store: &'static str,
    load_before: f64,
    fsync_before: f64,
    seconds: f64,
    full: u64,
}

impl Report {
    /// Notes the conditions, and prints the head of the table.
    pub(super) fn begin(home: &Path, options: &Options) -> Result<Self> {
        let store = options.database.as_deref().map_or("sqlite", |_| "postgres");
        println!("{:<26} {:>12}   {:<8}", "key", "value", "budget");
        Ok(Self {
            values: Map::new(),
            notes: Vec::new(),
            failed: false,
            store,
            load_before: load_average()?,
            fsync_before: fsync_ms(home)?,
            seconds: options.seconds,
            full: options.full,
        })
    }

    /// Takes the wanted values of some keys, and prints them.
    pub(super) fn add(
        &mut self,
        keys: &[&str],
        measured: &Measured,
        wanted: impl Fn(&str) -> bool,
    ) {
        for (key, value) in keys.iter().zip(&measured.values) {
            if !wanted(key) {
                continue;
            }
            self.values.insert((*key).to_owned(), json!(value));
            let budget = self.budget(key);
            let text = budget.map(Budget::text).unwrap_or_default();
            let is_missed = budget.is_some_and(|budget| !budget.is_met(*value));
            let missed = if is_missed { "  missed" } else { "" };
            println!("{key:<26} {value:>12.3}   {text:<8}{missed}");
        }
        self.notes.extend(measured.note.clone());
    }

    fn budget(&self, key: &str) -> Option<Budget> {
        if key == "noop_per_s_64_full" {
            let empty = self.values.get("noop_per_s_64")?.as_f64()?;
            return Some(Budget::AtLeast((empty * FULL_SHARE).round()));
        }
        let found = BUDGETS.iter().find(|(name, _)| *name == key);
        found.map(|(_, budget)| *budget)
    }

    /// Says that a group of keys could not be measured.
    pub(super) fn fail(&mut self, group: &str, error: &anyhow::Error) {
        self.failed = true;
        println!("{group:<26} {:>12}   {error:#}", "FAILED");
        self.notes
            .push(format!("{group} could not be measured: {error:#}"));
    }

    /// Writes what there is so far, so that a run that is broken off leaves it.
    pub(super) fn write(&self, path: Option<&Path>) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let mut values = self.values.clone();
        values.insert("conditions".to_owned(), self.conditions()?);
        let text = serde_json::to_string_pretty(&values)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    fn conditions(&self) -> Result<Value> {
        Ok(json!({
            "cores": std::thread::available_parallelism()?.get(),
            "store": self.store,
            "load_before": self.load_before,
            "load_after": load_average()?,
            "fsync_ms_p50_before": self.fsync_before,
            "seconds": self.seconds,
            "full": self.full,
            "notes": self.notes,
        }))
    }

    /// Prints notes and conditions; true when every key was measured.
    pub(super) fn end(&self, path: Option<&Path>, seconds: f64) -> Result<bool> {
        self.write(path)?;
        for note in &self.notes {
            println!("{note}");
        }
        println!(
            "measured in {seconds:.0} s on {} cores, store {}, load {} before and {} after, fsync of \
             4 KiB p50 {:.3} ms before",
            std::thread::available_parallelism()?,
            self.store,
            self.load_before,
            load_average()?,
            self.fsync_before
        );
        Ok(!self.failed)
    }
}

/// How busy the machine was in the last minute.
fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read the load")?;
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().context("/proc/loadavg has no such form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::groups::GROUPS;

    #[test]
    fn every_budget_belongs_to_a_key() {
        for (key, _) in BUDGETS {
            assert!(GROUPS.iter().any(|group| group.keys.contains(key)), "{key}");
        }
    }

    #[test]
    fn bounds_are_taken_literally() {
        assert!(Budget::Below(3.0).is_met(2.9) && !Budget::Below(3.0).is_met(3.0));
        assert!(Budget::AtLeast(3.0).is_met(3.0) && !Budget::AtLeast(3.0).is_met(2.9));
    }
}
