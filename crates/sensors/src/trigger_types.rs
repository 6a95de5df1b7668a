//! The trigger types of pack `core`: StackStorm's, and those of the native sources.
//!
//! One table of JSON texts, because schemas are data: what a payload holds is said here and
//! nowhere else.

use std::sync::LazyLock;

use squall_value::{Value, json};

/// A trigger type, as the engine registers it.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerType {
    /// Its name in pack `core`, such as `st2.IntervalTimer`.
    pub name: &'static str,
    /// What its events mean.
    pub description: String,
    /// What a trigger of this type can be parametrised with: a JSON schema in StackStorm's style
    /// (`required: true` stands at the property). An empty dictionary when there are none.
    pub parameters_schema: Value,
    /// What its events carry: a schema in the same style.
    pub payload_schema: Value,
    /// Whether the engine itself makes the events, about executions, sensors and keys.
    pub is_internal: bool,
}

/// The pack that all of them belong to.
pub const PACK: &str = "core";

/// All trigger types of pack `core`.
#[must_use]
pub fn trigger_types() -> &'static [TriggerType] {
    &TYPES
}

/// The trigger type with the reference `core.<name>`.
#[must_use]
pub fn trigger_type(reference: &str) -> Option<&'static TriggerType> {
    let name = reference.strip_prefix(PACK)?.strip_prefix('.')?;
    trigger_types()
        .iter()
        .find(|trigger_type| trigger_type.name == name)
}

static TYPES: LazyLock<Vec<TriggerType>> = LazyLock::new(|| {
    INTERNAL
        .iter()
        .map(|entry| (entry, true))
        .chain(EXTERNAL.iter().chain(NATIVE).map(|entry| (entry, false)))
        .map(|(entry, is_internal)| {
            let schema = |text| json::read(text).expect("a test reads every schema of this table");
            TriggerType {
                name: entry.name,
                description: entry.description.to_owned(),
                parameters_schema: schema(entry.parameters),
                payload_schema: schema(entry.payload),
                is_internal,
            }
        })
        .collect()
});

struct Entry {
    name: &'static str,
    description: &'static str,
    parameters: &'static str,
    payload: &'static str,
}

const INTERNAL: &[Entry] = &[
    Entry {
        name: "st2.generic.actiontrigger",
        description: "An action execution has ended.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {
            "execution_id": {}, "status": {}, "start_timestamp": {}, "action_name": {},
            "action_ref": {}, "runner_ref": {}, "parameters": {}, "result": {}}}"#,
    },
    Entry {
        name: "st2.generic.notifytrigger",
        description: "A notification about an execution, for a route or channel.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {
            "execution_id": {}, "status": {}, "start_timestamp": {}, "end_timestamp": {},
            "action_ref": {}, "runner_ref": {}, "channel": {}, "route": {}, "message": {},
            "data": {}}}"#,
    },
    Entry {
        name: "st2.action.file_written",
        description: "The file of an action was written to disk.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {
            "ref": {}, "file_path": {}, "host_info": {}}}"#,
    },
    Entry {
        name: "st2.generic.inquiry",
        description: "An inquiry waits for a response.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {
            "id": {"type": "string", "required": true,
                "description": "ID of the new inquiry."},
            "route": {"type": "string", "required": true,
                "description": "A free word by which rules can find the right channel."}},
            "additionalProperties": false}"#,
    },
    Entry {
        name: "st2.sensor.process_spawn",
        description: "The process of a sensor was started.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {"object": {}}}"#,
    },
    Entry {
        name: "st2.sensor.process_exit",
        description: "The process of a sensor has ended.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {"object": {}}}"#,
    },
    Entry {
        name: "st2.key_value_pair.create",
        description: "A datastore item was created.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {"object": {}}}"#,
    },
    Entry {
        name: "st2.key_value_pair.update",
        description: "A datastore item was set.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {"object": {}}}"#,
    },
    Entry {
        name: "st2.key_value_pair.value_change",
        description: "The value of a datastore item has changed.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {"old_object": {}, "new_object": {}}}"#,
    },
    Entry {
        name: "st2.key_value_pair.delete",
        description: "A datastore item was deleted.",
        parameters: "{}",
        payload: r#"{"type": "object", "properties": {"object": {}}}"#,
    },
];

const TIMER_PAYLOAD: &str = r#"{"type": "object", "properties": {
    "executed_at": {"type": "string", "format": "date-time",
        "default": "2014-07-30 05:04:24.578325"},
    "schedule": {"type": "object", "default": {"delta": 30, "units": "seconds"}}}}"#;

