//! `/rules`.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_engine::Eyes;
use squall_model::{Document, DocumentKind};
use squall_rules::{CompiledRule, Decision, Explanation, Surroundings};
use squall_store::{DocumentFilter, Page};
use squall_value::{Dict, Value, dict};

use crate::aside::aside;
use crate::caller::Caller;
use crate::definitions::document;
use crate::endpoint::{
    CHOICE, Endpoint, MEMBERS, PACK, PAGE, Parameter, SHOW_SECRETS, Shape, delete, get, post, put,
};
use crate::error::{Error, Result};
use crate::listing::{BY_PACK, Filter, listing};
use crate::params::{self, Params, Secrets};
use crate::reply::{Json, List, Sent};
use crate::{Api, State, changes, view};

/// By what rules are chosen.
const FILTERS: &[Filter] = &[
    BY_PACK,
    ("action", &["action", "ref"]),
    ("trigger", &["trigger", "ref"]),
    ("enabled", &["enabled"]),
];

const FILTER_PARAMETERS: &[Parameter] = &[
    Parameter::text("action", "Those that run this action."),
    Parameter::text("trigger", "Those that wait for this trigger."),
    Parameter::flag("enabled", "Those that are switched on, or off."),
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/rules", list)
            .summary("Lists rules.")
            .any("rule_list")
            .query(FILTER_PARAMETERS)
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .query(SHOW_SECRETS)
            .gives(Shape::Page("Rule")),
        post("/rules", create)
            .summary("Makes a rule and puts it in force.")
            .object("rule_create")
            .json("RuleRequest")
            .gives(Shape::One("Rule")),
        get("/rules/{id}", one)
            .summary("Shows a rule, by reference or id.")
            .object("rule_view")
            .query(SHOW_SECRETS)
            .gives(Shape::One("Rule")),
        put("/rules/{id}", update)
            .summary("Replaces a rule.")
            .object("rule_modify")
            .json("RuleRequest")
            .gives(Shape::One("Rule")),
        delete("/rules/{id}", remove)
            .summary("Removes a rule.")
            .object("rule_delete"),
        get("/rules/views", views)
            .summary("Lists rules with the descriptions of their triggers and actions.")
            .any("rule_list")
            .query(FILTER_PARAMETERS)
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Rule")),
        get("/rules/views/{id}", view)
            .summary("Shows a rule with the descriptions of its trigger and action.")
            .object("rule_view")
            .gives(Shape::One("Rule")),
        post("/rules/{id}/test", test)
            .summary("Tries an event against a rule and tells what was compared; changes nothing.")
            .object("rule_view")
            .json("RuleTest")
            .status(200)
            .gives(Shape::One("RuleExplanation")),
    ]
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let secrets = params::secrets(&params, &caller)?;
    let rules = seen(&api, &caller).await?;
    let items = rules.iter().map(|rule| shown(&api, rule, secrets));
    listing(items.collect(), &params, &caller, None, FILTERS)
}

/// The rules that a caller may see.
async fn seen(api: &Api, caller: &Caller) -> Result<Vec<Arc<Document>>> {
    let (store, now) = (api.engine.store(), api.engine.env().now());
    let (kind, filter) = (DocumentKind::Rule, DocumentFilter::default());
    let found = store.documents(kind, &filter, Page::ALL, now).await?;
    let seen = found.items.into_iter().filter(|rule| caller.sees(rule));
    Ok(seen.collect())
}

/// A rule as it is shown.
fn shown(api: &Api, rule: &Document, secrets: Secrets) -> Value {
    squall_wire::definition(&view::rule(api, rule, secrets))
}

/// A rule beside what its trigger and its action say of themselves.
fn with_descriptions(api: &Api, rule: &Document) -> Value {
    let catalog = api.engine.catalog();
    let text = |path: &[&str]| rule.body.get_path(path).and_then(Value::as_str);
    let trigger = text(&["trigger", "type"]).and_then(|kind| catalog.trigger_type(kind));
    let action = text(&["action", "ref"]).and_then(|action| catalog.action(action));
    squall_wire::rule_view(
        &view::rule(api, rule, Secrets::Masked),
        trigger.map(|kind| &*kind.document),
        action.map(|action| &*action.document),
    )
}

