//! `announcement`: what everybody is told who follows the event stream.
//!
//! The record of the execution *is* the announcement: whoever shows the stream reads it there
//! ([`announced`]). So it is as durable as any execution, and a client that was cut off finds it.

use async_trait::async_trait;
use squall_value::{Dict, Value};

use crate::mask::Masker;
use crate::port::{CancelSignal, Job, Outcome, OutputSink, Runner};
use crate::registry;

/// The name of the runner type of announcements.
pub const ANNOUNCEMENT: &str = "announcement";

/// Where a result keeps whom the announcement is for. No parameter of an action can take its place:
/// `route` is the runner's own.
const ROUTE: &str = "route";

/// The route and the payload of the announcement with this result; `None` for a result that is
/// none.
#[must_use]
pub fn announced(result: &Value) -> Option<(&str, &Value)> {
    Some((result.get(ROUTE)?.as_str()?, result.get("output")?))
}

/// Announces the parameters of its action.
pub(crate) struct Announcement;

fn outcome(job: &Job) -> Outcome {
    let parameter = |name: &str| job.runner_parameters.get(name);
    if !parameter("experimental").is_some_and(Value::is_truthy) {
        return Outcome::failed(format!(
            "Experimental flag is missing for action {}",
            job.action
        ));
    }
    let payload = Value::Dict(job.action_parameters.clone());
    let mut result = Dict::clone(&job.action_parameters);
    result.insert("output", payload);
    result.insert(ROUTE, parameter(ROUTE).cloned().unwrap_or_default());
    let result = Masker::new(&job.secrets).value(&Value::from(result));
    Outcome::ended(squall_model::Outcome::Succeeded, result)
}

#[async_trait]
impl Runner for Announcement {
    fn name(&self) -> &str {
        ANNOUNCEMENT
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    fn is_effect_free(&self) -> bool {
        true
    }

    fn evaluate(&self, job: &Job) -> Option<Outcome> {
        Some(outcome(job))
    }

    async fn run(&self, job: Job, _output: OutputSink, _cancel: CancelSignal) -> Outcome {
        outcome(&job)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use squall_value::{Str, dict};

    use super::*;

    fn job(experimental: bool) -> Job {
        let dict = |value: Value| Arc::new(value.as_dict().cloned().unwrap_or_default());
        Job {
            action: "chatops.post_message".to_owned(),
            runner_parameters: dict(dict! { "experimental" => experimental, "route" => "chatops" }),
            action_parameters: dict(dict! { "message" => "the key is abracadabra" }),
            secrets: vec![Str::from("abracadabra")],
            ..Job::default()
        }
    }

    #[test]
    fn the_parameters_are_announced_without_secrets() {
        let ended = outcome(&job(true));
        let expect = dict! { "message" => "the key is ********" };
        assert_eq!(announced(&ended.result), Some(("chatops", &expect)));
        assert_eq!(ended.result.get("message"), expect.get("message"));
    }

    #[test]
    fn without_the_flag_nothing_is_announced() {
        let ended = outcome(&job(false));
        let error = "Experimental flag is missing for action chatops.post_message";
        assert_eq!(ended.result, dict! { "error" => error });
        assert_eq!(announced(&ended.result), None);
    }
}
