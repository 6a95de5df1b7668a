use expect_test::{Expect, expect};

use super::*;

/// Runs `script`, one word per event, from `Requested`; compares the states passed through.
#[track_caller]
fn check(script: &str, expect: Expect) {
    let mut state = State::Requested;
    let mut trace = String::new();
    for word in script.split_whitespace() {
        let (name, lease) = word.split_once('@').unwrap_or((word, "0"));
        let lease = Lease(lease.parse().unwrap());
        let event = match name {
            "delay" => Event::Delay { until: None },
            "admit" => Event::Admit,
            "start" => Event::Start { lease },
            "ask" => Event::Ask,
            "pause" => Event::Pause,
            "rest" => Event::Rest,
            "resume" => Event::Resume,
            "cancel" => Event::Cancel,
            "ok" => Event::Finish {
                lease,
                outcome: Outcome::Succeeded,
            },
            "fail" => Event::Finish {
                lease,
                outcome: Outcome::Failed,
            },
            "abandon" => Event::Abandon,
            "requeue" => Event::Requeue,
            "rerun" => Event::Rerun,
            other => panic!("unknown event {other}"),
        };
        match state.apply(event) {
            Ok(next) => {
                state = next;
                trace.push_str(&format!("{word} -> {state}\n"));
            }
            Err(_) => trace.push_str(&format!("{word} refused\n")),
        }
    }
    expect.assert_eq(&trace);
}

#[test]
fn an_action_runs_to_its_end() {
    check(
        "delay admit start@1 ok@1",
        expect![[r#"
        delay -> delayed
        admit -> scheduled
        start@1 -> running
        ok@1 -> succeeded
    "#]],
    );
}

#[test]
fn a_stale_server_cannot_finish() {
    check(
        "admit start@1 requeue admit start@2 ok@1 ok@2 fail@2",
        expect![[r#"
        admit -> scheduled
        start@1 -> running
        requeue -> requested
        admit -> scheduled
        start@2 -> running
        ok@1 refused
        ok@2 -> succeeded
        fail@2 refused
    "#]],
    );
}

#[test]
fn cancel_wins_over_late_success() {
    check(
        "admit start@1 cancel ok@1 cancel",
        expect![[r#"
        admit -> scheduled
        start@1 -> running
        cancel -> canceling
        ok@1 -> canceled
        cancel refused
    "#]],
    );
}

#[test]
fn what_has_not_started_is_canceled_at_once() {
    check(
        "cancel",
        expect![[r#"
        cancel -> canceled
    "#]],
    );
}

#[test]
fn a_workflow_pauses_and_goes_on() {
    check(
        "admit start pause rest resume start ok",
        expect![[r#"
        admit -> scheduled
        start -> running
        pause -> pausing
        rest -> paused
        resume -> resuming
        start -> running
        ok -> succeeded
    "#]],
    );
}

#[test]
fn only_a_worker_can_be_lost() {
    check(
        "abandon admit start abandon cancel ok abandon",
        expect![[r#"
        abandon refused
        admit -> scheduled
        start -> running
        abandon refused
        cancel -> canceling
        ok -> canceled
        abandon refused
    "#]],
    );
}

#[test]
fn statuses_survive_text() {
    for status in Status::ALL {
        assert_eq!(status.as_str().parse::<Status>().unwrap(), *status);
    }
    assert!("done".parse::<Status>().is_err());
}
