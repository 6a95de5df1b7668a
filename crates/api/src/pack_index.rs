//! `/packs/index`: the packs that can be installed by name.
//!
//! Where the index is, the configuration of the pack `packs` says: files or URLs of JSON,
//! `{"packs": {"csv": {"name": "csv", "repo_url": "...", ...}}}`. Nothing is looked up without it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use squall_value::{Dict, Str, Value, dict, json};

use crate::caller::Caller;
use crate::endpoint::{Endpoint, Shape, get, post};
use crate::error::{Error, Result, chain};
use crate::reply::{Json, Sent};
use crate::{Api, State};

/// A larger index is refused. That of StackStorm's packs has less than a megabyte.
const BYTES_MAX: usize = 32 << 20;

/// How long a server of an index may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The members of a pack in which words are looked for.
const SEARCHED: [&str; 4] = ["name", "ref", "description", "keywords"];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/packs/index", index)
            .summary("Shows the index of packs that can be installed by name.")
            .any("pack_list")
            .gives(Shape::One("PackIndex")),
        get("/packs/index/health", health)
            .summary("Says which sources of the index can be read.")
            .any("pack_views_index_health")
            .gives(Shape::One("PackIndexHealth")),
        post("/packs/index/search", search)
            .summary("Looks for packs in the index: all with a text (`query`), or one (`pack`).")
            .any("pack_search")
            .json("PackSearch")
            .status(200)
            .gives(Shape::One("PackIndexEntries")),
    ]
}

/// What one source of the index gave.
struct Source {
    url: String,
    packs: std::result::Result<Arc<Dict>, Failure>,
}

/// Why a source gave nothing: in StackStorm's word, and in full.
struct Failure {
    kind: &'static str,
    text: String,
}

impl Source {
    fn status(&self) -> Value {
        let (message, error, count) = match &self.packs {
            Ok(packs) => ("Success.".to_owned(), None, packs.len()),
            Err(failure) => (failure.text.clone(), Some(failure.kind), 0),
        };
        dict! {
            "url" => self.url.as_str(),
            "message" => message,
            "error" => error,
            "packs" => count,
        }
    }
}

