//! The description of the API (OpenAPI 3.1), made from the table of endpoints, and a page to read it.

mod shapes;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use squall_value::{Dict, Str, Value, dict};

use crate::endpoint::{Access, Body, Endpoint, Kind, Parameter, Shape, get};
use crate::routes;

pub(crate) use shapes::check;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/openapi.json", document)
            .summary("Describes the API: this document.")
            .gives(Shape::One("OpenApi")),
        get("/docs", page)
            .summary("Shows the description of the API to whoever signs in on the page.")
            .open()
            .gives(Shape::Text("text/html")),
    ]
}

/// The description as text. It depends on the program alone.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(describe().to_json()));

async fn document() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, DOCUMENT.clone()).into_response()
}

/// The page loads nothing from elsewhere, and says so to the browser.
async fn page() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, include_str!("page.html")).into_response()
}

/// The whole description.
fn describe() -> Value {
    let mut paths = Dict::new();
    let mut selections = BTreeSet::new();
    for (prefix, endpoints) in routes::PUBLISHED {
        for endpoint in endpoints() {
            let path = format!("{prefix}{}", plain_path(endpoint.path));
            let path = if path.len() > 1 {
                path.trim_end_matches('/')
            } else {
                &path
            };
            let method = endpoint.method.as_str().to_ascii_lowercase();
            let operation = operation(&endpoint, path, &method, &mut selections);
            let mut methods = match paths.get(path) {
                Some(Value::Dict(methods)) => Dict::clone(methods),
                _ => Dict::new(),
            };
            methods.insert(method, operation);
            paths.insert(path, methods);
        }
    }
    let mut schemas = shapes::all().clone();
    for name in selections {
        schemas.insert(shapes::selection_name(name), shapes::selection(name));
    }
    dict! {
        "openapi" => "3.1.0",
        "info" => dict! {
            "title" => "Squall",
            "version" => env!("CARGO_PKG_VERSION"),
            "description" => DESCRIPTION,
            "license" => dict! { "name" => "Apache-2.0", "identifier" => "Apache-2.0" },
        },
        "servers" => vec![dict! { "url" => "/" }],
        "security" => security(),
        "paths" => paths,
        "components" => dict! {
            "schemas" => schemas,
            "responses" => refusals(),
            "securitySchemes" => security_schemes(),
        },
    }
}

const DESCRIPTION: &str = "Event-driven operations. The API is StackStorm's, so that its clients \
    work: `/api/v1` may be left out or called `/v1`, and a slash at the end is dropped. Times are \
    UTC, ids are 24 hexadecimal digits, errors are `{\"faultstring\": \"...\"}`, and secrets are \
    shown as `********`. A repeated query parameter counts once, an unknown one not at all.";

/// `{*name}`, which takes slashes, is `{name}` in the description.
fn plain_path(path: &str) -> String {
    path.replace("{*", "{")
}

/// The names in a path, and whether their values may have slashes.
fn path_parameters(path: &str) -> impl Iterator<Item = (&str, bool)> {
    path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(match name.strip_prefix('*') {
            Some(name) => (name, true),
            None => (name, false),
        })
    })
}

