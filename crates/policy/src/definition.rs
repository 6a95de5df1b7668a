//! Policies as packs write them.

use std::time::Duration;

use squall_model::{ActionRef, ParseRefError, Status};
use squall_value::{Str, Value};

use crate::Retry;

/// A policy that holds for one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its reference, `pack.name`.
    pub reference: Str,
    /// The action it holds for.
    pub action: ActionRef,
    /// Whether it is in force.
    pub enabled: bool,
    /// What it says.
    pub kind: PolicyKind,
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyKind {
    /// Only so many at a time.
    Concurrency(Concurrency),
    /// Try again.
    Retry(Retry),
}

/// A limit on how many executions of an action run at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// How many.
    pub threshold: usize,
    /// What happens to one too many.
    pub excess: Excess,
    /// The parameters that divide executions into groups with a limit each; none is one group.
    pub attributes: Vec<Str>,
}

/// What happens to an execution that is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It waits for its turn.
    Delay,
    /// It is canceled.
    Cancel,
}

/// Why a policy's text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// A member is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has the wrong kind of value.
    #[error("`{member}` must be {expected}, not {got}")]
    Invalid {
        /// The member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// No such policy type.
    #[error(
        "policy type `{0}` is unknown: use `action.concurrency`, `action.concurrency.attr` or `action.retry`"
    )]
    UnknownType(String),
    /// The action is not written as a reference.
    #[error("`resource_ref` does not name an action")]
    Resource(#[from] ParseRefError),
}

impl Policy {
    /// Its limit, if it is one on how many run at a time.
    #[must_use]
    pub fn limit(&self) -> Option<&Concurrency> {
        match &self.kind {
            PolicyKind::Concurrency(limit) => Some(limit),
            PolicyKind::Retry(_) => None,
        }
    }

    /// The policy that a metadata dictionary describes.
    ///
    /// # Errors
    ///
    /// [`DefinitionError`] for the first member that is absent or wrong.
    pub fn from_metadata(reference: &str, body: &Value) -> Result<Policy, DefinitionError> {
        let text = |member: &'static str| match body.get(member) {
            None | Some(Value::Null) => Err(DefinitionError::Missing(member)),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(invalid(member, "text", other)),
        };
        let kind = text("policy_type")?;
        let empty = Value::empty_dict();
        let parameters = body.get("parameters").unwrap_or(&empty);
        let kind = match &*kind {
            "action.concurrency" => PolicyKind::Concurrency(concurrency(parameters, false)?),
            "action.concurrency.attr" => PolicyKind::Concurrency(concurrency(parameters, true)?),
            "action.retry" => PolicyKind::Retry(retry(parameters)?),
            other => {
                return Err(DefinitionError::UnknownType(
                    other.chars().take(100).collect(),
                ));
            }
        };
        Ok(Policy {
            reference: Str::from(reference),
            action: ActionRef::parse(&text("resource_ref")?)?,
            enabled: body.get("enabled").and_then(Value::as_bool).unwrap_or(true),
            kind,
        })
    }
}

fn invalid(member: &'static str, expected: &'static str, got: &Value) -> DefinitionError {
    let got = squall_value::python::repr(got).chars().take(100).collect();
    DefinitionError::Invalid {
        member,
        expected,
        got,
    }
}

fn concurrency(parameters: &Value, grouped: bool) -> Result<Concurrency, DefinitionError> {
    let excess = match parameters
        .get("action")
        .map(|action| (action, action.as_str()))
    {
        None | Some((_, Some("delay"))) => Excess::Delay,
        Some((_, Some("cancel"))) => Excess::Cancel,
        Some((other, _)) => {
            return Err(invalid("parameters.action", "`delay` or `cancel`", other));
        }
    };
    let threshold = parameters
        .get("threshold")
        .ok_or(DefinitionError::Missing("parameters.threshold"))?;
    let threshold = whole(threshold, "parameters.threshold")?;
    if threshold == 0 {
        return Err(invalid(
            "parameters.threshold",
            "at least 1",
            &Value::Int(0),
        ));
    }
    let attributes = match parameters.get("attributes") {
        Some(Value::List(names)) if grouped => names
            .iter()
            .map(|name| match name {
                Value::String(name) => Ok(name.clone()),
                other => Err(invalid("parameters.attributes", "a list of texts", other)),
            })
            .collect::<Result<_, _>>()?,
        Some(other) if grouped => {
            return Err(invalid("parameters.attributes", "a list of texts", other));
        }
        None if grouped => return Err(DefinitionError::Missing("parameters.attributes")),
        _ => Vec::new(),
    };
    Ok(Concurrency {
        threshold: usize::try_from(threshold).unwrap_or(usize::MAX),
        excess,
        attributes,
    })
}