/// The sources that are configured.
fn places(api: &Api) -> Vec<String> {
    let config = api.engine.config_as_given(&api.engine.catalog(), "packs");
    let named = match config.get("index") {
        Some(Value::String(text)) => text.split(',').map(str::to_owned).collect(),
        Some(Value::List(texts)) => {
            let texts = texts.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let named = named.iter().map(|place| place.trim().to_owned());
    named.filter(|place| !place.is_empty()).collect()
}

async fn read_all(api: &Api) -> Result<Vec<Source>> {
    let places = places(api);
    if places.is_empty() {
        return Err(Error::bad(
            "no index is set to look packs up in: set `index` in the configuration of the pack \
             `packs`, a file or a URL",
        ));
    }
    let mut sources = Vec::new();
    for url in places {
        let packs = read(&url).await;
        sources.push(Source { url, packs });
    }
    Ok(sources)
}

async fn read(place: &str) -> std::result::Result<Arc<Dict>, Failure> {
    let unreachable = |text| Failure {
        kind: "unresponsive",
        text,
    };
    let bytes = if place.starts_with("http://") || place.starts_with("https://") {
        download(place).await.map_err(unreachable)?
    } else {
        let path = place.strip_prefix("file://").unwrap_or(place);
        let read = tokio::fs::read(path).await;
        read.map_err(|error| unreachable(format!("{path} cannot be read: {error}")))?
    };
    let malformed = |text| Failure {
        kind: "malformed",
        text,
    };
    let index = json::read_bytes(&bytes).map_err(|error| malformed(format!("no JSON: {error}")))?;
    match index.get("packs").unwrap_or(&index) {
        Value::Dict(packs) => Ok(Arc::clone(packs)),
        other => {
            let kind = other.kind();
            Err(malformed(format!("`packs` is {kind}, not an object")))
        }
    }
}

async fn download(url: &str) -> std::result::Result<Vec<u8>, String> {
    // Fails only when a provider was installed before, and that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let told = |error: reqwest::Error| chain(&error);
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let answer = client.map_err(told)?.get(url).send().await.map_err(told)?;
    let mut answer = answer.error_for_status().map_err(told)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(told)? {
        if bytes.len() + chunk.len() > BYTES_MAX {
            return Err(format!("it has more than {BYTES_MAX} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// All packs by name; of those that several sources have, the first counts.
fn merged(sources: &[Source]) -> Dict {
    let mut packs = Dict::new();
    for source in sources {
        for (name, pack) in source.packs.iter().flat_map(|packs| packs.iter()) {
            if packs.get(name).is_none() {
                packs.insert(name.clone(), pack.clone());
            }
        }
    }
    packs
}

/// As [`merged`], for those who ask for packs: an index of which nothing can be read is an error.
async fn packs(api: &Api) -> Result<Dict> {
    let sources = read_all(api).await?;
    if sources.iter().all(|source| source.packs.is_err()) {
        let failures = sources.iter().filter_map(|source| {
            let failure = source.packs.as_ref().err()?;
            Some(format!("{}: {}", source.url, failure.text))
        });
        let failures: Vec<String> = failures.collect();
        let text = format!("the index of packs cannot be read: {}", failures.join("; "));
        return Err(Error::new(StatusCode::BAD_GATEWAY, text));
    }
    Ok(merged(&sources))
}

async fn index(Extract(api): State, _: Caller) -> Result<Json> {
    let sources = read_all(&api).await?;
    let status: Value = sources.iter().map(Source::status).collect();
    Ok(Json(
        dict! { "status" => status, "index" => merged(&sources) },
    ))
}

async fn health(Extract(api): State, _: Caller) -> Result<Json> {
    let sources = read_all(&api).await?;
    let mut errors = Dict::new();
    let mut count = 0;
    for source in &sources {
        match &source.packs {
            Ok(packs) => count += packs.len(),
            Err(failure) => {
                let before = errors.get(failure.kind).and_then(Value::as_int);
                errors.insert(failure.kind, before.unwrap_or(0) + 1);
            }
        }
    }
    let invalid = sources
        .iter()
        .filter(|source| source.packs.is_err())
        .count();
    Ok(Json(dict! {
        "indexes" => dict! {
            "count" => sources.len(),
            "valid" => sources.len() - invalid,
            "invalid" => invalid,
            "errors" => errors,
            "status" => sources.iter().map(Source::status).collect::<Value>(),
        },
        "packs" => dict! { "count" => count },
    }))
}

async fn search(Extract(api): State, _: Caller, sent: Sent) -> Result<Json> {
    let body = sent.object()?;
    let text = |name| body.get(name).and_then(Value::as_str);
    if let Some(name) = text("pack") {
        let packs = packs(&api).await?;
        let found = packs.get(name).map(|pack| entry(&Str::from(name), pack));
        return Ok(Json(found.unwrap_or_else(Value::empty_list)));
    }
    let Some(query) = text("query") else {
        return Err(Error::bad(
            "the request needs `query`, or `pack` for one pack",
        ));
    };
    let packs = packs(&api).await?;
    let found = packs.iter().filter(|(_, pack)| has_text(pack, query));
    Ok(Json(found.map(|(name, pack)| entry(name, pack)).collect()))
}

/// A pack of the index, with what clients rely on.
fn entry(name: &Str, pack: &Value) -> Value {
    let mut entry = pack.as_dict().cloned().unwrap_or_default();
    for member in ["name", "ref"] {
        if entry.get(member).is_none() {
            entry.insert(member, name.clone());
        }
    }
    Value::from(entry)
}

fn has_text(pack: &Value, query: &str) -> bool {
    let query = query.to_lowercase();
    let holds = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| text.to_lowercase().contains(&query))
    };
    SEARCHED
        .iter()
        .filter_map(|member| pack.get(member))
        .any(|value| match value {
            Value::List(items) => items.iter().any(holds),
            value => holds(value),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let packs = json::read(text).unwrap();
        Source {
            url: "x".to_owned(),
            packs: Ok(Arc::new(packs.as_dict().unwrap().clone())),
        }
    }

    #[test]
    fn the_first_source_that_has_a_pack_counts() {
        let first = source(r#"{"csv": {"version": "2"}}"#);
        let second = source(r#"{"csv": {"version": "1"}, "git": {"version": "3"}}"#);
        let packs = Value::from(merged(&[first, second]));
        assert_eq!(
            packs.to_json(),
            r#"{"csv":{"version":"2"},"git":{"version":"3"}}"#
        );
    }

    #[test]
    fn words_are_looked_for_in_what_people_read() {
        let pack = json::read(
            r#"{"name": "Email", "keywords": ["IMAP"], "description": "sends", "author": "ann"}"#,
        )
        .unwrap();
        for (query, found) in [
            ("imap", true),
            ("mail", true),
            ("SEND", true),
            ("ann", false),
        ] {
            assert_eq!(has_text(&pack, query), found, "{query}");
        }
    }

    #[tokio::test]
    async fn what_is_no_index_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.json");
        for (text, kind) in [("{", "malformed"), (r#"{"packs": []}"#, "malformed")] {
            std::fs::write(&path, text).unwrap();
            let failure = read(path.to_str().unwrap()).await.err().unwrap();
            assert_eq!(failure.kind, kind, "{text}: {}", failure.text);
        }
        let gone = read("file:///nowhere/index.json").await.err().unwrap();
        assert_eq!(gone.kind, "unresponsive");
    }
}
