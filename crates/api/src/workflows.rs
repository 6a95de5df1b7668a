//! `/workflows`.

use axum::body::Bytes;
use axum::extract::{Request, State as Extract};

use crate::State;
use crate::aside::aside;
use crate::caller::Caller;
use crate::endpoint::{Endpoint, Shape, post};
use crate::error::{Error, Result};
use crate::reply::{self, Json};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/workflows/inspect", inspect)
            .summary("Tells what is wrong in the text of a workflow; nothing gives an empty list.")
            .text_body()
            .status(200)
            .gives(Shape::Many("WorkflowFinding")),
    ]
}

async fn inspect(Extract(api): State, _: Caller, request: Request) -> Result<Json> {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = reply::read(body, &api).await?;
    match &*reply::media_type(&parts.headers) {
        "text/plain" | "application/x-yaml" | "application/yaml" | "text/yaml" | "" => {}
        other => return Err(reply::unsupported(other)),
    }
    let text = String::from_utf8(bytes.to_vec()).map_err(|error| {
        let error = error.utf8_error();
        Error::bad(format!("The workflow is not UTF-8: {error}."))
    })?;
    let found = aside(move || api.engine.inspect_workflow(&text)).await?;
    Ok(Json(found))
}
