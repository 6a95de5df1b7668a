//! The servers that the demo's workflow starts, seen from outside.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use squall_env::Env;
use squall_value::{Value, dict, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::place::Place;
use super::process::Process;

/// How long a server may take to end, or to answer.
const WAIT: Duration = Duration::from_secs(5);
/// No answer of a server is longer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// A first `servers.yaml`, with ports that are free now.
pub(super) fn example() -> Result<String> {
    // All are held at the same time, so that they differ.
    let listeners = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<std::io::Result<Vec<_>>>()
        .context("there is no free port on 127.0.0.1")?;
    let ports = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<Result<Vec<u16>>>()?;
    let [web, api, cache] = ports[..] else {
        bail!("three ports were asked for");
    };
    Ok(format!(
        "\
# Servers that should run on this machine.
servers:
  web:
    port: {web}
    settings:
      greeting: Hello
  api:
    port: {api}
    settings:
      workers: 4
  cache:
    port: {cache}
    settings:
      memory_mb: 64
"
    ))
}

/// Servers as a `servers.yaml` asks for them: what each should answer, by name.
#[derive(Debug, Default)]
pub(super) struct Servers {
    answers: BTreeMap<String, (u16, Value)>,
}

impl Servers {
    /// Reads a `servers.yaml` that the workflow has accepted.
    pub(super) fn parse(text: &str) -> Result<Servers> {
        let document = squall_yaml::load(text, &squall_yaml::Options::default())
            .ok()
            .context("the workflow accepted a servers.yaml that is no YAML")?
            .root
            .to_value();
        let entries = document.get("servers").and_then(Value::as_dict);
        let mut answers = BTreeMap::new();
        for (name, entry) in entries.into_iter().flat_map(|entries| entries.iter()) {
            let port = entry
                .get("port")
                .and_then(Value::as_int)
                .unwrap_or_default();
            let settings = entry.get("settings").filter(|settings| !settings.is_null());
            let settings = settings.cloned().unwrap_or_else(Value::empty_dict);
            let answer = dict! { "name" => name.clone(), "port" => port, "settings" => settings };
            let port = u16::try_from(port)
                .with_context(|| format!("the workflow accepted the port {port}"))?;
            answers.insert(name.to_string(), (port, answer));
        }
        Ok(Servers { answers })
    }

    /// Asks every server over HTTP, and makes sure that no other runs. Returns what they answered.
    ///
    /// # Errors
    ///
    /// The first one that is not as it should be.
    pub(super) async fn verify(&self, place: &Place, env: &dyn Env) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for (name, (port, expected)) in &self.answers {
            let answer = tokio::select! {
                answer = ask(*port) => answer,
                () = env.sleep(WAIT) => bail!("`{name}` does not answer on port {port}"),
            };
            let answer =
                answer.with_context(|| format!("`{name}` does not answer on port {port}"))?;
            if answer != *expected {
                bail!(
                    "`{name}` answers {}, not {}",
                    answer.to_json(),
                    expected.to_json()
                );
            }
            lines.push(format!(
                "http://127.0.0.1:{port}/ answers {}",
                answer.to_json()
            ));
        }
        for (name, _) in running(place)? {
            if !self.answers.contains_key(&name) {
                bail!("`{name}` runs, but servers.yaml does not name it");
            }
        }
        Ok(lines)
    }
}

async fn ask(port: u16) -> Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_string(&mut answer)
        .await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("it does not speak HTTP")?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("it answers `{}`", head.lines().next().unwrap_or_default());
    }
    json::read(body).context("it does not answer with JSON")
}

/// The servers that run, by the files that the workflow's actions keep.
fn running(place: &Place) -> Result<Vec<(String, Process)>> {
    let directory = place.servers();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", directory.display()));
        }
    };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|kind| kind == "pid")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            && let Some(process) = Process::load(&path)
            && process.is_alive()
        {
            found.push((name.to_owned(), process));
        }
    }
    Ok(found)
}

/// Ends every server.
pub(super) async fn stop_all(place: &Place, env: &dyn Env) -> Result<()> {
    for (name, process) in running(place)? {
        if !process.end(env, WAIT).await? && !process.kill(env, WAIT).await? {
            bail!("`{name}`, process {}, cannot be stopped", process.pid);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_what_is_expected() {
        let servers = Servers::parse(&example().unwrap()).unwrap();
        let names: Vec<_> = servers.answers.keys().map(String::as_str).collect();
        assert_eq!(names, ["api", "cache", "web"]);
        let ports: std::collections::BTreeSet<_> =
            servers.answers.values().map(|(port, _)| port).collect();
        assert_eq!(ports.len(), 3);
        let (port, answer) = &servers.answers["api"];
        let expected = format!(r#"{{"name":"api","port":{port},"settings":{{"workers":4}}}}"#);
        assert_eq!(answer.to_json(), expected);
    }
}
