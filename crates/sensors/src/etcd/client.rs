//! etcd's JSON gateway (v3): requests, and the stream of a watch.
//!
//! Source: etcd's documentation of the gRPC gateway (`/v3`, since 3.4), where 64-bit numbers are
//! texts and bytes are base64. Members that are zero or empty are left out.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{Certificate, Client as Http, Response, StatusCode};
use squall_env::Env;
use squall_value::{Str, Value, dict, json};

use super::{Error, Settings};

/// How long an answer that is no stream may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A longer message is no message of etcd, whose transactions are bounded.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Keys asked for at a time.
const PAGE: i64 = 1_000;

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The end of the range of all keys that begin with `prefix`, as etcd wants it.
pub(super) fn range_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    // All keys from the first one on.
    vec![0]
}

/// A key as etcd shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) created: i64,
    pub(super) modified: i64,
}

/// What a watch said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Everything up to this revision was told, and these changes with it.
    Changes { revision: i64, changes: Vec<Change> },
    /// The history from which the watch was to start is gone.
    Compacted,
    /// etcd ended the watch.
    Canceled(String),
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) entry: Entry,
    pub(super) is_deletion: bool,
}

/// One etcd server.
pub(super) struct Client {
    http: Http,
    settings: Settings,
    token: Option<String>,
    env: Arc<dyn Env>,
}

impl Client {
    pub(super) fn new(settings: Settings, env: Arc<dyn Env>) -> Result<Client, Error> {
        // The first to install wins; another provider would do as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Http::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(TIMEOUT);
        if let Some(path) = &settings.ca_file {
            let unusable = |reason: String| Error::Certificates {
                path: path.clone(),
                reason,
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem);
            for certificate in certificates.map_err(|error| unusable(error.to_string()))? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Client {
            http: builder.build().map_err(Error::Request)?,
            settings,
            token: None,
            env,
        })
    }

    /// Logs in, where there is somebody to log in as. Tokens run out, so this begins every
    /// connection.
    pub(super) async fn log_in(&mut self) -> Result<(), Error> {
        let Some((name, password)) = self.settings.user.clone() else {
            return Ok(());
        };
        self.token = None;
        let body = dict! { "name" => name, "password" => password };
        let answer = self.ask("auth/authenticate", &body).await?;
        let token = answer.get("token").and_then(Value::as_str);
        self.token = token.map(str::to_owned);
        Ok(())
    }

    /// The revision of the whole store.
    pub(super) async fn revision(&self) -> Result<i64, Error> {
        let mut body = self.range();
        set(&mut body, "count_only", Value::Bool(true));
        revision(&self.ask("kv/range", &body).await?)
    }

    /// All keys as of one revision, which is returned with them.
    pub(super) async fn list(&self, keys_max: usize) -> Result<(i64, Vec<Entry>), Error> {
        let mut body = self.range();
        set(&mut body, "limit", Value::Int(PAGE));
        let mut entries = Vec::new();
        let mut at = None;
        loop {
            let answer = self.ask("kv/range", &body).await?;
            let found = *at.get_or_insert(revision(&answer)?);
            set(&mut body, "revision", Value::from(found.to_string()));
            let page = answer.get("kvs").and_then(Value::as_list);
            for item in page.unwrap_or_default() {
                entries.push(entry(item)?);
            }
            let more = answer.get("more").and_then(Value::as_bool);
            let Some(last) = entries.last().filter(|_| more == Some(true)) else {
                return Ok((found, entries));
            };
            if entries.len() > keys_max {
                return Err(Error::TooManyKeys(keys_max));
            }
            // The next key in order is the last one with a zero behind it.
            let next = [&last.key[..], &[0]].concat();
            set(&mut body, "key", Value::from(encode(&next)));
        }
    }

    /// Watches from a revision on.
    pub(super) async fn watch(&self, start: i64) -> Result<Watch, Error> {
        let mut request = self.range();
        set(
            &mut request,
            "start_revision",
            Value::from(start.to_string()),
        );
        set(&mut request, "progress_notify", Value::Bool(true));
        let body = dict! { "create_request" => request };
        let response = self.send("watch", &body).await?;
        Ok(Watch {
            response,
            buffer: Vec::new(),
        })
    }

    fn range(&self) -> Value {
        let prefix = self.settings.prefix.as_bytes();
        // An empty key would name no key at all; all keys begin at the zero byte.
        let first: &[u8] = if prefix.is_empty() { &[0] } else { prefix };
        dict! { "key" => encode(first), "range_end" => encode(&range_end(prefix)) }
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let asked = async {
            let mut response = self.send(path, body).await?;
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(Error::Request)? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > MESSAGE_BYTES_MAX {
                    return Err(Error::Answer("an answer is too long".to_owned()));
                }
            }
            read(&bytes)
        };
        tokio::select! {
            answer = asked => answer,
            () = self.env.sleep(TIMEOUT) => Err(Error::Timeout(TIMEOUT)),
        }
    }

    async fn send(&self, path: &str, body: &Value) -> Result<Response, Error> {
        let url = format!("{}/v3/{path}", self.settings.endpoint.trim_end_matches('/'));
        let mut request = self.http.post(url).body(json::write(body));
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        let response = request.send().await.map_err(Error::Request)?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        let told = json::read(&text).ok();
        let message = told
            .as_ref()
            .and_then(|told| told.get("message").or_else(|| told.get("error"))?.as_str());
        let message = message.unwrap_or(&text);
        let end = message.floor_char_boundary(500);
        Err(Error::Refused {
            status,
            message: message[..end].to_owned(),
        })
    }
}

fn set(body: &mut Value, member: &str, value: Value) {
    if let Value::Dict(body) = body {
        Arc::make_mut(body).insert(member, value);
    }
}

