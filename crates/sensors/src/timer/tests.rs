use jiff::tz::TimeZone;
use squall_value::{Value, json};

use super::{CRON_TIMER, DATE_TIMER, Error, INTERVAL_TIMER, Schedule, Timestamp};

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn schedule(
    trigger_type: &str,
    parameters: &str,
    anchor: &str,
) -> Result<Schedule, Error> {
    let parameters = json::read(parameters).unwrap();
    Schedule::parse(trigger_type, &parameters, time(anchor), &TimeZone::UTC)
}

/// The next due times from `start`, as text.
fn due(schedule: &Schedule, start: Timestamp, count: usize) -> String {
    let mut at = start;
    let mut texts = Vec::new();
    for _ in 0..count {
        match schedule.next_after(at) {
            Some(next) => texts.push(next.to_string()),
            None => {
                texts.push("never".to_owned());
                break;
            }
        }
        at = schedule.next_after(at).unwrap_or(at);
    }
    texts.join(" ")
}

/// Lines of: zone, start, fields, due times. Recorded from APScheduler 3.11 (with its step over a
/// change of clocks put right as `cron.rs` says, and without the repetition of a time that lies in
/// a gap; the fifth column is what it says itself where that differs).
#[test]
fn cron_is_due_when_apscheduler_says_so() {
    let mut wrong = Vec::new();
    let data = include_str!("testdata/cron.tsv");
    for (number, line) in data.lines().enumerate() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [zone, start, fields, expected, _] = columns[..] else {
            panic!("line {number} has {} columns", columns.len());
        };
        let mut parameters = json::read(fields).unwrap().as_dict().unwrap().clone();
        parameters.insert("timezone", zone);
        let parsed = Schedule::parse(
            CRON_TIMER,
            &Value::from(parameters),
            time(start),
            &TimeZone::UTC,
        );
        let found = match parsed {
            Ok(schedule) => due(&schedule, time(start), expected.split(' ').count()),
            Err(Error::NeverFires) => "never".to_owned(),
            Err(_) => "error".to_owned(),
        };
        if found != expected {
            wrong.push(format!(
                "{zone} {start} {fields}\n  want {expected}\n  got  {found}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn check_due(trigger_type: &str, parameters: &str, start: &str, expected: &str) {
    let found = match schedule(trigger_type, parameters, "2026-01-01T00:00:00.25Z") {
        Ok(schedule) => due(&schedule, time(start), expected.split(' ').count()),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{parameters} from {start}");
}

#[test]
fn an_interval_counts_from_its_anchor() {
    let cases = [
        (
            r#"{"unit": "seconds", "delta": 30}"#,
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:30.25Z 2026-01-01T00:01:00.25Z",
        ),
        (
            r#"{"unit": "seconds", "delta": 30}"#,
            "2026-01-01T00:00:30.25Z",
            "2026-01-01T00:01:00.25Z",
        ),
        (
            r#"{"unit": "weeks", "delta": 2}"#,
            "2025-01-01T00:00:00Z",
            "2026-01-15T00:00:00.25Z 2026-01-29T00:00:00.25Z",
        ),
        (
            r#"{"unit": "days", "delta": 1, "timezone": "Europe/Berlin"}"#,
            "2026-03-28T12:00:00Z",
            "2026-03-29T00:00:00.25Z 2026-03-30T00:00:00.25Z",
        ),
        (
            r#"{"unit": "minutes", "delta": 0}"#,
            "2026-02-01T00:00:00Z",
            "2026-02-01T00:00:00.25Z 2026-02-01T00:00:01.25Z",
        ),
        (
            r#"{"unit": "weeks", "delta": 142857142}"#,
            "2026-02-01T00:00:00Z",
            "never",
        ),
    ];
    for (parameters, start, expected) in cases {
        check_due(INTERVAL_TIMER, parameters, start, expected);
    }
}

#[test]
fn a_date_is_read_as_dateutil_reads_it() {
    let cases = [
        ("2014-12-31 23:59:59", "2014-12-31T22:59:59Z"),
        ("2014-12-31T23:59:59Z", "2014-12-31T23:59:59Z"),
        ("2014-12-31T23:59:59.5+09:00", "2014-12-31T14:59:59.5Z"),
        ("20141231T235959Z", "2014-12-31T23:59:59Z"),
        ("2014/12/31", "2014-12-30T23:00:00Z"),
        ("12/31/2014 11:59 pm", "2014-12-31T22:59:00Z"),
        ("31/12/2014", "2014-12-30T23:00:00Z"),
        ("Dec 31, 2014 11pm", "2014-12-31T22:00:00Z"),
        ("31 December 2014 at 23:59", "2014-12-31T22:59:00Z"),
        ("Wed, 31 Dec 2014 23:59:59 GMT", "2014-12-31T23:59:59Z"),
        ("2014-12-31 23:59:59 -0330", "2015-01-01T03:29:59Z"),
        ("31-Dec-2014", "2014-12-30T23:00:00Z"),
        ("1st Mar 2031 4am", "2031-03-01T03:00:00Z"),
        ("2031-03-01 12:00 am", "2031-02-28T23:00:00Z"),
        ("3/4/2031", "2031-03-03T23:00:00Z"),
        (
            "2031-12-31 23:59:59.123456789",
            "2031-12-31T22:59:59.123456Z",
        ),
        ("2031-03-30 02:30:00", "2031-03-30T01:30:00Z"),
        ("2031-10-26 02:30:00", "2031-10-26T00:30:00Z"),
    ];
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    for (text, expected) in cases {
        let found = super::date::parse(text, &zone).map(|time| time.to_string());
        assert_eq!(found.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn an_unclear_date_is_refused() {
    let cases = [
        ("", "year, month and day must all be given"),
        ("23:59", "year, month and day must all be given"),
        ("Dec 31", "year, month and day must all be given"),
        ("tomorrow", "`tomorrow` is not understood"),
        ("2014-13-01", "there is no day 2014-13-01"),
        ("2014-12-31 25:00", "`25:00` is not understood"),
        (
            "2014-12-31 13:00 pm",
            "an hour with am or pm is from 1 to 12",
        ),
        ("2014-12-31 12:00 PST", "`pst` is not understood"),
        ("2014-12-31 2015-12-31", "`2015-12-31` is not understood"),
        ("2014-12-31 12:00 +é0", "`+é0` is not understood"),
        (
            "99999999999999999999",
            "`99999999999999999999` is not understood",
        ),
    ];
    for (text, expected) in cases {
        let found = super::date::parse(text, &TimeZone::UTC).unwrap_err();
        assert_eq!(found.to_lowercase(), expected.to_lowercase(), "{text}");
    }
}

#[test]
fn a_date_is_due_once() {
    let parameters = r#"{"date": "2026-05-01 08:00:00", "timezone": "Asia/Tokyo"}"#;
    check_due(
        DATE_TIMER,
        parameters,
        "2026-01-01T00:00:00Z",
        "2026-04-30T23:00:00Z never",
    );
    check_due(DATE_TIMER, parameters, "2026-04-30T23:00:00Z", "never");
}

#[test]
fn wrong_parameters_are_told() {
    let cases = [
        (
            "core.st2.webhook",
            "{}",
            "`core.st2.webhook` is no timer; timers are core.st2.IntervalTimer, core.st2.DateTimer and core.st2.CronTimer",
        ),
        (
            INTERVAL_TIMER,
            "[]",
            "the parameters of a timer must be a dictionary, not array",
        ),
        (
            INTERVAL_TIMER,
            r#"{"delta": 1}"#,
            "the parameter `unit` is missing",
        ),
        (
            INTERVAL_TIMER,
            r#"{"unit": "days", "delta": null}"#,
            "the parameter `delta` is missing",
        ),
        (
            INTERVAL_TIMER,
            r#"{"unit": "years", "delta": 1}"#,
            r#"the parameter `unit` is "years"; it must be one of `weeks`, `days`, `hours`, `minutes`, `seconds`"#,
        ),
        (
            INTERVAL_TIMER,
            r#"{"unit": "days", "delta": -1}"#,
            "the parameter `delta` is -1; it must be a whole number from 1 to 999999999",
        ),
        (
            INTERVAL_TIMER,
            r#"{"unit": "days", "delta": 1, "timezone": "Mars/Olympus"}"#,
            r#"the parameter `timezone` is "Mars/Olympus"; it must be the name of a time zone, such as `UTC` or `Europe/Berlin`"#,
        ),
        (
            INTERVAL_TIMER,
            r#"{"unit": "days", "delta": 1, "second": 1}"#,
            "unknown parameter `second`; this timer takes timezone, unit, delta",
        ),
        (
            CRON_TIMER,
            r#"{"minute": "*/0"}"#,
            "the field `minute` is `*/0`: a step must be at least 1",
        ),
        (
            CRON_TIMER,
            r#"{"day_of_week": "sat-mon"}"#,
            "the field `day_of_week` is `sat-mon`: the range `sat-mon` ends before it begins; write it as a list of two ranges",
        ),
        (
            CRON_TIMER,
            r#"{"hour": 24}"#,
            "the field `hour` is `24`: 24 is more than 23, the largest value",
        ),
        (
            CRON_TIMER,
            r#"{"hour": 1.5}"#,
            "the parameter `hour` is 1.5; it must be a text or a whole number",
        ),
        (
            CRON_TIMER,
            r#"{"month": 2, "day": 30}"#,
            "no date of any year matches these fields",
        ),
        (
            CRON_TIMER,
            r#"{"day": "1 2"}"#,
            "the field `day` is `1 2`: `1 2` is none of `*`, `*/step`, `a`, `a-b`, `a-b/step` with numbers from 1 to 31, or such as `last`, `2nd fri`, `last sun`",
        ),
    ];
    for (trigger_type, parameters, expected) in cases {
        let error = schedule(trigger_type, parameters, "2026-01-01T00:00:00Z").unwrap_err();
        assert_eq!(error.to_string(), expected, "{parameters}");
    }
}
