//! `http-request`: one HTTP request.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use squall_model::Outcome as Ending;
use squall_value::{Dict, Value, dict, json, literal, python};

use crate::host::Host;
use crate::mask::Masker;
use crate::port::{CancelSignal, Job, Outcome, OutputSink, Runner, Verdict};
use crate::registry;

const TIMEOUT_SECONDS: f64 = 60.0;
const SECONDS_MAX: f64 = 1e9;
/// A longer body fails the request: it would be a result that nobody can look at.
const BODY_BYTES_MAX: usize = 64 << 20;
const REDIRECTS_MAX: usize = 30;

/// More clients than this are not kept.
const CLIENTS_MAX: usize = 16;

/// Sends requests.
pub(crate) struct Http {
    host: Arc<Host>,
    /// Making a client reads the certificates of the machine, so they are kept.
    clients: Mutex<HashMap<ClientKey, Client>>,
}

/// Whether certificates are checked, and the proxies for http and https.
type ClientKey = (bool, Option<String>, Option<String>);

impl Http {
    pub(crate) fn new(host: Arc<Host>) -> Http {
        Http {
            host,
            clients: Mutex::default(),
        }
    }

    fn client(&self, key: ClientKey) -> Result<Client, Error> {
        if let Some(client) = self.clients.lock().get(&key) {
            return Ok(client.clone());
        }
        let client = new_client(&key)?;
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn new_client((checks, http_proxy, https_proxy): &ClientKey) -> Result<Client, Error> {
    // The first to install wins; another provider would do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(!checks)
        .user_agent(concat!("squall/", env!("CARGO_PKG_VERSION")));
    let invalid = |error: reqwest::Error| Error::Parameter(explain(&error));
    if let Some(url) = http_proxy {
        builder = builder.proxy(reqwest::Proxy::http(url).map_err(invalid)?);
    }
    if let Some(url) = https_proxy {
        builder = builder.proxy(reqwest::Proxy::https(url).map_err(invalid)?);
    }
    builder
        .build()
        .map_err(|error| Error::Failed(explain(&error)))
}

/// Why there is no response to report.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Parameter(String),
    #[error("the request timed out after {0} seconds")]
    TimedOut(String),
    #[error("{0}")]
    Failed(String),
    #[error("the body of the response is longer than {BODY_BYTES_MAX} bytes")]
    TooLarge,
}

struct Request<'a> {
    job: &'a Job,
    seconds: f64,
}

