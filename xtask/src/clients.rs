//! Suites in which programs of others talk to a real server.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, Count};
use crate::python;
use crate::server::{self, Person, Server, Setup};
use crate::suites::{Outcome, one, recorded_cases};

/// StackStorm's own command line client.
const ST2_CLIENT: &str = "st2client==3.9.0";

/// Makes requests out of an OpenAPI description and checks the answers against it.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// What schemathesis must know: which checks a quirk of StackStorm's rules out, and where.
const QUIRKS: &str = "xtask/schemathesis.toml";

/// How many requests are made up for each endpoint in a test run, besides those at the bounds of
/// each parameter.
const EXAMPLES: u32 = 10;

/// The official client against a server with StackStorm's three ports.
pub(crate) fn st2(root: &Path) -> Result<Outcome> {
    let suite = recorded_cases(root).join("st2_cli_suite.py");
    if !suite.is_file() {
        return Ok(Outcome::Skipped(
            "the suite of the official client is not there (SQUALL_CONFORMANCE says where it lies)"
                .to_owned(),
        ));
    }
    let programs = python::install(root, ST2_CLIENT)?;
    let place = tempfile::Builder::new().prefix("squall-st2-").tempdir()?;
    let [auth, stream] = ports()?;
    let arguments = ["--listen-auth", &auth, "--listen-stream", &stream];
    let (mut server, log) = start(root, place.path(), &arguments)?;
    let (api, _) = server.address_and_token();
    let mut command = Command::new("python3");
    command
        .arg(suite)
        .args(["--api-url", &format!("http://{api}/v1")])
        .args(["--auth-url", &format!("http://{auth}")])
        .args(["--stream-url", &format!("http://{stream}/v1")])
        .args(["--user", "admin", "--password", &first_password(&log)?])
        .arg("--st2")
        .arg(programs.join("st2"));
    let counts = command::run(&mut command, Count::LastLine);
    server.stop()?;
    one(counts)
}

/// Requests made up from the description that the server gives of itself.
pub(crate) fn openapi(root: &Path) -> Result<Outcome> {
    // The same requests in every run: one that found something new would fail somebody else's change.
    one(schemathesis(
        root,
        EXAMPLES,
        &["--generation-deterministic"],
    ))
}

/// As the suite, with that many examples for each endpoint; true when nothing failed.
///
/// # Errors
///
/// When schemathesis or the server cannot be started.
pub(crate) fn fuzz(root: &Path, examples: u32) -> Result<bool> {
    Ok(schemathesis(root, examples, &[])?.failed == 0)
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum Asker {
    /// Whoever may do everything.
    Admin,
    /// A user with [`VISITOR`]'s rights, for whom most requests are refused.
    Visitor,
}

/// A role that may list, look at the pack `core`, and run one action.
const VISITOR: (&str, &str) = (
    "roles/visitor.yaml",
    "name: visitor
permission_grants:
- permission_types: [action_list, rule_list, execution_list, pack_list, inquiry_list, stream_view]
- resource_uid: pack:core
  permission_types: [pack_view, action_view, rule_view, sensor_type_view]
- resource_uid: action:core:noop
  permission_types: [action_execute]
",
);

/// Who has it.
const ASSIGNMENT: (&str, &str) = (
    "assignments/visitor.yaml",
    "username: visitor\nroles: [visitor]\n",
);

/// Who that is.
const VISITING: Person = Person {
    name: "visitor",
    credentials: "dmlzaXRvcjp2aXNpdG9y",
};

fn schemathesis(root: &Path, examples: u32, arguments: &[&str]) -> Result<command::Counts> {
    let admin = ask_everything(root, examples, arguments, Asker::Admin)?;
    Ok(admin + ask_everything(root, examples, arguments, Asker::Visitor)?)
}

fn ask_everything(
    root: &Path,
    examples: u32,
    arguments: &[&str],
    asker: Asker,
) -> Result<command::Counts> {
    let programs = python::install(root, SCHEMATHESIS)?;
    let place = tempfile::Builder::new()
        .prefix("squall-openapi-")
        .tempdir()?;
    let roles = place.path().join("rbac");
    for (file, text) in [VISITOR, ASSIGNMENT] {
        let file = roles.join(file);
        std::fs::create_dir_all(file.parent().context("a role has a directory")?)?;
        std::fs::write(file, text)?;
    }
    let roles = roles.to_string_lossy();
    let (mut server, _) = start(root, place.path(), &["--rbac", "--rbac-dir", &roles])?;
    let (address, token) = server.address_and_token();
    let token = match asker {
        Asker::Admin => token,
        Asker::Visitor => server.sign_up(&VISITING)?,
    };
    println!("openapi: as {asker:?}");
    let mut command = Command::new(programs.join("st"));
    command
        .current_dir(place.path())
        .arg("--config-file")
        .arg(root.join(QUIRKS))
        .args(["run", &format!("http://{address}/openapi.json")])
        .args(["--header", &format!("X-Auth-Token: {token}")])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", &examples.to_string()])
        .args(["--continue-on-failure", "--no-shrink", "--warnings", "off"])
        .args(["--request-timeout", "30", "--no-color"])
        .args(arguments);
    let counts = command::run(&mut command, Count::One);
    let answers = server.client().get("/ready").is_ok();
    server.stop()?;
    if !answers {
        bail!("the server does not answer any more");
    }
    counts
}

fn start(root: &Path, place: &Path, arguments: &[&str]) -> Result<(Server, std::path::PathBuf)> {
    let setup = Setup {
        binary: server::build(root, false)?,
        data: place.join("data"),
        packs: None,
        arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
        variables: Vec::new(),
        log: place.join("log"),
    };
    Ok((Server::start(&setup)?, setup.log))
}

/// The password that the first start tells.
fn first_password(log: &Path) -> Result<String> {
    let log = std::fs::read_to_string(log)?;
    let told = log.lines().find_map(|line| line.split_once("password: "));
    let (_, password) = told.context("the first start told no password")?;
    Ok(password.trim().to_owned())
}

/// Addresses that were free a moment ago.
fn ports() -> Result<[String; 2]> {
    let (one, two) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    Ok([one.local_addr()?.to_string(), two.local_addr()?.to_string()])
}
