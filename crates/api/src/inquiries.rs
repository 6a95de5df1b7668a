//! `/inquiries`: questions to people that workflows wait for.

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use squall_auth::rbac::{Permission, Resource};
use squall_engine::RespondError;
use squall_model::{Execution, ExecutionId, Status};
use squall_store::{ExecutionFilter, Visibility};
use squall_value::{Dict, Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{Endpoint, MEMBERS, PAGE, Shape, get, put};
use crate::error::{Error, Result};
use crate::params::{self, Params};
use crate::reply::{Json, List, Sent};
use crate::{Api, State};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/inquiries", list)
            .summary("Lists the questions that wait for an answer.")
            .any("inquiry_list")
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Inquiry")),
        get("/inquiries/{id}", one)
            .summary("Shows a question that waits for an answer.")
            .object("inquiry_view")
            .gives(Shape::One("Inquiry")),
        put("/inquiries/{id}", respond)
            .summary("Answers a question; what waited for it goes on.")
            .object("inquiry_respond")
            .json("InquiryResponse")
            .gives(Shape::One("InquiryAnswer")),
    ]
}

/// The runner type of inquiries.
const INQUIRER: &str = "inquirer";

fn shown(execution: &Execution, inquiry: &Dict) -> Value {
    let member = |name: &str| inquiry.get(name).cloned().unwrap_or_default();
    dict! {
        "id" => execution.id().to_string(),
        "route" => member("route"),
        "ttl" => member("ttl"),
        "users" => member("users"),
        "roles" => member("roles"),
        "schema" => member("schema"),
    }
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let (page, limit) = params::page(&params, &caller, Some(20))?;
    let members = params::members(&params)?;
    let filter = ExecutionFilter {
        runner: Some(Str::from(INQUIRER)),
        statuses: vec![Status::Pending],
        visibility: match caller.rights.sees_all(Permission::InquiryView) {
            true => Visibility::All,
            false => caller.rights.executions(),
        },
        ..ExecutionFilter::default()
    };
    let found = api.engine.store().executions(&filter, page).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for execution in &found.items {
        let inquiry = api.engine.inquiry(execution.id()).await?;
        items.push(members.of(shown(execution, &inquiry)));
    }
    Ok(List {
        items,
        total: found.total,
        limit,
    })
}

fn parse(id: &str) -> Result<ExecutionId> {
    let missing = |_| Error::missing(format!("Inquiry with id \"{id}\" not found."));
    id.parse().map_err(missing)
}

async fn find(api: &Api, id: &str) -> Result<(std::sync::Arc<Execution>, Dict)> {
    let parsed = parse(id)?;
    let found = api.engine.store().execution(parsed).await?;
    let missing = || Error::missing(format!("Inquiry with id \"{id}\" not found."));
    let execution = found.ok_or_else(missing)?;
    if &*execution.request.runner != INQUIRER {
        return Err(RespondError::NotAnInquiry(parsed).into());
    }
    let inquiry = api.engine.inquiry(parsed).await?;
    if execution.state().is_ended() || inquiry.get("response").is_some() {
        return Err(RespondError::Answered(parsed).into());
    }
    Ok((execution, inquiry))
}

/// The resource that a question is: it inherits from the workflow that asks it.
async fn resource(api: &Api, execution: &Execution) -> Result<Resource> {
    let request = &execution.request;
    let parent = match request.parent {
        Some(parent) => api.engine.store().execution(parent).await?,
        None => None,
    };
    let workflow = parent.as_ref().map(|parent| &parent.request.action);
    Ok(Resource::inquiry(
        &request.id.to_string(),
        workflow,
        &request.user,
    ))
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let (execution, inquiry) = find(&api, &id).await?;
    caller.may(&resource(&api, &execution).await?)?;
    Ok(Json(shown(&execution, &inquiry)))
}

async fn respond(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let mut sent = sent.object()?;
    let response = sent.remove("response").unwrap_or_else(Value::empty_dict);
    let parsed = parse(&id)?;
    if let Some(execution) = api.engine.store().execution(parsed).await? {
        caller.may(&resource(&api, &execution).await?)?;
    }
    let (user, roles) = (caller.user(), caller.roles());
    let shown = api.engine.respond(parsed, response, &user, roles).await?;
    Ok(Json(dict! { "id" => id, "response" => shown }))
}

impl From<RespondError> for Error {
    fn from(error: RespondError) -> Error {
        match &error {
            RespondError::Unknown(_) => Error::missing(error.to_string()),
            RespondError::NotAnInquiry(_)
            | RespondError::Answered(_)
            | RespondError::Invalid { .. } => Error::bad(error.to_string()),
            RespondError::Denied(_) => Error::new(StatusCode::FORBIDDEN, error.to_string()),
            RespondError::Store(_) => Error::internal(&error),
        }
    }
}