impl Request<'_> {
    fn runner(&self, name: &str) -> Option<&Value> {
        let value = self.job.runner_parameters.get(name);
        value.filter(|value| !value.is_null())
    }

    fn action(&self, name: &str) -> Option<&Value> {
        let value = self.job.action_parameters.get(name);
        value.filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.runner(name)
            .map(python::str)
            .filter(|text| !text.is_empty())
    }

    fn url(&self) -> Result<Url, Error> {
        let text = self
            .text("url")
            .ok_or_else(|| Error::Parameter("URL must be specified.".to_owned()))?;
        let url = Url::parse(&text)
            .map_err(|error| Error::Parameter(format!("the URL {text:?} is invalid: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(Error::Parameter(format!(
                "URLs of the scheme {scheme:?} can't be asked"
            )));
        }
        self.check_host(&url)?;
        Ok(url)
    }

    /// The lists of hosts; also asked for every redirect, or they would mean nothing.
    fn check_host(&self, url: &Url) -> Result<(), Error> {
        let hosts = |name| {
            self.runner(name)
                .and_then(Value::as_list)
                .unwrap_or_default()
        };
        let (black, white) = (hosts("url_hosts_blacklist"), hosts("url_hosts_whitelist"));
        if !black.is_empty() && !white.is_empty() {
            let text = "\"url_hosts_blacklist\" and \"url_hosts_whitelist\" parameters are mutually \
                        exclusive. Only one should be provided.";
            return Err(Error::Parameter(text.to_owned()));
        }
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_in = |hosts: &[Value]| {
            let mut hosts = hosts.iter().filter_map(Value::as_str);
            hosts.any(|known| known.eq_ignore_ascii_case(host))
        };
        if is_in(black) {
            return Err(Error::Parameter(format!("URL \"{url}\" is blacklisted")));
        }
        if !white.is_empty() && !is_in(white) {
            return Err(Error::Parameter(format!(
                "URL \"{url}\" is not whitelisted"
            )));
        }
        Ok(())
    }

    fn client_key(&self) -> ClientKey {
        let checks = self.runner("verify_ssl_cert").is_none_or(Value::is_truthy);
        (checks, self.text("http_proxy"), self.text("https_proxy"))
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &str| {
            let invalid = || Error::Parameter(format!("the header {name:?} is invalid"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            headers.insert(name, value);
            Ok(())
        };
        for (name, value) in pairs(self.runner("headers")) {
            // The body's own length is what counts.
            if !name.eq_ignore_ascii_case("content-length") {
                add(&name, &value)?;
            }
        }
        let cookies = pairs(self.runner("cookies"));
        if !cookies.is_empty() {
            let cookies: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            add("cookie", &cookies.join("; "))?;
        }
        let action = self.job.action.split_once('.').map_or("", |(_, name)| name);
        add("x-stanley-action", action)?;
        Ok(headers)
    }

    fn body(&self, headers: &HeaderMap) -> Result<Option<Vec<u8>>, Error> {
        let Some(body) = self.action("body").filter(|body| body.is_truthy()) else {
            return Ok(None);
        };
        let content_type = headers
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        if content_type != Some("application/json") {
            return Ok(Some(
                match body {
                    Value::Dict(_) | Value::List(_) => body.to_json(),
                    other => python::str(other),
                }
                .into_bytes(),
            ));
        }
        let datum = match body {
            // What a Python action has printed is JSON but for its quotes and words.
            Value::String(text) => {
                json::read_python(text).or_else(|error| literal::read(text).map_err(|_| error))
            }
            other => Ok(other.clone()),
        };
        let datum = datum.map_err(|error| {
            Error::Parameter(format!(
                "the body is to be JSON, or a literal of Python, which it is not: {error}"
            ))
        })?;
        Ok(Some(datum.to_json().into_bytes()))
    }

    fn file(&self) -> Option<(String, Vec<u8>, Option<String>)> {
        let name = self.action("file_name").map(python::str)?;
        let content = self.action("file_content").map(python::str)?;
        let kind = self.action("file_content_type").map(python::str);
        (!name.is_empty() && !content.is_empty()).then(|| (name, content.into_bytes(), kind))
    }

    fn build(&self, client: &Client, url: Url) -> Result<reqwest::Request, Error> {
        let mut headers = self.headers()?;
        let body = self.body(&headers)?;
        let file = self.file();
        let method = match self.action("method").map(python::str) {
            Some(method) if !method.is_empty() => method.to_ascii_uppercase(),
            _ if body.is_some() || file.is_some() => "POST".to_owned(),
            _ => "GET".to_owned(),
        };
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Error::Parameter(format!("the method {method:?} is invalid")))?;
        let mut request = client.request(method, url);
        if let Some(query) = self.action("params") {
            request = request.query(&pairs(Some(query)));
        }
        if let Some((name, content, kind)) = file {
            let (boundary, form) = multipart(&name, &content, kind.as_deref());
            let kind = format!("multipart/form-data; boundary={boundary}");
            headers.remove("content-type");
            request = request.header("content-type", kind).body(form);
        } else if let Some(body) = body {
            request = request.body(body);
        }
        let request = self.authorize(request.headers(headers));
        request
            .build()
            .map_err(|error| Error::Parameter(explain(&error)))
    }

    fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        let (name, password) = (self.text("username"), self.text("password"));
        if name.is_some() || password.is_some() {
            return request.basic_auth(name.unwrap_or_default(), password);
        }
        match self.action("auth") {
            Some(Value::List(pair)) if pair.len() == 2 => {
                request.basic_auth(python::str(&pair[0]), Some(python::str(&pair[1])))
            }
            _ => request,
        }
    }

    async fn send(&self, http: &Http) -> Result<Value, Error> {
        let client = http.client(self.client_key())?;
        let mut request = self.build(&client, self.url()?)?;
        let follows = self.runner("allow_redirects").is_some_and(Value::is_truthy);
        for _ in 0..=REDIRECTS_MAX {
            let again = request.try_clone();
            let url = request.url().clone();
            let response = client
                .execute(request)
                .await
                .map_err(|error| Error::Failed(explain(&error)))?;
            let target = redirect(&url, &response).filter(|_| follows);
            match (target, again) {
                (Some(target), Some(again)) => {
                    self.check_host(&target)?;
                    request = redirected(again, &url, target, response.status().as_u16());
                }
                _ => return result(response).await,
            }
        }
        Err(Error::Failed(format!(
            "more than {REDIRECTS_MAX} redirects"
        )))
    }
}