const EXTERNAL: &[Entry] = &[
    Entry {
        name: "st2.webhook",
        description: "A request to a webhook, with any payload.",
        parameters: r#"{"type": "object",
            "properties": {"url": {"type": "string", "required": true}},
            "additionalProperties": false}"#,
        payload: r#"{"type": "object", "properties": {
            "headers": {"type": "object"},
            "body": {"anyOf": [{"type": "array"}, {"type": "object"}]}}}"#,
    },
    Entry {
        name: "st2.IntervalTimer",
        description: "Fires at a fixed interval, such as every 30 seconds or every week.",
        parameters: r#"{"type": "object", "properties": {
            "timezone": {"type": "string"},
            "unit": {"enum": ["weeks", "days", "hours", "minutes", "seconds"], "required": true},
            "delta": {"type": "integer", "required": true}},
            "additionalProperties": false}"#,
        payload: TIMER_PAYLOAD,
    },
    Entry {
        name: "st2.DateTimer",
        description: "Fires once at a given time, such as 2031-12-31 23:59:59 in timezone UTC.",
        parameters: r#"{"type": "object", "properties": {
            "timezone": {"type": "string"},
            "date": {"type": "string", "format": "date-time", "required": true}},
            "additionalProperties": false}"#,
        payload: TIMER_PAYLOAD,
    },
    Entry {
        name: "st2.CronTimer",
        description: "Fires whenever the time matches its fields, as a cron job does; day_of_week 0 is Monday.",
        parameters: r#"{"type": "object", "properties": {
            "timezone": {"type": "string"},
            "year": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "month": {"anyOf": [{"type": "string"}, {"type": "integer"}], "minimum": 1, "maximum": 12},
            "day": {"anyOf": [{"type": "string"}, {"type": "integer"}], "minimum": 1, "maximum": 31},
            "week": {"anyOf": [{"type": "string"}, {"type": "integer"}], "minimum": 1, "maximum": 53},
            "day_of_week": {"anyOf": [{"type": "string"}, {"type": "integer"}], "minimum": 0, "maximum": 6},
            "hour": {"anyOf": [{"type": "string"}, {"type": "integer"}], "minimum": 0, "maximum": 23},
            "minute": {"anyOf": [{"type": "string"}, {"type": "integer"}], "minimum": 0, "maximum": 59},
            "second": {"anyOf": [{"type": "string"}, {"type": "integer"}], "minimum": 0, "maximum": 59}},
            "additionalProperties": false}"#,
        payload: TIMER_PAYLOAD,
    },
];

