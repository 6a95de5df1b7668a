//! Cases of kind `status-tables`: status changes, all statuses by all events.

use std::collections::BTreeMap;

use squall_value::Value;
use squall_workflow::Status;
use squall_workflow::machine::{
    Command, Items, Load, Others, Rest, TaskChange, task_on_action, task_on_command, task_on_item,
    task_on_request, workflow_on_request, workflow_on_task,
};
use squall_workflow::status::ALL;

/// Looks one cell of a table up: what is recorded for a status, an event and a qualifier.
fn cell(table: &Value, from: Status, event: &str, qualifier: &str) -> String {
    let row = match table.get(from.as_str()) {
        Some(Value::String(text)) => return text.to_string(),
        Some(row) => row,
        None => return String::new(),
    };
    match row.get(event) {
        Some(Value::String(text)) => text.to_string(),
        Some(qualified) => qualified
            .get(qualifier)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        None => String::new(),
    }
}

/// `""` for no change, as in the tables.
fn change(from: Status, to: Option<Status>) -> String {
    match to {
        Some(to) if to != from => to.to_string(),
        _ => String::new(),
    }
}

struct Check<'a> {
    differences: &'a BTreeMap<String, String>,
    failures: Vec<String>,
}

impl Check<'_> {
    fn compare(&mut self, place: &str, from: Status, expected: &str, got: &str) {
        // A status that stays is written down in some tables and left out in others.
        let expected = if expected == from.as_str() {
            ""
        } else {
            expected
        };
        let refused = expected.starts_with('!') || expected.contains("raises");
        let same = if refused { got == "!" } else { expected == got };
        let table = place.split(' ').next().unwrap_or_default();
        let is_listed = self.differences.keys().any(|name| {
            name.strip_prefix("status-tables: ")
                .is_some_and(|listed| place.starts_with(listed) && listed.starts_with(table))
        });
        if !same && !is_listed {
            self.failures
                .push(format!("{place}: expected `{expected}`, got `{got}`"));
        }
    }
}

/// What differs.
pub(crate) fn run(case: &Value, differences: &BTreeMap<String, String>) -> Vec<String> {
    let mut check = Check {
        differences,
        failures: Vec::new(),
    };
    let table = |name: &str| case.get(name).cloned().unwrap_or_default();
    task_tables(
        &mut check,
        &table("task_on_action_event"),
        &table("task_on_item_event"),
    );
    request_tables(
        &mut check,
        &table("task_on_workflow_request"),
        &table("workflow_on_request"),
    );
    progress_table(&mut check, &table("workflow_on_task_event"));
    check.failures
}

fn task_tables(check: &mut Check<'_>, on_action: &Value, on_item: &Value) {
    let others = [
        ("active", Others::Active),
        ("paused", Others::Paused),
        ("canceled", Others::Canceled),
        ("failed", Others::Failed),
        ("incomplete", Others::Incomplete),
        ("completed", Others::Completed),
    ];
    for from in ALL {
        for event in ALL.into_iter().filter(|event| *event != Status::Unset) {
            let got =
                task_on_action(from, event).map_or_else(|_| "!".to_owned(), |to| change(from, to));
            let place = format!("task_on_action_event {from} {event}");
            let expected = cell(on_action, from, event.as_str(), "");
            check.compare(&place, from, &expected, &got);
            for (qualifier, others) in others {
                let got = task_on_item(from, event, others)
                    .map_or_else(|_| "!".to_owned(), |to| change(from, to));
                let place = format!("task_on_item_event {from} {event} {qualifier}");
                let expected = cell(on_item, from, event.as_str(), qualifier);
                check.compare(&place, from, &expected, &got);
            }
        }
        for name in ["noop", "continue", "fail", "retry"] {
            let command = Command::parse(name).expect("these are all commands");
            let got = task_on_command(from, command)
                .map_or_else(|_| "!".to_owned(), |to| change(from, to));
            let place = format!("task_on_action_event {from} command:{name}");
            let expected = cell(on_action, from, &format!("command:{name}"), "");
            check.compare(&place, from, &expected, &got);
        }
    }
}

fn request_tables(check: &mut Check<'_>, on_task: &Value, on_workflow: &Value) {
    let items = [
        ("no items", None),
        ("items active", Some(Items::Active)),
        ("items dormant incomplete", Some(Items::Incomplete)),
        ("items all completed", Some(Items::Completed)),
    ];
    let loads = [
        ("active", (true, false, false)),
        ("dormant", (false, false, false)),
        ("dormant, ready task staged", (false, true, false)),
        ("dormant, task paused", (false, false, true)),
    ];
    for from in ALL {
        for (qualifier, items) in items {
            for request in ["pausing", "paused", "canceling", "canceled"] {
                let status = Status::parse(request).expect("these are all statuses");
                let got = task_on_request(from, status, items)
                    .map_or_else(|_| "!".to_owned(), |to| change(from, to));
                let place = format!("task_on_workflow_request {from} {request} {qualifier}");
                let expected = cell(on_task, from, request, qualifier);
                check.compare(&place, from, &expected, &got);
            }
        }
        for (qualifier, (is_active, has_ready, has_paused)) in loads {
            for request in ALL.into_iter().filter(|request| *request != Status::Unset) {
                let load = Load {
                    is_active,
                    has_ready,
                    has_paused,
                };
                let expected = cell(on_workflow, from, request.as_str(), qualifier);
                if expected == "!InvalidEvent" || expected == "not a workflow status" {
                    // No such request; the conductor refuses it before the table is asked.
                    continue;
                }
                let got = change(from, workflow_on_request(from, request, load));
                let place = format!("workflow_on_request {from} {request} {qualifier}");
                check.compare(&place, from, &expected, &got);
            }
        }
    }
}

fn progress_table(check: &mut Check<'_>, table: &Value) {
    let rests = [
        ("", Rest::Completed),
        (", some paused", Rest::Paused),
        (", some canceled", Rest::Canceled),
        (", more to do", Rest::Incomplete),
        (", own next", Rest::Incomplete),
    ];
    for from in ALL {
        for status in ALL.into_iter().filter(|status| *status != Status::Unset) {
            for (activity, is_active) in [("active", true), ("dormant", false)] {
                for (suffix, rest) in rests {
                    let own_next = suffix == ", own next";
                    if own_next && is_active {
                        continue;
                    }
                    let got = workflow_on_task(
                        from,
                        TaskChange {
                            status,
                            is_remediated: own_next && status.is_abended(),
                            is_active,
                            rest,
                        },
                    );
                    let qualifier = format!("{activity}{suffix}");
                    let mut expected = cell(table, from, status.as_str(), &qualifier);
                    if expected == "not a workflow status" {
                        continue;
                    }
                    let unremediated = cell(table, from, status.as_str(), "not remediated");
                    if !unremediated.is_empty() && !own_next {
                        expected = unremediated;
                    }
                    let place = format!("workflow_on_task_event {from} {status} {qualifier}");
                    let got = got.map_or_else(|_| "!".to_owned(), |to| change(from, to));
                    check.compare(&place, from, &expected, &got);
                }
            }
        }
    }
}