/// The stream of a watch: messages in lines.
pub(super) struct Watch {
    response: Response,
    buffer: Vec<u8>,
}

impl Watch {
    /// The next message. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return message(&read(&line)?);
            }
            if self.buffer.len() > MESSAGE_BYTES_MAX {
                return Err(Error::Answer("a message is too long".to_owned()));
            }
            match self.response.chunk().await.map_err(Error::Request)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Err(Error::Closed),
            }
        }
    }
}

fn read(bytes: &[u8]) -> Result<Value, Error> {
    json::read_bytes(bytes).map_err(|error| Error::Answer(error.to_string()))
}

/// A 64-bit number, which is a text in JSON and absent when it is zero.
fn number(value: &Value, member: &str) -> Result<i64, Error> {
    let wrong = || Error::Answer(format!("`{member}` is no number"));
    match value.get(member) {
        None | Some(Value::Null) => Ok(0),
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::String(text)) => text.parse().map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

fn bytes(value: &Value, member: &str) -> Result<Vec<u8>, Error> {
    let text = value.get(member).and_then(Value::as_str);
    let decoded = BASE64.decode(text.unwrap_or_default());
    decoded.map_err(|error| Error::Answer(format!("`{member}` is no base64: {error}")))
}

fn revision(answer: &Value) -> Result<i64, Error> {
    let header = answer.get("header");
    let header = header.ok_or_else(|| Error::Answer("an answer has no header".to_owned()))?;
    number(header, "revision")
}

fn entry(item: &Value) -> Result<Entry, Error> {
    Ok(Entry {
        key: bytes(item, "key")?,
        value: bytes(item, "value")?,
        created: number(item, "create_revision")?,
        modified: number(item, "mod_revision")?,
    })
}

fn message(line: &Value) -> Result<Message, Error> {
    if let Some(error) = line.get("error") {
        let text = error.get("message").and_then(Value::as_str);
        return Ok(Message::Canceled(
            text.unwrap_or("no reason given").to_owned(),
        ));
    }
    let missing = || Error::Answer("a message of a watch has no result".to_owned());
    let result = line.get("result").ok_or_else(missing)?;
    if number(result, "compact_revision")? > 0 {
        return Ok(Message::Compacted);
    }
    if result.get("canceled").and_then(Value::as_bool) == Some(true) {
        let reason = result.get("cancel_reason").and_then(Value::as_str);
        return Ok(Message::Canceled(
            reason.unwrap_or("no reason given").to_owned(),
        ));
    }
    let events = result.get("events").and_then(Value::as_list);
    let mut changes = Vec::new();
    for event in events.unwrap_or_default() {
        let kv = event.get("kv").ok_or_else(missing)?;
        changes.push(Change {
            entry: entry(kv)?,
            is_deletion: event.get("type").and_then(Value::as_str) == Some("DELETE"),
        });
    }
    // The first message only confirms the watch; nothing before its start revision was told.
    let created = result.get("created").and_then(Value::as_bool) == Some(true);
    let revision = if created { 0 } else { revision(result)? };
    Ok(Message::Changes { revision, changes })
}

/// A key or value as text, where it is one.
pub(super) fn text(bytes: &[u8]) -> Option<Str> {
    std::str::from_utf8(bytes).ok().map(Str::from)
}

#[cfg(test)]
mod tests {
    use squall_value::json;

    use super::{Message, message, range_end};

    #[test]
    fn a_range_ends_behind_the_last_key_with_the_prefix() {
        for (prefix, end) in [
            (&b"a"[..], &b"b"[..]),
            (b"a/", b"a0"),
            (b"a\xff\xff", b"b"),
            (b"\xff", b"\0"),
            (b"", b"\0"),
        ] {
            assert_eq!(range_end(prefix), end, "{prefix:?}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let read = message(&json::read(text).unwrap());
        let read = match read {
            Ok(Message::Changes { revision, changes }) => {
                let changes = changes.iter().map(|change| {
                    let sign = if change.is_deletion { "-" } else { "+" };
                    let key = String::from_utf8_lossy(&change.entry.key);
                    format!(" {sign}{key}@{}", change.entry.modified)
                });
                format!("{revision}:{}", changes.collect::<String>())
            }
            Ok(Message::Compacted) => "compacted".to_owned(),
            Ok(Message::Canceled(reason)) => format!("canceled: {reason}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn messages_of_a_watch() {
        check(
            r#"{"result":{"header":{"revision":"7"},"created":true}}"#,
            "0:",
        );
        check(r#"{"result":{"header":{"revision":"7"}}}"#, "7:");
        check(
            r#"{"result":{"header":{"revision":"9"},"events":[
                {"kv":{"key":"YQ==","value":"MQ==","create_revision":"8","mod_revision":"8"}},
                {"type":"DELETE","kv":{"key":"Yg==","mod_revision":"9"}}]}}"#,
            "9: +a@8 -b@9",
        );
        check(
            r#"{"result":{"header":{"revision":"9"},"canceled":true,"compact_revision":"5"}}"#,
            "compacted",
        );
        check(
            r#"{"result":{"canceled":true,"cancel_reason":"permission denied"}}"#,
            "canceled: permission denied",
        );
        check(
            r#"{"error":{"message":"invalid auth token"}}"#,
            "canceled: invalid auth token",
        );
        check(
            "{}",
            "etcd's answer can't be read: a message of a watch has no result",
        );
        check(
            r#"{"result":{"header":{"revision":"x"}}}"#,
            "etcd's answer can't be read: `revision` is no number",
        );
        check(
            r#"{"result":{"header":{"revision":"1"},"events":[{"kv":{"key":"?"}}]}}"#,
            "etcd's answer can't be read: `key` is no base64: Invalid symbol 63, offset 0.",
        );
    }
}