const NATIVE: &[Entry] = &[
    Entry {
        name: "git.branch_moved",
        description: "The head of a branch of a watched repository is another commit than before, or the branch is new, or gone.",
        parameters: r#"{"type": "object", "properties": {
        "url": {"type": "string", "required": true,
            "description": "The repository: a URL (https, ssh, git, file), or the absolute path of a local one."},
        "repository": {"type": "string",
            "description": "The name of the repository in events; the URL when it is left out."},
        "branches": {"type": "array", "items": {"type": "string"},
            "description": "Branches to watch, with * and **; all of them when it is left out."},
        "contents": {"type": "array", "items": {"type": "string"},
            "description": "Files whose text before and after is part of events, with * and **."},
        "interval": {"type": "integer", "minimum": 1, "default": 60,
            "description": "Seconds between two looks."}},
        "additionalProperties": false}"#,
        payload: r#"{"type": "object", "properties": {
        "repository": {"type": "string", "required": true},
        "branch": {"type": "string", "required": true},
        "before": {"type": ["string", "null"],
            "description": "The commit at the head before; null when the branch is new."},
        "after": {"type": ["string", "null"],
            "description": "The commit at the head now; null when the branch is gone."},
        "forced": {"type": "boolean",
            "description": "Whether commits that the branch had are no longer part of it."},
        "commits": {"type": "array", "items": {"type": "object"},
            "description": "What is new, the newest first: id, author, email, message, timestamp."},
        "commits_truncated": {"type": "boolean"},
        "files": {"type": "array", "items": {"type": "object"},
            "description": "What changed: path, status (added, modified, removed, renamed), and old_path of what was renamed."},
        "files_truncated": {"type": "boolean"},
        "contents": {"type": "object",
            "description": "By path, the text before and after of the files that were asked for; null where there is none, or it is too long or no text."}},
        "additionalProperties": false}"#,
    },
    Entry {
        name: "etcd.key_changed",
        description: "A key in etcd was created, changed or deleted.",
        parameters: r#"{"type": "object", "properties": {
        "endpoint": {"type": "string", "required": true,
            "description": "The address of an etcd server, such as http://127.0.0.1:2379."},
        "prefix": {"type": "string", "required": true,
            "description": "Keys that begin so are watched."},
        "username": {"type": "string",
            "description": "The user to log in as, where etcd asks for one."},
        "password_key": {"type": "string",
            "description": "The name of the datastore item that holds the user's password."},
        "ca_file": {"type": "string",
            "description": "A file with the certificates to trust besides the system's, as PEM."}},
        "additionalProperties": false}"#,
        payload: r#"{"type": "object", "properties": {
        "key": {"type": "string", "required": true},
        "change": {"type": "string", "enum": ["created", "modified", "deleted"], "required": true},
        "value": {"type": ["string", "null"],
            "description": "The value now; null when the key is gone, or its value is no UTF-8."},
        "value_base64": {"type": "string", "description": "A value that is no UTF-8."},
        "revision": {"type": "integer", "description": "The revision of the whole store that did it."},
        "relisted": {"type": "boolean",
            "description": "Whether etcd had thrown away its history, so that this is what was found there now, and changes in between, and deletions, may be missing."}},
        "additionalProperties": false}"#,
    },
    Entry {
        name: "directory.changed",
        description: "A file in a watched directory of this server was created, changed or removed.",
        parameters: r#"{"type": "object", "properties": {
        "path": {"type": "string", "required": true,
            "description": "The absolute path of the directory."},
        "recursive": {"type": "boolean", "default": false,
            "description": "Whether the directories in it are watched too."},
        "files": {"type": "array", "items": {"type": "string"},
            "description": "Files to watch by their path in the directory, with * and **; all of them when it is left out."},
        "interval": {"type": "integer", "minimum": 1, "default": 10,
            "description": "Seconds between two looks; a change is mostly seen at once."}},
        "additionalProperties": false}"#,
        payload: r#"{"type": "object", "properties": {
        "directory": {"type": "string", "required": true},
        "path": {"type": "string", "required": true, "description": "The file, in the directory."},
        "change": {"type": "string", "enum": ["created", "modified", "removed"], "required": true},
        "bytes": {"type": ["integer", "null"], "description": "Its size; null when it is gone."},
        "modified": {"type": ["string", "null"],
            "description": "When it was last written, in UTC; null when it is gone."}},
        "additionalProperties": false}"#,
    },
    Entry {
        name: "file.line",
        description: "A line was added to a file of this server.",
        parameters: r#"{"type": "object", "properties": {
        "path": {"type": "string", "required": true,
            "description": "The absolute path of the file. It may come later, and be rotated."},
        "interval": {"type": "integer", "minimum": 1, "default": 10,
            "description": "Seconds between two looks; a line is mostly seen at once."}},
        "additionalProperties": false}"#,
        payload: r#"{"type": "object", "properties": {
        "file_path": {"type": "string", "required": true},
        "file_name": {"type": "string", "required": true},
        "line": {"type": "string", "required": true, "description": "Without its end."},
        "truncated": {"type": "boolean", "description": "Whether the line was longer than 64 KiB."}},
        "additionalProperties": false}"#,
    },
    Entry {
        name: "report.run",
        description: "A configuration tool (Ansible, Puppet, Terraform) has reported a run.",
        parameters: r#"{"type": "object", "properties": {
        "tool": {"type": "string", "enum": ["ansible", "puppet", "terraform"]}},
        "additionalProperties": false}"#,
        payload: r#"{"type": "object", "properties": {
        "tool": {"type": "string", "required": true},
        "status": {"type": "string", "enum": ["changed", "unchanged", "failed"], "required": true},
        "changed": {"type": "integer"},
        "failed": {"type": "integer"},
        "total": {"type": "integer"},
        "hosts": {"type": "object", "description": "By name, each with its counts."},
        "failures": {"type": "array", "items": {"type": "object"},
            "description": "At most 200: host, name, message."}}}"#,
    },
];

#[cfg(test)]
mod tests {
    use super::trigger_types;

    #[test]
    fn every_schema_is_an_object() {
        for trigger_type in trigger_types() {
            assert!(
                trigger_type.parameters_schema.as_dict().is_some(),
                "{}",
                trigger_type.name
            );
            assert_eq!(
                trigger_type
                    .payload_schema
                    .get("type")
                    .and_then(|kind| kind.as_str()),
                Some("object"),
                "{}",
                trigger_type.name
            );
        }
    }
}
