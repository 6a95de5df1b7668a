use expect_test::{Expect, expect};
use jiff::SignedDuration;

use super::tests::{schedule, time};
use super::{
    CRON_TIMER, DATE_TIMER, INTERVAL_TIMER, Misfire, MisfirePolicy, State, Timer, TimerSet,
    TimerTrigger,
};
use squall_value::json;

fn timer(key: &str, trigger_type: &str, parameters: &str, policy: MisfirePolicy) -> Timer {
    Timer {
        key: key.into(),
        schedule: schedule(trigger_type, parameters, "2026-01-01T00:00:00Z").unwrap(),
        misfire: Misfire {
            policy,
            grace: SignedDuration::from_secs(10),
            window: SignedDuration::from_hours(6),
            ticks_max: 4,
        },
    }
}

/// Steps a timer that was created at midnight on 1 January at each of `times`.
fn check(timer: &Timer, times: &[&str], expected: Expect) {
    let mut state = State {
        settled: time("2026-01-01T00:00:00Z"),
    };
    let mut found = String::new();
    for now in times {
        let step = timer.step(time(now), &state);
        let ticks: Vec<String> = step
            .ticks
            .iter()
            .map(|tick| format!("{}{}", tick.id, if tick.late { " late" } else { "" }))
            .collect();
        let wake = step
            .wake
            .map_or("never".to_owned(), |wake| wake.to_string());
        let dropped = if step.dropped { " (dropped some)" } else { "" };
        found += &format!("{now}: [{}]{dropped} wake {wake}\n", ticks.join(", "));
        state = State::from_value(&step.state.to_value()).unwrap();
    }
    expected.assert_eq(&found);
}

const HOURLY: &str = r#"{"unit": "hours", "delta": 1}"#;