fn redirect(from: &Url, response: &Response) -> Option<Url> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get("location").filter(|_| is_redirect)?;
    let target = from.join(location.to_str().ok()?).ok()?;
    matches!(target.scheme(), "http" | "https").then_some(target)
}

/// The request for the place that the last one was sent to, by the habits of browsers.
fn redirected(
    mut request: reqwest::Request,
    from: &Url,
    target: Url,
    status: u16,
) -> reqwest::Request {
    let becomes_get = match status {
        303 => *request.method() != Method::HEAD,
        301 | 302 => *request.method() == Method::POST,
        _ => false,
    };
    if becomes_get {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        for name in ["content-type", "content-length", "transfer-encoding"] {
            request.headers_mut().remove(name);
        }
    }
    // What is meant for one host is not for another.
    let place = |url: &Url| {
        let host = url.host_str().map(str::to_owned);
        (host, url.port_or_known_default(), url.scheme() == "https")
    };
    if place(from) != place(&target) {
        request.headers_mut().remove("authorization");
        request.headers_mut().remove("cookie");
    }
    *request.url_mut() = target;
    request
}

/// A dictionary as texts; lists repeat their name, as in a query.
fn pairs(value: Option<&Value>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in value
        .and_then(Value::as_dict)
        .into_iter()
        .flat_map(Dict::iter)
    {
        match value {
            Value::Null => {}
            Value::List(items) => {
                pairs.extend(
                    items
                        .iter()
                        .map(|item| (name.to_string(), python::str(item))),
                );
            }
            value => pairs.push((name.to_string(), python::str(value))),
        }
    }
    pairs
}

/// One file as a form. The boundary does not occur in the content.
fn multipart(name: &str, content: &[u8], kind: Option<&str>) -> (String, Vec<u8>) {
    let holds = |boundary: &str| {
        content
            .windows(boundary.len())
            .any(|window| window == boundary.as_bytes())
    };
    let boundary = (0_u64..)
        .map(|number| format!("squall-boundary-{number:016x}"))
        .find(|boundary| !holds(boundary))
        .expect("a content is finite");
    let name: String = name
        .chars()
        .map(|c| if c == '"' || c.is_control() { '_' } else { c })
        .collect();
    let mut form = Vec::with_capacity(content.len() + 256);
    let disposition = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n"
    );
    form.extend_from_slice(disposition.as_bytes());
    if let Some(kind) = kind.filter(|kind| !kind.contains(['\r', '\n'])) {
        // Writing into memory can't fail.
        let _ = write!(form, "Content-Type: {kind}\r\n");
    }
    form.extend_from_slice(b"\r\n");
    form.extend_from_slice(content);
    let _ = write!(form, "\r\n--{boundary}--\r\n");
    (boundary, form)
}

