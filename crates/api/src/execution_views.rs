//! How people look for executions: the values that filters can have, and the search of the web UI.

use std::sync::Arc;

use axum::extract::State as Extract;
use squall_auth::rbac::Permission;
use squall_model::{DocumentKind, Status};
use squall_runners::Registry;
use squall_store::{DocumentFilter, Page};
use squall_value::{Dict, Value};

use crate::caller::Caller;
use crate::endpoint::{Endpoint, Parameter, Shape, get};
use crate::error::{Error, Result};
use crate::params::{self, Params};
use crate::reply::Json;
use crate::{Api, State};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/executions/views/filters", filters)
            .summary("Lists the values that filters of executions can have.")
            .any("execution_views_filters_list")
            .query(&[Parameter::list("types", "Only these filters.")])
            .gives(Shape::One("ExecutionFilters")),
    ]
}

const FILTERS: [&str; 7] = [
    "action",
    "status",
    "rule",
    "runner",
    "trigger",
    "trigger_type",
    "user",
];

/// What is known now, not what ever was: that needs no look at each execution.
async fn filters(Extract(api): State, caller: Caller, params: Params) -> Result<Json> {
    let wanted = params::list(&params, "types");
    let mut found = Dict::new();
    for name in FILTERS {
        if wanted.as_ref().is_none_or(|wanted| wanted.contains(&name)) {
            let mut values = values(&api, &caller, name).await?;
            values.sort_unstable();
            values.dedup();
            found.insert(name, values.into_iter().map(Value::from).collect::<Value>());
        }
    }
    Ok(Json(Value::from(found)))
}

async fn values(api: &Arc<Api>, caller: &Caller, filter: &str) -> Result<Vec<String>> {
    let catalog = api.engine.catalog();
    let text = |body: &Value, path: &[&str]| {
        let text = body.get_path(path).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let of_rules = |path: &[&str]| {
        let rules = catalog.rules();
        rules
            .filter(|rule| caller.sees(rule))
            .filter_map(|rule| text(&rule.body, path))
            .collect::<Vec<_>>()
    };
    Ok(match filter {
        "action" => catalog
            .actions()
            .filter(|action| caller.sees(&action.document))
            .map(|action| action.reference.text().to_string())
            .collect(),
        "status" => Status::ALL
            .iter()
            .map(|status| status.as_str().to_owned())
            .collect(),
        "rule" => of_rules(&["ref"]),
        "trigger" => of_rules(&["trigger", "ref"]),
        "trigger_type" => of_rules(&["trigger", "type"]),
        "runner" => Registry::runner_types()
            .iter()
            .map(|kind| kind.name.clone())
            .collect(),
        _ => {
            let (filter, now) = (DocumentFilter::default(), api.engine.env().now());
            let store = api.engine.store();
            let users = store
                .documents(DocumentKind::User, &filter, Page::ALL, now)
                .await?;
            users
                .items
                .iter()
                // Who may not see everybody's executions need not know everybody.
                .filter(|user| {
                    user.key == caller.user() || caller.rights.sees_all(Permission::ExecutionView)
                })
                .map(|user| user.key.to_string())
                .collect()
        }
    })
}

/// The parameters with what `filter=status:failed user:ann` says beside them, which is how the web
/// UI's search box asks.
pub(crate) fn with_search(mut params: Params) -> Result<Params> {
    let Some(search) = params::text(&params, "filter").map(str::to_owned) else {
        return Ok(params);
    };
    for term in search.split_whitespace() {
        let (field, value) = term.split_once(':').ok_or_else(|| {
            Error::bad(format!(
                "Filter \"{term}\" must be a name and a value with a colon between them."
            ))
        })?;
        let name = match field {
            "status" | "action" | "rule" | "trigger" | "trigger_type" | "runner" | "user"
            | "parent" | "trigger_instance" | "id" => field,
            "action.ref" => "action",
            "rule.ref" | "rule.name" => "rule",
            "trigger.name" | "trigger.ref" => "trigger",
            "trigger_type.name" | "trigger_type.ref" => "trigger_type",
            "trigger_instance.id" => "trigger_instance",
            "runner.name" => "runner",
            "context.user" => "user",
            _ => {
                return Err(Error::bad(format!(
                    "Executions cannot be filtered by \"{field}\"."
                )));
            }
        };
        params.set(name, value);
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_filters() {
        let read = |query| with_search(Params::read(query).unwrap());
        let params = read("filter=status:failed+context.user:ann&limit=3").unwrap();
        for (name, value) in [("status", "failed"), ("user", "ann"), ("limit", "3")] {
            assert_eq!(params::text(&params, name), Some(value));
        }
        for (query, expect) in [
            ("filter=status", "Filter \"status\" must be"),
            ("filter=colour:red", "cannot be filtered by \"colour\""),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.text.contains(expect), "{}", error.text);
        }
    }
}
