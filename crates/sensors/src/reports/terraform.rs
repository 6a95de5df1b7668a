//! Terraform: the lines of its machine-readable output, or a notification of Terraform Cloud.

use squall_value::{Dict, Value, dict, json};

use super::{Error, Summary, count, read, text};

pub(super) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    if let Ok(notification) = read(bytes)
        && notification.get("notifications").is_some()
    {
        return cloud(&notification);
    }
    lines(bytes)
}

fn lines(bytes: &[u8]) -> Result<Value, Error> {
    let not = |reason| Error::NotAReport {
        tool: "Terraform",
        reason,
    };
    let mut summary = Summary::default();
    let mut more = Dict::new();
    let (mut has_version, mut has_error) = (false, false);
    for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        // A wrapper may print lines of its own between Terraform's.
        let Ok(message) = json::read_bytes(line) else {
            continue;
        };
        let resource = message.get("hook").and_then(|hook| hook.get("resource"));
        let address = resource.and_then(|resource| text(resource, "addr"));
        match text(&message, "type") {
            Some("version") => {
                has_version = true;
                more.insert("version", message.get("terraform").cloned());
            }
            Some("change_summary") => {
                let changes = message.get("changes").cloned().unwrap_or_default();
                let parts = ["add", "change", "remove", "import"].map(|key| count(&changes, key));
                summary.changed = parts.iter().sum();
                more.insert("operation", changes.get("operation").cloned());
                more.insert("changes", changes);
            }
            Some("apply_complete") => summary.total += 1,
            Some("apply_errored") => {
                summary.total += 1;
                summary.failed += 1;
            }
            Some("diagnostic") => {
                let diagnostic = message.get("diagnostic").unwrap_or(&message);
                if text(diagnostic, "severity") == Some("error") {
                    has_error = true;
                    let address = text(diagnostic, "address").or(address);
                    summary.failure(None, address, text(diagnostic, "summary"));
                }
            }
            _ => {}
        }
    }
    if !has_version {
        return Err(not("no line has the type `version`"));
    }
    Ok(summary.into_value("terraform", has_error, more))
}

/// A notification names the run and its state, and counts nothing.
fn cloud(notification: &Value) -> Result<Value, Error> {
    let not = |reason| Error::NotAReport {
        tool: "Terraform",
        reason,
    };
    let latest = notification
        .get("notifications")
        .and_then(Value::as_list)
        .and_then(<[Value]>::last)
        .ok_or(not("its `notifications` are empty"))?;
    let status = text(latest, "run_status").unwrap_or_default();
    let failed = matches!(status, "errored" | "policy_soft_failed");
    let mut summary = Summary::default();
    if failed {
        summary.failed = 1;
        summary.failure(
            None,
            text(notification, "workspace_name"),
            text(latest, "message"),
        );
    }
    summary.changed = i64::from(status == "applied");
    summary.total = 1;
    let keys = [
        "run_id",
        "run_url",
        "run_message",
        "workspace_name",
        "organization_name",
    ];
    let mut more: Dict = keys
        .into_iter()
        .map(|key| (key, notification.get(key).cloned().unwrap_or_default()))
        .collect();
    more.insert("run_status", status);
    more.insert("trigger", text(latest, "trigger"));
    more.insert(
        "notification",
        dict! { "message" => text(latest, "message") },
    );
    Ok(summary.into_value("terraform", failed, more))
}
