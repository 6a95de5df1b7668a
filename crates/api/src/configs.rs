//! `/configs` and `/config_schemas`: what packs are configured with.

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use squall_engine::ConfigError;
use squall_model::DocumentKind;
use squall_value::{Str, Value, dict};

use crate::caller::Caller;
use crate::definitions::{document, documents};
use crate::error::{Error, Result, chain};
use crate::params::{self, Params};
use crate::reply::{Json, List, object};
use crate::{Api, State};

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

fn with_secrets(params: &Params) -> bool {
    params::text(params, "show_secrets").is_some_and(|text| matches!(text, "true" | "True" | "1"))
}

pub(crate) async fn list(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    let mut list = documents(&api, DocumentKind::Config, &params, Some(100)).await?;
    let with_secrets = with_secrets(&params);
    for item in &mut list.items {
        let text = |name| item.get(name).and_then(Value::as_str).unwrap_or_default();
        *item = shown(&api, text("pack"), text("id"), with_secrets);
    }
    Ok(list)
}

pub(crate) async fn one(
    Extract(api): State,
    _: Caller,
    Path(pack): Path<String>,
    params: Params,
) -> Result<Json> {
    let found = document(&api, DocumentKind::Config, &pack).await?;
    let id = found.id.to_string();
    Ok(Json(shown(&api, &found.key, &id, with_secrets(&params))))
}

pub(crate) async fn put(
    Extract(api): State,
    _: Caller,
    Path(pack): Path<String>,
    params: Params,
    bytes: Bytes,
) -> Result<Json> {
    let values = object(&bytes)?;
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
    Ok(Json(shown(&api, &pack, &id, with_secrets(&params))))
}

pub(crate) async fn schemas(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    documents(&api, DocumentKind::ConfigSchema, &params, Some(100)).await
}

pub(crate) async fn schema(Extract(api): State, _: Caller, Path(pack): Path<Str>) -> Result<Json> {
    let found = document(&api, DocumentKind::ConfigSchema, &pack).await?;
    Ok(Json(squall_wire::definition(&found)))
}
