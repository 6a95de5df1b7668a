//! `/packs/views`: the files of packs.

use std::path::Path as FilePath;
use std::time::SystemTime;

use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use squall_model::{Document, DocumentKind};
use squall_value::{Value, dict};

use crate::caller::Caller;
use crate::definitions::document;
use crate::endpoint::{Endpoint, Shape, get};
use crate::error::{Error, Result};
use crate::reply::Json;
use crate::{State, files};

/// The largest file that is given, in bytes; StackStorm's limit.
const FILE_BYTES_MAX: u64 = 500 * 1000;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/packs/views/files/{id}", all)
            .summary("Gives the text files of a pack.")
            .object("pack_view")
            .gives(Shape::Many("PackFile")),
        get("/packs/views/file/{id}/{*path}", one)
            .summary("Gives a file of a pack.")
            .object("pack_view")
            .gives(Shape::Text("*/*"))
            .also(304, Shape::Empty),
    ]
}

/// The files that belong to a pack, as they were when it was registered.
fn listed(pack: &Document) -> impl Iterator<Item = &str> {
    let files = pack.body.get("files").and_then(Value::as_list);
    files.unwrap_or_default().iter().filter_map(Value::as_str)
}

async fn all(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let pack = document(&api, DocumentKind::Pack, &id).await?;
    caller.may_with(&pack)?;
    let mut found = Vec::new();
    for path in listed(&pack) {
        let place = files::place(&api, &pack.key, path)?;
        // A file that is gone, too large or no text is left out, as StackStorm does.
        if let Ok(bytes) = read(&place).await
            && let Ok(content) = String::from_utf8(bytes)
            && !content.contains('\0')
        {
            found.push(dict! { "file_path" => path, "content" => content });
        }
    }
    Ok(Json(Value::from(found)))
}

async fn read(place: &FilePath) -> std::io::Result<Vec<u8>> {
    let size = tokio::fs::metadata(place).await?.len();
    if size > FILE_BYTES_MAX {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    tokio::fs::read(place).await
}

async fn one(
    Extract(api): State,
    caller: Caller,
    Path((id, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let pack = document(&api, DocumentKind::Pack, &id).await?;
    caller.may_with(&pack)?;
    let missing = || Error::missing(format!("File \"{path}\" not found"));
    // Only what belongs to the pack: no way leads out of it, and nothing that came later is given.
    if !listed(&pack).any(|file| file == path) {
        return Err(missing());
    }
    let place = files::place(&api, &pack.key, &path)?;
    let modified = modified(&place).await;
    let bytes = match read(&place).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            return Err(Error::bad(format!(
                "File \"{path}\" exceeds maximum allowed file size ({FILE_BYTES_MAX} bytes)"
            )));
        }
        Err(_) => return Err(missing()),
    };
    let tag = tag(&bytes);
    let mut response = if is_known(&headers, &tag, modified.as_deref()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media_type(&path))], bytes).into_response()
    };
    let told = [
        (header::ETAG, Some(tag)),
        (header::LAST_MODIFIED, modified),
        // A pack's page or image must not act as the server's own.
        (header::CONTENT_SECURITY_POLICY, Some("sandbox".to_owned())),
        (header::X_CONTENT_TYPE_OPTIONS, Some("nosniff".to_owned())),
    ];
    for (name, value) in told {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// A strong validator (RFC 9110, section 8.8.3).
fn tag(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let digits: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{digits}\"")
}

async fn modified(place: &FilePath) -> Option<String> {
    let modified: SystemTime = tokio::fs::metadata(place).await.ok()?.modified().ok()?;
    let modified = jiff::Timestamp::try_from(modified).ok()?;
    Some(modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// Whether the client has this very file already (RFC 9110, section 13.1).
fn is_known(headers: &HeaderMap, tag: &str, modified: Option<&str>) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match text(header::IF_NONE_MATCH) {
        Some(known) => known.split(',').any(|known| known.trim() == tag),
        None => modified.is_some() && text(header::IF_MODIFIED_SINCE) == modified,
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("py") => "text/x-python",
        Some("md") => "text/markdown",
        Some("txt" | "cfg" | "ini" | "conf" | "example") => "text/plain",
        Some("yaml" | "yml") => "application/x-yaml",
        Some("json") => "application/json",
        Some("html") => "text/html",
        Some("sh") => "application/x-sh",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