fn retry(parameters: &Value) -> Result<Retry, DefinitionError> {
    let status = |value: &Value| match value.as_str().map(str::parse) {
        Some(Ok(status @ (Status::Failed | Status::Timeout))) => Ok(status),
        _ => Err(invalid(
            "parameters.retry_on",
            "`failure` or `timeout`",
            value,
        )),
    };
    let on = match parameters
        .get("retry_on")
        .ok_or(DefinitionError::Missing("parameters.retry_on"))?
    {
        value if value.as_str() == Some("failure") => vec![Status::Failed],
        Value::List(values) => values.iter().map(status).collect::<Result<_, _>>()?,
        value => vec![status(value)?],
    };
    let count = parameters
        .get("max_retry_count")
        .ok_or(DefinitionError::Missing("parameters.max_retry_count"))?;
    let count_max = u32::try_from(whole(count, "parameters.max_retry_count")?).unwrap_or(u32::MAX);
    let delay = match parameters.get("delay") {
        None | Some(Value::Null) => Duration::ZERO,
        Some(value) => match value.as_number().map(Duration::try_from_secs_f64) {
            Some(Ok(delay)) => delay,
            _ => return Err(invalid("parameters.delay", "a number of seconds", value)),
        },
    };
    Ok(Retry {
        on,
        count_max,
        delay,
    })
}

fn whole(value: &Value, member: &'static str) -> Result<u64, DefinitionError> {
    value
        .as_int()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| invalid(member, "a whole number, 0 or more", value))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(json: &str, expect: Expect) {
        let body = squall_value::json::read(json).unwrap();
        let got = match Policy::from_metadata("p.n", &body) {
            Ok(policy) => format!("{} {:?}", policy.action, policy.kind),
            Err(error) => format!("error: {error}"),
        };
        expect.assert_eq(&got);
    }

    #[test]
    fn policies_of_packs_are_understood() {
        check(
            r#"{"resource_ref":"p.a","policy_type":"action.concurrency","parameters":{"action":"delay","threshold":2}}"#,
            expect!["p.a Concurrency(Concurrency { threshold: 2, excess: Delay, attributes: [] })"],
        );
        check(
            r#"{"resource_ref":"p.a","policy_type":"action.concurrency.attr","parameters":{"action":"cancel","threshold":1,"attributes":["host"]}}"#,
            expect![[
                r#"p.a Concurrency(Concurrency { threshold: 1, excess: Cancel, attributes: ["host"] })"#
            ]],
        );
        check(
            r#"{"resource_ref":"core.http","policy_type":"action.retry","parameters":{"retry_on":"timeout","max_retry_count":2,"delay":2}}"#,
            expect!["core.http Retry(Retry { on: [Timeout], count_max: 2, delay: 2s })"],
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        check(
            r#"{"resource_ref":"p.a"}"#,
            expect!["error: `policy_type` is missing"],
        );
        check(
            r#"{"resource_ref":"p.a","policy_type":"action.magic"}"#,
            expect![
                "error: policy type `action.magic` is unknown: use `action.concurrency`, `action.concurrency.attr` or `action.retry`"
            ],
        );
        check(
            r#"{"resource_ref":"p.a","policy_type":"action.concurrency","parameters":{"threshold":0}}"#,
            expect!["error: `parameters.threshold` must be at least 1, not 0"],
        );
        check(
            r#"{"resource_ref":"pa","policy_type":"action.concurrency","parameters":{"threshold":1}}"#,
            expect!["error: `resource_ref` does not name an action"],
        );
        check(
            r#"{"resource_ref":"p.a","policy_type":"action.retry","parameters":{"retry_on":"never","max_retry_count":1}}"#,
            expect!["error: `parameters.retry_on` must be `failure` or `timeout`, not 'never'"],
        );
    }
}
