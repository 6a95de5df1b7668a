//! Typed views of what the server sends.

use squall_value::Value;

/// Gives a record its constructor and its whole value.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            value: Value,
        }

        impl $name {
            /// A view of what the server sent.
            #[must_use]
            pub fn new(value: Value) -> $name {
                $name { value }
            }

            /// All that the server sent.
            #[must_use]
            pub fn value(&self) -> &Value {
                &self.value
            }

            fn text(&self, path: &[&str]) -> &str {
                self.value
                    .get_path(path)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            }
        }
    };
}

record! {
    /// An execution. Texts that the server left out are empty.
    Execution
}

/// A change of an execution's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// When, as the server writes it.
    pub timestamp: &'a str,
    /// To what.
    pub status: &'a str,
}

/// Where in a workflow an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskPlace<'a> {
    /// The task's name.
    pub name: &'a str,
    /// Which of its items it is, from 0, if it goes over items.
    pub item: Option<i64>,
}

impl Execution {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text(&["id"])
    }

    /// Its action.
    #[must_use]
    pub fn action(&self) -> &str {
        self.text(&["action", "ref"])
    }

    /// Its runner.
    #[must_use]
    pub fn runner(&self) -> &str {
        self.text(&["runner", "name"])
    }

    /// Its status in StackStorm's words.
    #[must_use]
    pub fn status(&self) -> &str {
        self.text(&["status"])
    }

    /// Whether its status will not change any more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(
            self.status(),
            "succeeded" | "failed" | "timeout" | "abandoned" | "canceled"
        )
    }

    /// Whether it does nothing until somebody intervenes.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.status(), "paused" | "pending")
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_succeeded(&self) -> bool {
        self.status() == "succeeded"
    }

    /// Whether it may have executions below it.
    #[must_use]
    pub fn is_workflow(&self) -> bool {
        matches!(self.runner(), "orquesta" | "action-chain")
            || self.value.get_path(&["liveaction", "action_is_workflow"])
                == Some(&Value::Bool(true))
    }

    /// Who asked for it.
    #[must_use]
    pub fn user(&self) -> &str {
        self.text(&["context", "user"])
    }

    /// The execution above it; empty at the top.
    #[must_use]
    pub fn parent(&self) -> &str {
        self.text(&["parent"])
    }

    /// The task of the workflow above that it carries out.
    #[must_use]
    pub fn task(&self) -> Option<TaskPlace<'_>> {
        let place = self.value.get_path(&["context", "orquesta"]);
        if let Some(place) = place {
            let name = place.get("task_name").and_then(Value::as_str)?;
            let item = place.get("item_id").and_then(Value::as_int);
            return Some(TaskPlace { name, item });
        }
        let name = self.value.get_path(&["context", "chain", "name"])?;
        Some(TaskPlace {
            name: name.as_str()?,
            item: None,
        })
    }

    /// When it was asked for, as the server writes times.
    #[must_use]
    pub fn started(&self) -> &str {
        self.text(&["start_timestamp"])
    }

    /// When it ended; empty before.
    #[must_use]
    pub fn ended(&self) -> &str {
        self.text(&["end_timestamp"])
    }

    /// What it was asked to do it with.
    #[must_use]
    pub fn parameters(&self) -> Option<&Value> {
        self.value.get("parameters")
    }

    /// What it gave.
    #[must_use]
    pub fn result(&self) -> Option<&Value> {
        self.value.get("result")
    }

    /// Its changes of status.
    pub fn log(&self) -> impl Iterator<Item = LogEntry<'_>> {
        let entries = self.value.get("log").and_then(Value::as_list);
        entries.unwrap_or_default().iter().map(|entry| {
            let text = |name| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            LogEntry {
                timestamp: text("timestamp"),
                status: text("status"),
            }
        })
    }
}

record! {
    /// A piece of an execution's output.
    Output
}

impl Output {
    /// The execution that printed it.
    #[must_use]
    pub fn execution(&self) -> &str {
        self.text(&["execution_id"])
    }

    /// `stdout` or `stderr`.
    #[must_use]
    pub fn stream(&self) -> &str {
        self.text(&["output_type"])
    }

    /// The text.
    #[must_use]
    pub fn data(&self) -> &str {
        self.text(&["data"])
    }
}

record! {
    /// What trying an event against a rule gave.
    RuleTest
}

/// What one criterion made of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct CriterionReport {
    /// The path that it looks at.
    pub key: String,
    /// How it compares.
    pub operator: String,
    /// What was found in the event.
    pub value: Value,
    /// What it was compared with.
    pub pattern: Value,
    /// `match`, `no match` or `failed`.
    pub outcome: String,
    /// Why it failed.
    pub reason: Option<String>,
}

impl RuleTest {
    /// Whether the rule would run its action.
    #[must_use]
    pub fn is_match(&self) -> bool {
        self.value.get("matches") == Some(&Value::Bool(true))
    }

    /// The server's explanation in words.
    #[must_use]
    pub fn explanation(&self) -> &str {
        self.text(&["text"])
    }

    /// Every criterion, in the rule's order.
    #[must_use]
    pub fn criteria(&self) -> Vec<CriterionReport> {
        let reports = self.value.get("criteria").and_then(Value::as_list);
        let report = |report: &Value| {
            let text = |name| {
                let text = report.get(name).and_then(Value::as_str);
                text.map(str::to_owned)
            };
            CriterionReport {
                key: text("key").unwrap_or_default(),
                operator: text("operator").unwrap_or_default(),
                value: report.get("value").cloned().unwrap_or_default(),
                pattern: report.get("pattern").cloned().unwrap_or_default(),
                outcome: text("outcome").unwrap_or_default(),
                reason: text("reason"),
            }
        };
        reports.unwrap_or_default().iter().map(report).collect()
    }
}

record! {
    /// A token that was issued. Its `Debug` shows the token: do not log it.
    Token
}

impl Token {
    /// The token itself.
    #[must_use]
    pub fn token(&self) -> &str {
        self.text(&["token"])
    }

    /// For whom it was issued.
    #[must_use]
    pub fn user(&self) -> &str {
        self.text(&["user"])
    }

    /// When it expires, as the server writes times.
    #[must_use]
    pub fn expiry(&self) -> &str {
        self.text(&["expiry"])
    }
}

#[cfg(test)]
mod tests {
    use squall_value::json;

    use super::*;

    #[track_caller]
    fn execution(text: &str) -> Execution {
        Execution::new(json::read(text).unwrap())
    }

    #[test]
    fn an_execution_tells_its_place_in_a_workflow() {
        let item = execution(
            r#"{"id": "1", "status": "failed", "parent": "0",
                "context": {"user": "bob", "orquesta": {"task_name": "deploy", "item_id": 3}}}"#,
        );
        let place = TaskPlace {
            name: "deploy",
            item: Some(3),
        };
        assert_eq!(item.task(), Some(place));
        assert!(item.is_ended() && !item.is_succeeded());
        let link = execution(r#"{"context": {"chain": {"name": "c1"}}}"#);
        assert_eq!(link.task().map(|place| place.name), Some("c1"));
        assert_eq!(execution("{}").task(), None);
    }

    #[test]
    fn what_is_missing_is_empty() {
        let bare = execution("[]");
        assert_eq!((bare.id(), bare.status(), bare.log().count()), ("", "", 0));
        assert!(!bare.is_ended());
    }
}