async fn result(mut response: Response) -> Result<Value, Error> {
    let status = response.status().as_u16();
    let mut headers = Dict::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let name = title_case(name.as_str());
        let joined = match headers.get(&name).and_then(Value::as_str) {
            Some(known) => format!("{known}, {value}"),
            None => value,
        };
        headers.insert(name, joined);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Error::Failed(explain(&error)))?
    {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let kind = headers.get("Content-Type").and_then(Value::as_str);
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or("");
    let parsed = match kind.trim() {
        "application/json" => json::read_bytes(&body).ok(),
        _ => None,
    };
    let is_parsed = parsed.is_some();
    let body = parsed.unwrap_or_else(|| Value::from(text_of(body)));
    Ok(dict! {
        "status_code" => i64::from(status),
        "body" => body,
        "parsed" => is_parsed,
        "headers" => headers,
    })
}

/// A body as text: UTF-8, and what is not, as HTTP's older default (ISO 8859-1), of which nothing
/// gets lost.
fn text_of(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap_or_else(|error| {
        let bytes = error.into_bytes();
        bytes.into_iter().map(char::from).collect()
    })
}

/// HTTP/1 names as servers write them: clients of the result look for `Content-Type`.
fn title_case(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut chars = word.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(chars).collect::<String>()
        })
        .collect::<Vec<_>>()
        .join("-")
}

/// The error and its causes, without the URL, which may hold a secret.
pub(crate) fn explain(error: &reqwest::Error) -> String {
    let mut text = match (error.is_connect(), error.is_builder()) {
        (true, _) => "the server could not be reached".to_owned(),
        (_, true) => "the request is invalid".to_owned(),
        _ => "the request failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn seconds(job: &Job) -> f64 {
    let asked = job.action_parameters.get("timeout");
    let asked = asked
        .and_then(Value::as_number)
        .or_else(|| asked?.as_str()?.trim().parse().ok())
        .filter(|seconds| !seconds.is_nan())
        .unwrap_or(TIMEOUT_SECONDS)
        .clamp(0.0, SECONDS_MAX);
    job.timeout
        .map_or(asked, |bound| asked.min(bound.as_secs_f64()))
}

#[async_trait]
impl Runner for Http {
    fn name(&self) -> &str {
        "http-request"
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    async fn run(&self, job: Job, _output: OutputSink, cancel: CancelSignal) -> Outcome {
        let masker = Masker::new(&job.secrets);
        let request = Request {
            seconds: seconds(&job),
            job: &job,
        };
        let deadline = Duration::from_secs_f64(request.seconds);
        let sent = tokio::select! {
            biased;
            () = cancel.canceled() => {
                return Outcome::ended(Ending::Canceled, Value::empty_dict());
            }
            sent = Box::pin(request.send(self)) => sent,
            () = self.host.env.sleep(deadline) => {
                Err(Error::TimedOut(request.seconds.to_string()))
            }
        };
        let (ending, result) = match sent {
            Ok(result) => {
                let status = result.get("status_code").and_then(Value::as_int);
                let is_good = status.is_some_and(|status| (200..207).contains(&status));
                let ending = if is_good {
                    Ending::Succeeded
                } else {
                    Ending::Failed
                };
                (ending, result)
            }
            Err(error) => {
                let ending = match error {
                    Error::TimedOut(_) => Ending::TimedOut,
                    _ => Ending::Failed,
                };
                (ending, dict! { "error" => error.to_string() })
            }
        };
        Outcome {
            verdict: Verdict::Ended(ending),
            result: masker.value(&result),
            exit_code: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn bodies_are_text_of_either_kind() {
        for (body, text) in [
            (&b"plain"[..], "plain"),
            ("grün".as_bytes(), "grün"),
            (b"gr\xfcn", "grün"),
        ] {
            assert_eq!(text_of(body.to_vec()), text);
        }
    }
}
