//! A small blocking HTTP client: one connection, plain text, a bounded wait.

mod events;

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub(crate) use events::{Event, Events};

/// How long an answer may take. Longer means that the server hangs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Names in lower case, and values.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the server accepted the request.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it isn't JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        self.read()
    }

    /// The members of the body's JSON that matter; the others are passed over.
    ///
    /// # Errors
    ///
    /// When it isn't JSON, or a member is missing.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).with_context(|| {
            let text = String::from_utf8_lossy(&self.body);
            format!("the answer is not the JSON that was expected: {text:.200}")
        })
    }
}

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    address: String,
    token: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client that will connect with its first request. `address` is `host:port`.
    pub(crate) fn new(address: &str, token: &str) -> Self {
        Self {
            address: address.to_owned(),
            token: token.to_owned(),
            connection: None,
        }
    }

    /// Asks for a page as JSON.
    ///
    /// # Errors
    ///
    /// When the server does not answer, refuses, or answers something else.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        let answer = self.send("GET", path, &[], None)?;
        if !answer.is_success() {
            bail!("GET {path} was answered with {}", answer.status);
        }
        Ok(answer)
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    ///
    /// When the server does not answer. A refusal is an answer.
    pub(crate) fn post(
        &mut self,
        path: &str,
        extra: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer> {
        self.send("POST", path, extra, Some(body.to_string().as_bytes()))
    }

    /// Sends a request and waits for the answer. After an error nobody knows whether it was heard.
    ///
    /// # Errors
    ///
    /// When the connection fails or the answer is not HTTP.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        write_request(
            &mut connection,
            &self.address,
            &self.token,
            (method, path),
            extra,
            body,
        )?;
        let answer = read_answer(&mut connection)?;
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(BufReader::new(stream))
    }
}

fn write_request(
    connection: &mut BufReader<TcpStream>,
    address: &str,
    token: &str,
    (method, path): (&str, &str),
    extra: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<()> {
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nX-Auth-Token: {token}\r\n");
    for (name, value) in extra {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        let len = body.len();
        head.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {len}\r\n"
        ));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    connection.get_mut().write_all(&bytes)?;
    Ok(())
}

type Head = (u16, Vec<(String, String)>);

fn read_head(connection: &mut impl BufRead) -> Result<Head> {
    let first = read_line(connection)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let Some(status) = status else {
        bail!("the answer begins with `{first}`, which is not HTTP");
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

fn read_answer(connection: &mut impl BufRead) -> Result<Answer> {
    let (status, headers) = read_head(connection)?;
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        while read_chunk(connection, &mut answer.body)? {}
    } else {
        let len = answer.header("content-length").unwrap_or("0");
        answer
            .body
            .resize(len.parse().context("content-length")?, 0);
        connection.read_exact(&mut answer.body)?;
    }
    Ok(answer)
}

fn read_line(connection: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into());
    }
    Ok(line.trim_end().to_owned())
}

/// Appends one chunk; false after the last.
fn read_chunk(connection: &mut impl BufRead, to: &mut Vec<u8>) -> Result<bool> {
    let line = read_line(connection)?;
    let len = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16)
        .with_context(|| format!("`{line}` is not the length of a chunk"))?;
    let start = to.len();
    to.resize(start + len, 0);
    connection.read_exact(&mut to[start..])?;
    read_line(connection)?;
    Ok(len > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn answered(text: &str, expected: Option<(u16, &str)>) {
        let answer = read_answer(&mut text.as_bytes()).ok();
        let found = answer.map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()));
        let expected = expected.map(|(status, body)| (status, body.to_owned()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn answers_are_read() {
        answered("HTTP/1.1 204 No Content\r\n\r\n", Some((204, "")));
        answered(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
            Some((200, "ab")),
        );
        answered(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
            Some((200, "abc")),
        );
        answered("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", None);
        answered("HTTP/1.1 200 OK\r\nContent-Le", None);
        answered("SSH-2.0-x\r\n", None);
        answered("", None);
    }
}
