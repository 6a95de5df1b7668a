//! `/configs` and `/config_schemas`: what packs are configured with.

use axum::extract::{Path, State as Extract};
use squall_auth::rbac::Resource;
use squall_engine::ConfigError;
use squall_model::DocumentKind;
use squall_value::{Str, Value, dict};

use crate::caller::Caller;
use crate::definitions::{document, documents};
use crate::endpoint::{CHOICE, Endpoint, PAGE, SHOW_SECRETS, Shape, get, put};
use crate::error::{Error, Result, chain};
use crate::params::{self, Params, Secrets};
use crate::reply::{Json, List, Sent};
use crate::{Api, State};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/configs", list)
            .summary("Lists the configurations of packs.")
            .any("pack_list")
            .query(CHOICE)
            .query(PAGE)
            .query(SHOW_SECRETS)
            .gives(Shape::Page("Config")),
        get("/configs/{pack}", one)
            .summary("Shows the configuration of a pack.")
            .object("pack_view")
            .query(SHOW_SECRETS)
            .gives(Shape::One("Config")),
        put("/configs/{pack}", write)
            .summary("Configures a pack; the body is the values themselves.")
            .object("pack_config")
            .query(SHOW_SECRETS)
            .json("ConfigValues")
            .gives(Shape::One("Config")),
        get("/config_schemas", schemas)
            .summary("Lists what packs can be configured with.")
            .any("pack_list")
            .query(CHOICE)
            .query(PAGE)
            .gives(Shape::Page("ConfigSchema")),
        get("/config_schemas/{pack}", schema)
            .summary("Shows what a pack can be configured with.")
            .object("pack_view")
            .gives(Shape::One("ConfigSchema")),
    ]
}

/// A configuration with its secrets masked, unless the caller asks for them.
fn shown(api: &Api, pack: &str, id: &str, with_secrets: bool) -> Value {
    let catalog = api.engine.catalog();
    let values = Value::from(api.engine.config_as_given(&catalog, pack));
    let values = match catalog.config_schema(pack) {
        Some(schema) if !with_secrets => schema.mask().apply(&values),
        _ => values,
    };
    dict! { "id" => id, "pack" => pack, "values" => values }
}

fn with_secrets(params: &Params, caller: &Caller) -> Result<bool> {
    Ok(params::secrets(params, caller)? == Secrets::Shown)
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let mut list = documents(&api, DocumentKind::Config, &params, &caller, Some(100), &[]).await?;
    let with_secrets = with_secrets(&params, &caller)?;
    for item in &mut list.items {
        let text = |name| item.get(name).and_then(Value::as_str).unwrap_or_default();
        *item = shown(&api, text("pack"), text("id"), with_secrets);
    }
    Ok(list)
}

async fn one(
    Extract(api): State,
    caller: Caller,
    Path(pack): Path<String>,
    params: Params,
) -> Result<Json> {
    let found = document(&api, DocumentKind::Config, &pack).await?;
    caller.may_with(&found)?;
    let id = found.id.to_string();
    let with_secrets = with_secrets(&params, &caller)?;
    Ok(Json(shown(&api, &found.key, &id, with_secrets)))
}

async fn write(
    Extract(api): State,
    caller: Caller,
    Path(pack): Path<String>,
    params: Params,
    sent: Sent,
) -> Result<Json> {
    caller.may(&Resource::pack(&pack))?;
    let values = sent.object()?;
    match api.engine.put_config(&pack, values).await {
        Ok(()) => {}
        Err(ConfigError::UnknownPack(pack)) => return Err(Error::unknown(&pack)),
        Err(ConfigError::Put(error)) => return Err(error.into()),
        Err(ConfigError::Invalid(error)) => {
            let reason = chain(&error);
            return Err(Error::bad(format!(
                "Failed validating the config of the pack \"{pack}\": {reason}"
            )));
        }
    }
    let found = document(&api, DocumentKind::Config, &pack).await?;
    let id = found.id.to_string();
    let with_secrets = with_secrets(&params, &caller)?;
    Ok(Json(shown(&api, &pack, &id, with_secrets)))
}

async fn schemas(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let kind = DocumentKind::ConfigSchema;
    documents(&api, kind, &params, &caller, Some(100), &[]).await
}

async fn schema(Extract(api): State, caller: Caller, Path(pack): Path<Str>) -> Result<Json> {
    let found = document(&api, DocumentKind::ConfigSchema, &pack).await?;
    caller.may_with(&found)?;
    Ok(Json(squall_wire::definition(&found)))
}