#[test]
fn a_tick_on_time_fires_once() {
    check(
        &timer("t", INTERVAL_TIMER, HOURLY, MisfirePolicy::Skip),
        &[
            "2026-01-01T00:59:59.999Z",
            "2026-01-01T01:00:00Z",
            "2026-01-01T01:00:00Z",
            "2026-01-01T02:00:09Z",
        ],
        expect![[r#"
            2026-01-01T00:59:59.999Z: [] wake 2026-01-01T01:00:00Z
            2026-01-01T01:00:00Z: [t@2026-01-01T01:00:00Z] wake 2026-01-01T02:00:00Z
            2026-01-01T01:00:00Z: [] wake 2026-01-01T02:00:00Z
            2026-01-01T02:00:09Z: [t@2026-01-01T02:00:00Z] wake 2026-01-01T03:00:00Z
        "#]],
    );
}

#[test]
fn skip_drops_what_was_missed() {
    check(
        &timer("t", INTERVAL_TIMER, HOURLY, MisfirePolicy::Skip),
        &["2026-01-05T03:30:00Z", "2026-01-05T04:00:00Z"],
        expect![[r#"
            2026-01-05T03:30:00Z: [] (dropped some) wake 2026-01-05T04:00:00Z
            2026-01-05T04:00:00Z: [t@2026-01-05T04:00:00Z] wake 2026-01-05T05:00:00Z
        "#]],
    );
}

#[test]
fn once_fires_the_latest_of_the_missed() {
    check(
        &timer("t", INTERVAL_TIMER, HOURLY, MisfirePolicy::Once),
        &[
            "2026-01-05T03:30:00Z",
            "2026-01-05T04:00:00Z",
            "2026-01-05T08:00:05Z",
        ],
        expect![[r#"
            2026-01-05T03:30:00Z: [t@2026-01-05T03:00:00Z late] (dropped some) wake 2026-01-05T04:00:00Z
            2026-01-05T04:00:00Z: [t@2026-01-05T04:00:00Z] wake 2026-01-05T05:00:00Z
            2026-01-05T08:00:05Z: [t@2026-01-05T08:00:00Z] (dropped some) wake 2026-01-05T09:00:00Z
        "#]],
    );
}

#[test]
fn once_drops_what_is_older_than_the_window() {
    check(
        &timer(
            "t",
            DATE_TIMER,
            r#"{"date": "2026-01-02"}"#,
            MisfirePolicy::Once,
        ),
        &["2026-01-02T07:00:00Z"],
        expect![[r#"
            2026-01-02T07:00:00Z: [] (dropped some) wake never
        "#]],
    );
}

#[test]
fn all_fires_at_most_its_bound() {
    check(
        &timer("t", INTERVAL_TIMER, HOURLY, MisfirePolicy::All),
        &[
            "2026-01-01T02:30:00Z",
            "2026-01-05T03:30:00Z",
            "2026-01-05T08:00:05Z",
        ],
        expect![[r#"
            2026-01-01T02:30:00Z: [t@2026-01-01T01:00:00Z late, t@2026-01-01T02:00:00Z late] wake 2026-01-01T03:00:00Z
            2026-01-05T03:30:00Z: [t@2026-01-05T00:00:00Z late, t@2026-01-05T01:00:00Z late, t@2026-01-05T02:00:00Z late, t@2026-01-05T03:00:00Z late] (dropped some) wake 2026-01-05T04:00:00Z
            2026-01-05T08:00:05Z: [t@2026-01-05T05:00:00Z late, t@2026-01-05T06:00:00Z late, t@2026-01-05T07:00:00Z late, t@2026-01-05T08:00:00Z] (dropped some) wake 2026-01-05T09:00:00Z
        "#]],
    );
}

#[test]
fn a_suspended_machine_releases_no_flood() {
    for policy in [MisfirePolicy::Skip, MisfirePolicy::Once, MisfirePolicy::All] {
        let timer = timer(
            "t",
            INTERVAL_TIMER,
            r#"{"unit": "seconds", "delta": 1}"#,
            policy,
        );
        let state = State {
            settled: time("2026-01-01T00:00:00Z"),
        };
        let step = timer.step(time("2026-01-05T00:00:00.5Z"), &state);
        assert_eq!(step.ticks.len(), 4, "{policy:?}");
        assert!(step.dropped, "{policy:?}");
        assert_eq!(step.wake, Some(time("2026-01-05T00:00:01Z")));
    }
}

#[test]
fn a_burst_long_ago_is_found_without_walking_it() {
    let mut timer = timer(
        "t",
        CRON_TIMER,
        r#"{"month": 1, "second": "*"}"#,
        MisfirePolicy::Once,
    );
    timer.misfire.window = SignedDuration::from_hours(24 * 365);
    check(
        &timer,
        &["2026-07-01T00:00:00Z"],
        expect![[r#"
        2026-07-01T00:00:00Z: [t@2026-01-31T23:59:59Z late] (dropped some) wake 2027-01-01T00:00:00Z
    "#]],
    );
}

#[test]
fn a_clock_that_steps_back_repeats_nothing() {
    check(
        &timer("t", INTERVAL_TIMER, HOURLY, MisfirePolicy::Once),
        &[
            "2026-01-01T03:00:00Z",
            "2026-01-01T02:00:00Z",
            "2026-01-01T03:00:01Z",
            "2026-01-01T04:00:00Z",
        ],
        expect![[r#"
            2026-01-01T03:00:00Z: [t@2026-01-01T03:00:00Z] (dropped some) wake 2026-01-01T04:00:00Z
            2026-01-01T02:00:00Z: [] wake 2026-01-01T04:00:00Z
            2026-01-01T03:00:01Z: [] wake 2026-01-01T04:00:00Z
            2026-01-01T04:00:00Z: [t@2026-01-01T04:00:00Z] wake 2026-01-01T05:00:00Z
        "#]],
    );
}

#[test]
fn a_clock_that_was_years_ahead_silences_no_timer() {
    check(
        &timer("t", INTERVAL_TIMER, HOURLY, MisfirePolicy::Once),
        &[
            "2036-01-01T03:00:00Z",
            "2026-01-01T02:00:00Z",
            "2026-01-01T03:00:00Z",
        ],
        expect![[r#"
            2036-01-01T03:00:00Z: [t@2036-01-01T03:00:00Z] (dropped some) wake 2036-01-01T04:00:00Z
            2026-01-01T02:00:00Z: [] wake 2026-01-01T03:00:00Z
            2026-01-01T03:00:00Z: [t@2026-01-01T03:00:00Z] wake 2026-01-01T04:00:00Z
        "#]],
    );
}

#[test]
fn a_tick_carries_the_state_that_holds_when_it_is_stored() {
    let timer = timer(
        "core.x",
        CRON_TIMER,
        r#"{"minute": "*/20"}"#,
        MisfirePolicy::All,
    );
    let state = State {
        settled: time("2026-01-01T00:00:00Z"),
    };
    let now = time("2026-01-01T00:40:00.000125Z");
    let step = timer.step(now, &state);
    let trigger = TimerTrigger {
        reference: "core.x".into(),
        trigger_type: CRON_TIMER.into(),
        parameters: json::read(r#"{"minute": "*/20"}"#).unwrap(),
    };
    let found: Vec<String> = step
        .events(&timer, &trigger, now)
        .into_iter()
        .map(|event| {
            let position = event.position.unwrap();
            format!(
                "{} {} {} {}",
                event.trace_tag.unwrap(),
                event.dedupe_key.unwrap(),
                event.payload.to_json(),
                position.value.to_json(),
            )
        })
        .collect();
    expect![[r#"
        st2.CronTimer-x core.x@2026-01-01T00:20:00Z {"executed_at":"2026-01-01 00:40:00.000125+00:00","schedule":{"minute":"*/20"}} {"settled":"2026-01-01T00:20:00Z"}
        st2.CronTimer-x core.x@2026-01-01T00:40:00Z {"executed_at":"2026-01-01 00:40:00.000125+00:00","schedule":{"minute":"*/20"}} {"settled":"2026-01-01T00:40:00.000125Z"}"#]].assert_eq(&found.join("\n"));
}

#[test]
fn a_set_gives_what_is_due_until_it_is_settled() {
    let mut set = TimerSet::new();
    let state = State {
        settled: time("2026-01-01T00:00:00Z"),
    };
    for (key, delta) in [("a", 3), ("b", 1), ("c", 2)] {
        let parameters = format!(r#"{{"unit": "hours", "delta": {delta}}}"#);
        set.insert(
            timer(key, INTERVAL_TIMER, &parameters, MisfirePolicy::Once),
            state,
        );
    }
    let keys = |set: &TimerSet, now: &str| {
        let due = set.due(time(now), 10);
        due.iter()
            .map(|(key, _)| key.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(keys(&set, "2026-01-01T00:30:00Z"), "");
    assert_eq!(keys(&set, "2026-01-01T02:00:00Z"), "b c");
    assert_eq!(keys(&set, "2026-01-01T02:00:00Z"), "b c");
    for (key, step) in set.due(time("2026-01-01T02:00:00Z"), 1) {
        set.settle(&key, &step);
    }
    assert_eq!(keys(&set, "2026-01-01T02:00:00Z"), "c");
    assert_eq!(set.next_wake(), Some(time("2026-01-01T02:00:00Z")));
    assert!(set.remove("c").is_some());
    assert_eq!(set.next_wake(), Some(time("2026-01-01T03:00:00Z")));
    assert_eq!(set.len(), 2);
}
