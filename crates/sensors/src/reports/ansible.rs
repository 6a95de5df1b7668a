//! Ansible's `json` stdout callback: `plays`, each with `tasks`, each with `hosts`; and `stats`.

use squall_value::{Dict, Value, dict};

use super::{Error, Summary, count, text};

pub(super) fn parse(report: &Value) -> Result<Value, Error> {
    let not = |reason| Error::NotAReport {
        tool: "Ansible",
        reason,
    };
    let stats = report
        .get("stats")
        .and_then(Value::as_dict)
        .ok_or(not("it has no `stats`"))?;
    let plays = report
        .get("plays")
        .and_then(Value::as_list)
        .ok_or(not("it has no `plays`"))?;
    let mut summary = Summary::default();
    for (host, counts) in stats.iter() {
        let failed = count(counts, "failures") + count(counts, "unreachable");
        let changed = count(counts, "changed");
        // `ok` counts what changed, too.
        let total = count(counts, "ok") + count(counts, "skipped") + failed;
        summary.changed += changed;
        summary.failed += failed;
        summary.total += total;
        let unreachable = count(counts, "unreachable") > 0;
        summary.hosts.insert(
            host.clone(),
            dict! {
                "changed" => changed,
                "failed" => failed,
                "total" => total,
                "unreachable" => unreachable,
            },
        );
    }
    let mut names = Vec::new();
    for play in plays {
        names.push(Value::from(
            play.get("play").and_then(|play| text(play, "name")),
        ));
        for task in play
            .get("tasks")
            .and_then(Value::as_list)
            .unwrap_or_default()
        {
            task_failures(task, &mut summary);
        }
    }
    let more = Dict::from_iter([("plays", Value::from(names))]);
    Ok(summary.into_value("ansible", false, more))
}

fn task_failures(task: &Value, summary: &mut Summary) {
    let name = task.get("task").and_then(|task| text(task, "name"));
    let Some(hosts) = task.get("hosts").and_then(Value::as_dict) else {
        return;
    };
    for (host, result) in hosts.iter() {
        let is = |key: &str| result.get(key).is_some_and(Value::is_truthy);
        // Absent in older versions, where what was ignored can't be told from what was not.
        let ignored = is("ignore_errors") || is("_ansible_ignore_errors");
        if (is("failed") || is("unreachable")) && !ignored {
            let message = text(result, "msg").or_else(|| text(result, "stderr"));
            summary.failure(Some(host), name, message);
        }
    }
}