fn operation(
    endpoint: &Endpoint,
    path: &str,
    method: &str,
    selections: &mut BTreeSet<&'static str>,
) -> Value {
    let mut operation = Dict::new();
    let id: String = format!("{method}{path}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    operation.insert("operationId", id);
    operation.insert("tags", vec![Value::from(tag(path))]);
    operation.insert("summary", endpoint.summary);
    let in_path = path_parameters(endpoint.path).map(path_parameter);
    let parameters: Vec<Value> = in_path
        .chain(endpoint.query.iter().map(query_parameter))
        .collect();
    if !parameters.is_empty() {
        operation.insert("parameters", parameters);
    }
    if let Some(body) = request_body(endpoint.body) {
        operation.insert("requestBody", body);
    }
    operation.insert("responses", responses(endpoint, selections));
    let (kind, permission) = match endpoint.access {
        Access::Open => ("open", None),
        Access::Signed => ("signed", None),
        Access::SignedIn => ("signed-in", None),
        Access::Admin => ("admin", None),
        Access::Any(permission) => ("any", Some(permission)),
        Access::Object(permission) => ("object", Some(permission)),
    };
    match endpoint.access {
        Access::Open if path.ends_with("/tokens") => {
            let basic = dict! { "password" => Value::empty_list() };
            operation.insert("security", vec![basic]);
        }
        Access::Open => drop(operation.insert("security", Value::empty_list())),
        Access::Signed => {
            let mut any = vec![Value::empty_dict()];
            any.extend(security().as_list().unwrap_or_default().iter().cloned());
            operation.insert("security", any);
        }
        _ => {}
    }
    operation.insert(
        "x-access",
        dict! { "kind" => kind, "permission" => permission },
    );
    Value::from(operation)
}

/// What groups endpoints: the first word of the path behind the service.
fn tag(path: &str) -> &str {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    match words.next() {
        Some("api" | "auth" | "stream") => words.nth(1).unwrap_or("server"),
        _ => "server",
    }
}

fn path_parameter((name, takes_slashes): (&str, bool)) -> Value {
    let schema = if name == "attribute" {
        let names = crate::executions::ATTRIBUTES.into_iter().map(Value::from);
        dict! { "type" => "string", "enum" => names.collect::<Value>() }
    } else if takes_slashes {
        dict! { "type" => "string", "minLength" => 1 }
    } else {
        dict! { "type" => "string", "minLength" => 1, "pattern" => "^[^/]+$" }
    };
    dict! { "name" => name, "in" => "path", "required" => true, "schema" => schema }
}

fn query_parameter(parameter: &Parameter) -> Value {
    let schema = match (parameter.name, parameter.kind) {
        ("limit", _) => dict! {
            "type" => "integer", "minimum" => -1, "maximum" => i64::MAX,
            "not" => dict! { "const" => 0 },
        },
        ("offset", _) => dict! { "type" => "integer", "minimum" => 0, "maximum" => i32::MAX },
        (_, Kind::Text) => dict! { "type" => "string" },
        (_, Kind::Integer) => dict! {
            "type" => "integer", "minimum" => i64::MIN, "maximum" => i64::MAX,
        },
        (_, Kind::Boolean) => dict! { "type" => "boolean" },
        (_, Kind::Time) => or_empty(dict! { "type" => "string", "format" => "date-time" }),
        (_, Kind::Word(words)) => {
            let words = words.iter().copied().map(Value::from);
            or_empty(dict! { "type" => "string", "enum" => words.collect::<Value>() })
        }
        (name, Kind::List) => {
            let items = dict! { "type" => "string" };
            match name {
                "id" => dict! { "type" => "array", "items" => items, "maxItems" => 100 },
                _ => dict! { "type" => "array", "items" => items },
            }
        }
    };
    let mut shown = Dict::new();
    shown.insert("name", parameter.name);
    shown.insert("in", "query");
    shown.insert("description", parameter.summary);
    shown.insert("schema", schema);
    if parameter.kind == Kind::List {
        shown.insert("style", "form");
        shown.insert("explode", false);
    }
    Value::from(shown)
}

/// An empty value counts as none.
fn or_empty(schema: Value) -> Value {
    let none = dict! { "type" => "string", "maxLength" => 0 };
    dict! { "anyOf" => vec![schema, none] }
}

fn request_body(body: Body) -> Option<Value> {
    let schema = |name| dict! { "schema" => shapes::reference(name) };
    let content = match body {
        Body::None => return None,
        Body::Json(name) => dict! { "application/json" => schema(name) },
        Body::JsonOrForm(name) => dict! {
            "application/json" => schema(name),
            "application/x-www-form-urlencoded" => dict! {
                "schema" => dict! { "type" => "object" },
            },
        },
        Body::Text => dict! {
            "text/plain" => dict! { "schema" => dict! { "type" => "string" } },
        },
    };
    let is_required = match body {
        Body::Json(name) => shapes::all()
            .get(name)
            .and_then(|schema| schema.get("required"))
            .is_some(),
        _ => false,
    };
    Some(dict! { "required" => is_required, "content" => content })
}

/// The answers of an endpoint: success, what it says itself of others, and what befalls all.
fn responses(endpoint: &Endpoint, selections: &mut BTreeSet<&'static str>) -> Value {
    let mut responses = Dict::new();
    let choosable = |name: &str| endpoint.query.iter().any(|known| known.name == name);
    let chosen = choosable("include_attributes");
    let shape = |name: &'static str, selections: &mut BTreeSet<&'static str>| {
        if chosen {
            selections.insert(name);
            shapes::reference(&shapes::selection_name(name))
        } else {
            shapes::reference(name)
        }
    };
    let all = std::iter::once((endpoint.status, endpoint.answer));
    for (status, answer) in all.chain(endpoint.others.iter().copied()) {
        let mut response = Dict::new();
        response.insert("description", summary_of(status));
        let mut headers = every_header();
        let content = match answer {
            Shape::Empty => None,
            Shape::One(name) => Some(("application/json", shape(name, selections))),
            Shape::Many(name) | Shape::Page(name) => {
                let list = dict! { "type" => "array", "items" => shape(name, selections) };
                Some(("application/json", list))
            }
            Shape::Text(kind) => Some((kind, dict! { "type" => "string" })),
            Shape::Events => Some(("text/event-stream", dict! { "type" => "string" })),
        };
        if matches!(answer, Shape::Page(_)) {
            headers.insert("X-Total-Count", header("How many there are in all."));
            headers.insert("X-Limit", header("How many were asked for, unless all."));
        }
        if let Some((kind, schema)) = content {
            response.insert("content", dict! { kind => dict! { "schema" => schema } });
        }
        response.insert("headers", headers);
        responses.insert(status.to_string(), response);
    }
    for status in refusals_of(endpoint) {
        if !responses.contains_key(&status.to_string()) {
            let address = format!("#/components/responses/{status}");
            responses.insert(status.to_string(), dict! { "$ref" => address });
        }
    }
    Value::from(responses)
}

fn every_header() -> Dict {
    let mut headers = Dict::new();
    let id = dict! {
        "description" => "The request's, or a new one.",
        "schema" => dict! { "type" => "string" },
    };
    headers.insert("X-Request-ID", id);
    headers
}

fn header(description: &str) -> Value {
    dict! { "description" => description, "schema" => dict! { "type" => "integer" } }
}

/// How an endpoint may refuse, by what it takes.
fn refusals_of(endpoint: &Endpoint) -> Vec<u16> {
    let mut statuses = vec![400, 429, 500, 503];
    let has_path = path_parameters(endpoint.path).next().is_some();
    if endpoint.access != Access::Open {
        statuses.extend([401, 403]);
    }
    if has_path || matches!(endpoint.access, Access::Object(_)) {
        statuses.push(404);
    }
    if has_path {
        // A value with slashes may lead to another path, which does not know the method.
        statuses.push(405);
    }
    if endpoint.body != Body::None {
        statuses.extend([408, 413]);
    }
    if endpoint.method != axum::http::Method::GET {
        statuses.push(409);
    }
    statuses.sort_unstable();
    statuses
}

fn summary_of(status: u16) -> &'static str {
    match status {
        200 => "As asked.",
        201 => "It was made.",
        202 => "It was accepted, and is durable.",
        204 => "It is gone.",
        304 => "It has not changed.",
        307 => "It is elsewhere.",
        400 => "The request is not as it has to be.",
        401 => "Nobody has signed in.",
        403 => "The caller may not.",
        404 => "It is not there.",
        405 => "The path does not know the method.",
        408 => "The body did not arrive in time.",
        409 => "It is in conflict with something that is there.",
        413 => "The body is too large.",
        429 => "The server has too much to do: ask again after the seconds in Retry-After.",
        500 => "A fault of the server.",
        501 => "It is not set up.",
        503 => "The server cannot answer now.",
        _ => "Otherwise.",
    }
}

