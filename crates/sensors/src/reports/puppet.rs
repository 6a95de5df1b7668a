//! A Puppet report, formats 4 and later.

use squall_value::{Dict, Value, dict};

use super::{Error, Summary, count, read, text};

pub(super) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    // Puppet's own `http` report processor sends YAML with tags of Ruby classes.
    let report = if bytes.trim_ascii_start().starts_with(b"{") {
        read(bytes)?
    } else {
        read_yaml(bytes)?
    };
    let not = |reason| Error::NotAReport {
        tool: "Puppet",
        reason,
    };
    let host = text(&report, "host").or_else(|| text(&report, "certname"));
    let host = host.ok_or(not("it has no `host`"))?;
    let status = text(&report, "status").ok_or(not("it has no `status`"))?;
    let mut summary = Summary::default();
    match report.get("resource_statuses") {
        Some(Value::Dict(resources)) => {
            for resource in resources.values() {
                add_resource(resource, host, &mut summary);
            }
        }
        _ => return Err(not("it has no `resource_statuses`")),
    }
    summary.hosts.insert(
        host,
        dict! {
            "changed" => summary.changed,
            "failed" => summary.failed,
            "total" => summary.total,
        },
    );
    let mut more = Dict::new();
    for key in [
        "environment",
        "configuration_version",
        "transaction_uuid",
        "time",
        "noop",
    ] {
        more.insert(key, report.get(key).cloned());
    }
    Ok(summary.into_value("puppet", status == "failed", more))
}

fn read_yaml(bytes: &[u8]) -> Result<Value, Error> {
    let options = squall_yaml::Options {
        unknown_tags: squall_yaml::UnknownTags::Ignore,
        ..squall_yaml::Options::default()
    };
    let report = squall_yaml::load_bytes(bytes, &options);
    let report = report.map_err(|error| Error::Syntax(error.to_string()))?;
    Ok(report.root.to_value())
}

fn add_resource(resource: &Value, host: &str, summary: &mut Summary) {
    let is = |key: &str| resource.get(key).is_some_and(Value::is_truthy);
    summary.total += 1;
    summary.changed += i64::from(is("changed") || count(resource, "change_count") > 0);
    if !is("failed") && !is("failed_to_restart") {
        return;
    }
    summary.failed += 1;
    let events = resource
        .get("events")
        .and_then(Value::as_list)
        .unwrap_or_default();
    let message = events
        .iter()
        .find(|event| text(event, "status") == Some("failure"))
        .and_then(|event| text(event, "message"));
    summary.failure(Some(host), text(resource, "resource"), message);
}
