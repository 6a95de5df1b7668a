//! `/policies` and `/policytypes`.

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_auth::rbac::{Permission, Resource, ResourceType};
use squall_model::DocumentKind;
use squall_value::{Value, dict};

use crate::caller::Caller;
use crate::definitions::{document, documents};
use crate::endpoint::{
    CHOICE, Endpoint, MEMBERS, PACK, PAGE, Parameter, Shape, delete, get, post, put,
};
use crate::error::{Error, Result};
use crate::listing::{BY_PACK, listing};
use crate::params::Params;
use crate::reply::{Json, List, Sent};
use crate::{State, changes, view};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/policies", list)
            .summary("Lists policies.")
            .any("policy_list")
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Policy")),
        post("/policies", create)
            .summary("Makes a policy and puts it in force.")
            .object("policy_create")
            .json("PolicyRequest")
            .gives(Shape::One("Policy")),
        get("/policies/{id}", one)
            .summary("Shows a policy, by reference or id.")
            .object("policy_view")
            .gives(Shape::One("Policy")),
        put("/policies/{id}", update)
            .summary("Replaces a policy.")
            .object("policy_modify")
            .json("PolicyRequest")
            .gives(Shape::One("Policy")),
        delete("/policies/{id}", remove)
            .summary("Removes a policy.")
            .object("policy_delete"),
        get("/policytypes", types)
            .summary("Lists the types of policies.")
            .any("policy_type_list")
            .query(&[Parameter::text(
                "resource_type",
                "Those for this kind of resource.",
            )])
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("PolicyType")),
        get("/policytypes/{id}", one_type)
            .summary("Shows a type of policies, by reference or id.")
            .object("policy_type_view")
            .gives(Shape::One("PolicyType")),
    ]
}

const KIND: DocumentKind = DocumentKind::Policy;

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    documents(&api, KIND, &params, &caller, Some(100), &[BY_PACK]).await
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = document(&api, KIND, &id).await?;
    caller.may_with(&found)?;
    Ok(Json(squall_wire::definition(&found)))
}

async fn create(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    let document = changes::make(&api, &caller, KIND, &sent.object()?).await?;
    let shown = Json(squall_wire::definition(&document));
    Ok((StatusCode::CREATED, shown).into_response())
}

async fn update(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let known = document(&api, KIND, &id).await?;
    let document = changes::replace(&api, &caller, KIND, &known, &sent.object()?).await?;
    Ok(Json(squall_wire::definition(&document)))
}

async fn remove(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    let known = document(&api, KIND, &id).await?;
    changes::remove(&api, &caller, &known).await
}

/// What the policy types are, with the parameters that each takes.
fn all_types() -> Vec<Value> {
    let action = dict! {
        "type" => "string",
        "description" => "What happens to an execution that is one too many.",
        "enum" => Value::from(vec![Value::from("delay"), Value::from("cancel")]),
        "default" => "delay",
    };
    let threshold = dict! {
        "type" => "integer",
        "description" => "How many executions of the action may run at the same time.",
        "required" => true,
        "minimum" => 1,
    };
    let attributes = dict! {
        "type" => "array",
        "description" => "Parameters that divide the executions into groups with a limit each.",
        "required" => true,
        "items" => dict! { "type" => "string" },
    };
    let ends = ["failure", "timeout"];
    vec![
        policy_type(
            "concurrency",
            "Limits how many executions of an action run at the same time.",
            dict! { "action" => action.clone(), "threshold" => threshold.clone() },
        ),
        policy_type(
            "concurrency.attr",
            "Limits how many executions of an action with the same parameters run at the same time.",
            dict! { "action" => action, "threshold" => threshold, "attributes" => attributes },
        ),
        policy_type(
            "retry",
            "Runs an action again that failed or timed out.",
            dict! {
                "retry_on" => dict! {
                    "type" => "string",
                    "description" => "The end that is not accepted.",
                    "required" => true,
                    "enum" => ends.into_iter().map(Value::from).collect::<Value>(),
                },
                "max_retry_count" => dict! {
                    "type" => "integer",
                    "description" => "How often it is tried again at most.",
                    "required" => true,
                    "minimum" => 1,
                    "maximum" => 5,
                    "default" => 2,
                },
                "delay" => dict! {
                    "type" => "number",
                    "description" => "Seconds to wait before each attempt.",
                    "required" => false,
                    "minimum" => 0,
                    "maximum" => 120,
                },
            },
        ),
    ]
}

fn policy_type(name: &str, description: &str, parameters: Value) -> Value {
    let reference = format!("action.{name}");
    dict! {
        "name" => name,
        "description" => description,
        "uid" => format!("policy_type:action:{name}"),
        "ref" => reference.as_str(),
        "resource_type" => "action",
        "enabled" => true,
        "module" => format!("st2actions.policies.{}", name.split('.').next().unwrap_or(name)),
        "parameters" => parameters,
        "id" => view::stable_id(&format!("policy_type:{reference}")),
    }
}

async fn types(caller: Caller, params: Params) -> Result<List> {
    let filters = [("resource_type", &["resource_type"][..])];
    listing(all_types(), &params, &caller, Some(100), &filters)
}

async fn one_type(caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let is_meant = |kind: &Value| {
        let text = |name| kind.get(name).and_then(Value::as_str);
        text("ref") == Some(&*id) || text("id") == Some(&*id)
    };
    let found = all_types().into_iter().find(is_meant);
    let found = found.ok_or_else(|| Error::unknown_reference(&id))?;
    // Who may list them all may see each.
    if !caller.rights.has(Permission::PolicyTypeList) {
        let name = found.get("ref").and_then(Value::as_str).unwrap_or_default();
        let name = name.replacen('.', ":", 1);
        caller.may(&Resource::named(ResourceType::PolicyType, &name))?;
    }
    caller.was_asked();
    Ok(Json(found))
}