async fn views(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let rules = seen(&api, &caller).await?;
    let items = rules.iter().map(|rule| with_descriptions(&api, rule));
    listing(items.collect(), &params, &caller, None, FILTERS)
}

async fn view(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let rule = find(&api, &id).await?;
    caller.may_with(&rule)?;
    Ok(Json(with_descriptions(&api, &rule)))
}

async fn find(api: &Api, id: &str) -> Result<Arc<Document>> {
    document(api, DocumentKind::Rule, id).await
}

async fn one(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json> {
    let rule = find(&api, &id).await?;
    caller.may_with(&rule)?;
    Ok(Json(shown(&api, &rule, params::secrets(&params, &caller)?)))
}

async fn create(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    let mut body = sent.object()?;
    if body.get("enabled").is_none() {
        // The API's default differs from that of files.
        body.insert("enabled", true);
    }
    check_trigger(&api, &body)?;
    let document = changes::make(&api, &caller, DocumentKind::Rule, &body).await?;
    Ok((
        StatusCode::CREATED,
        Json(shown(&api, &document, Secrets::Masked)),
    )
        .into_response())
}

async fn update(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let known = find(&api, &id).await?;
    caller.may_with(&known)?;
    let body = sent.object()?;
    check_trigger(&api, &body)?;
    let document = changes::replace(&api, &caller, DocumentKind::Rule, &known, &body).await?;
    Ok(Json(shown(&api, &document, Secrets::Masked)))
}

/// The trigger that a rule waits for must be one that can fire.
fn check_trigger(api: &Api, body: &Dict) -> Result<()> {
    let catalog = api.engine.catalog();
    let trigger = body.get("trigger");
    let member = |name: &str| trigger.and_then(|trigger| trigger.get(name));
    let kind = member("type").and_then(Value::as_str).unwrap_or_default();
    let Some(found) = catalog.trigger_type(kind) else {
        return Err(Error::bad(format!(
            "Trigger \"{kind}\" defined in the rule does not exist in system or it's missing \
             required \"parameters\" attribute"
        )));
    };
    let parameters = member("parameters")
        .filter(|parameters| !parameters.is_null())
        .cloned()
        .unwrap_or_else(Value::empty_dict);
    match found
        .parameters
        .as_ref()
        .map(|schema| schema.validate(&parameters))
    {
        Some(Err(invalid)) => Err(Error::bad(invalid.to_string())),
        _ => Ok(()),
    }
}

async fn remove(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    changes::remove(&api, &caller, &*find(&api, &id).await?).await
}

/// Tries an event against a rule and tells, for each criterion, what was compared. Changes nothing.
async fn test(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let rule = find(&api, &id).await?;
    caller.may_with(&rule)?;
    let body = sent.object()?;
    let payload = body
        .get("payload")
        .cloned()
        .unwrap_or_else(Value::empty_dict);
    let criteria = rule
        .body
        .get("criteria")
        .cloned()
        .unwrap_or_else(Value::empty_dict);
    let user = caller.user();
    let explained = aside(move || {
        // The answer shows what patterns read.
        let eyes = api.engine.eyes(&user);
        let surroundings = Surroundings {
            expressions: api.engine.expressions(),
            host: Eyes::or_all(eyes.as_ref(), api.engine.datastore()),
        };
        let compiled = CompiledRule::compile(&criteria);
        explained(&compiled.explain(&payload, &surroundings))
    });
    Ok(Json(explained.await?))
}

fn explained(explanation: &Explanation) -> Value {
    let criteria = explanation.criteria.iter().map(|report| {
        let (outcome, reason) = match &report.decision {
            Decision::Match => ("match", None),
            Decision::NoMatch => ("no match", None),
            Decision::Failed(failure) => ("failed", Some(failure.error.to_string())),
        };
        dict! {
            "key" => report.key.clone(),
            "operator" => report.operator.clone(),
            "value" => report.value.clone(),
            "pattern" => report.pattern.clone(),
            "outcome" => outcome,
            "reason" => reason,
            "text" => report.to_string(),
        }
    });
    dict! {
        "matches" => explanation.is_match,
        "criteria" => criteria.collect::<Value>(),
        "text" => explanation.to_string(),
    }
}
