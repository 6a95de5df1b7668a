//! `/rules`.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_engine::Change;
use squall_model::{Document, DocumentKind};
use squall_rules::{CompiledRule, Decision, Explanation, Surroundings};
use squall_value::{Dict, Str, Value, dict};

use crate::caller::Caller;
use crate::definitions::{document, documents};
use crate::endpoint::{
    CHOICE, Endpoint, MEMBERS, PACK, PAGE, Parameter, SHOW_SECRETS, Shape, delete, get, post, put,
};
use crate::error::{Error, Result};
use crate::listing::{BY_PACK, Filter};
use crate::params::Params;
use crate::reply::{Json, List, Sent};
use crate::{Api, State};

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
        post("/rules/{id}/test", test)
            .summary("Tries an event against a rule and tells what was compared; changes nothing.")
            .object("rule_view")
            .json("RuleTest")
            .status(200)
            .gives(Shape::One("RuleExplanation")),
    ]
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    documents(&api, DocumentKind::Rule, &params, &caller, None, FILTERS).await
}

async fn find(api: &Api, id: &str) -> Result<Arc<Document>> {
    document(api, DocumentKind::Rule, id).await
}

async fn one(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    Ok(Json(squall_wire::definition(&*find(&api, &id).await?)))
}

async fn create(Extract(api): State, _: Caller, sent: Sent) -> Result<Response> {
    let document = write(&api, sent.object()?, None).await?;
    Ok((
        StatusCode::CREATED,
        Json(squall_wire::definition(&document)),
    )
        .into_response())
}

async fn update(
    Extract(api): State,
    _: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let known = find(&api, &id).await?;
    let document = write(&api, sent.object()?, Some(&known)).await?;
    Ok(Json(squall_wire::definition(&document)))
}

/// Checks a rule as registration does, and puts it in force.
async fn write(api: &Api, mut body: Dict, known: Option<&Document>) -> Result<Arc<Document>> {
    let before = known.and_then(|known| known.pack.clone());
    let pack = body
        .get("pack")
        .and_then(Value::as_str)
        .map(Str::from)
        .or(before);
    let pack = pack.unwrap_or_else(|| Str::from("default"));
    if body.get("enabled").is_none() && known.is_none() {
        // The API's default differs from that of files.
        body.insert("enabled", true);
    }
    let text = Value::from(body).to_json();
    let definition = squall_packs::load_one(DocumentKind::Rule, &pack, &text, &api.engine.known());
    let definition = definition.map_err(|findings| {
        let texts = findings
            .iter()
            .map(|finding| finding.diagnostic.message.as_str());
        Error::bad(texts.collect::<Vec<_>>().join("; "))
    })?;
    check_trigger(api, &definition.body)?;
    let mut changes = Vec::new();
    if let Some(known) = known.filter(|known| known.key != definition.key) {
        changes.push(Change::Delete {
            kind: DocumentKind::Rule,
            key: known.key.clone(),
        });
    }
    changes.push(Change::Put {
        kind: DocumentKind::Rule,
        key: definition.key,
        pack: Some(pack),
        body: definition.body,
        expires: None,
        new: known.is_none(),
    });
    let put = api.engine.change(changes).await?;
    put.into_iter()
        .next_back()
        .ok_or_else(|| Error::bad("nothing was changed"))
}

/// The trigger that a rule waits for must be one that can fire.
fn check_trigger(api: &Api, body: &Value) -> Result<()> {
    let catalog = api.engine.catalog();
    let kind = body
        .get_path(&["trigger", "type"])
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(found) = catalog.trigger_type(kind) else {
        return Err(Error::bad(format!(
            "Trigger \"{kind}\" defined in the rule does not exist in system or it's missing \
             required \"parameters\" attribute"
        )));
    };
    let parameters = body
        .get_path(&["trigger", "parameters"])
        .cloned()
        .unwrap_or_default();
    match found
        .parameters
        .as_ref()
        .map(|schema| schema.validate(&parameters))
    {
        Some(Err(invalid)) => Err(Error::bad(invalid.to_string())),
        _ => Ok(()),
    }
}

async fn remove(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    let known = find(&api, &id).await?;
    let change = Change::Delete {
        kind: DocumentKind::Rule,
        key: known.key.clone(),
    };
    api.engine.change(vec![change]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tries an event against a rule and tells, for each criterion, what was compared. Changes nothing.
async fn test(Extract(api): State, _: Caller, Path(id): Path<String>, sent: Sent) -> Result<Json> {
    let rule = find(&api, &id).await?;
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
    let compiled = CompiledRule::compile(&criteria);
    let surroundings = Surroundings {
        expressions: api.engine.expressions(),
        host: api.engine.datastore(),
    };
    Ok(Json(explained(&compiled.explain(&payload, &surroundings))))
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