/// The refusals that endpoints have in common.
fn refusals() -> Dict {
    let statuses = [400, 401, 403, 404, 405, 408, 409, 413, 429, 500, 503];
    let refusals = statuses.into_iter().map(|status| {
        let mut headers = every_header();
        if status == 429 {
            headers.insert("Retry-After", header("How many seconds to wait."));
        }
        let error = dict! { "schema" => shapes::reference("Error") };
        let response = dict! {
            "description" => summary_of(status),
            "headers" => headers,
            "content" => dict! { "application/json" => error },
        };
        (Str::from(status.to_string()), response)
    });
    refusals.collect()
}

/// Any one of the credentials will do.
fn security() -> Value {
    let schemes = ["token", "apiKey", "bearer"];
    let schemes = schemes
        .into_iter()
        .map(|name| dict! { name => Value::empty_list() });
    schemes.collect()
}

fn security_schemes() -> Value {
    let header = |name: &str| dict! { "type" => "apiKey", "in" => "header", "name" => name };
    dict! {
        "token" => header("X-Auth-Token"),
        "apiKey" => header("St2-Api-Key"),
        "bearer" => dict! { "type" => "http", "scheme" => "bearer" },
        "password" => dict! { "type" => "http", "scheme" => "basic" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All names of shapes that endpoints use.
    fn used() -> BTreeSet<&'static str> {
        let mut names = BTreeSet::new();
        for (_, endpoints) in routes::PUBLISHED {
            for endpoint in endpoints() {
                let others = endpoint.others.iter().map(|(_, shape)| *shape);
                for shape in std::iter::once(endpoint.answer).chain(others) {
                    if let Shape::One(name) | Shape::Many(name) | Shape::Page(name) = shape {
                        names.insert(name);
                    }
                }
                if let Body::Json(name) | Body::JsonOrForm(name) = endpoint.body {
                    names.insert(name);
                }
            }
        }
        names
    }

    #[test]
    fn every_shape_that_is_named_is_there() {
        let missing: Vec<_> = used()
            .into_iter()
            .filter(|name| !shapes::all().contains_key(name))
            .collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn every_shape_that_is_there_is_used() {
        let text = describe().to_json();
        let unused: Vec<_> = shapes::all()
            .keys()
            .filter(|name| !text.contains(&format!("#/components/schemas/{name}\"")))
            .filter(|name| !used().contains(&***name))
            .collect();
        assert_eq!(unused, Vec::<&Str>::new());
    }

    #[test]
    fn every_route_is_described_with_a_summary_once() {
        let mut seen = BTreeSet::new();
        for (prefix, endpoints) in routes::PUBLISHED {
            for endpoint in endpoints() {
                let what = format!("{} {prefix}{}", endpoint.method, endpoint.path);
                assert!(!endpoint.summary.is_empty(), "{what}");
                assert!(seen.insert(what.clone()), "{what} is there twice");
            }
        }
        let document = describe();
        let paths = document.get("paths").and_then(Value::as_dict).unwrap();
        let described: usize = paths
            .values()
            .map(|methods| methods.as_dict().unwrap().len())
            .sum();
        assert_eq!(described, seen.len());
    }
}
