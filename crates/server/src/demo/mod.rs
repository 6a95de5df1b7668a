//! `squall demo`: servers that follow a file in a git repository.
//!
//! Starts a server with its own data, a local repository with a `servers.yaml`, and a pack with a
//! rule on that repository. A push makes the rule run a workflow, which makes real processes what
//! the file says. All of it lies in one directory, and `--down` takes all of it away.

mod place;
mod process;
mod repository;
mod servers;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use squall_engine::Trigger;
use squall_engine::sources::SourcePhase;
use squall_env::{Env, SystemEnv};
use squall_value::Value;
use tokio::sync::mpsc;

use crate::http::{CookieOption, HttpOptions, TlsOptions};
use crate::serve::{self, Server};
use crate::{logging, shutdown};
use place::Place;
use process::Process;
use repository::Repository;
use servers::Servers;
use show::{Console, Run};

/// How long the source may take to look at the repository for the first time.
const SOURCE_WAIT: Duration = Duration::from_secs(60);
/// How long one push may take until it is applied.
const RUN_WAIT: Duration = Duration::from_secs(300);
/// How long a demo that is told to stop may take.
const DOWN_WAIT: Duration = Duration::from_secs(45);
/// The pause between two looks at something that gives no signal.
const LOOK: Duration = Duration::from_millis(50);

/// Options of `squall demo`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  squall demo\n  squall demo --once\n  squall demo --once --file good.yaml --file bad.yaml\n  squall demo --down"
)]
pub(crate) struct Options {
    /// The directory for everything that the demo makes.
    #[arg(long, default_value = "squall-demo")]
    dir: PathBuf,
    /// Push once, wait until it is applied, ask the servers over HTTP, take everything down; the
    /// exit code is 0 when all was as it should be, else 1.
    #[arg(long, conflicts_with = "down")]
    once: bool,
    /// Stop everything that an earlier demo started, and remove its directory.
    #[arg(long)]
    down: bool,
    /// Push this file as servers.yaml instead of the example; several are pushed one after the
    /// other.
    #[arg(long = "file", conflicts_with = "down")]
    files: Vec<PathBuf>,
    /// The address of the API; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", conflicts_with = "down")]
    listen: std::net::SocketAddr,
}

/// Runs the demo, or takes one down.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    logging::start("error", false);
    let env = SystemEnv::new();
    let place = Place::new(&options.dir)?;
    if options.down {
        return down(&place, &env).await;
    }
    repository::check_machine().await?;
    if place.exists() && (options.once || !options.files.is_empty()) {
        bail!(
            "{} is there already; take it away with `squall demo --down --dir {}`, or name another directory with --dir",
            place.root.display(),
            options.dir.display()
        );
    }
    let texts = read_files(&options.files)?;
    let fresh = !place.exists();
    if let Some(running) = Process::load(&place.process_file())
        && running.is_alive()
    {
        bail!("the demo in {} runs already", place.root.display());
    }
    place.make()?;
    Process::own()?.store(&place.process_file())?;
    let shown = demo(&options, &place, texts, fresh).await;
    let _ = std::fs::remove_file(place.process_file());
    if options.once {
        // A failure to clean up must not hide what went wrong before.
        let cleaned = clean(&place, &env).await;
        let code = shown?;
        cleaned?;
        return Ok(code);
    }
    shown
}

fn read_files(files: &[PathBuf]) -> Result<Vec<String>> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    files.iter().map(read).collect()
}

/// One port, for one person.
fn http(options: &Options) -> HttpOptions {
    HttpOptions {
        listen: options.listen,
        listen_auth: None,
        listen_stream: None,
        public_url: None,
        allowed_origins: Vec::new(),
        max_requests: 64,
        max_queued: 1_000,
        max_connections: 1_000,
        trusted_proxies: Vec::new(),
        secure_cookies: CookieOption::Auto,
        tls: TlsOptions::default(),
    }
}

async fn demo(
    options: &Options,
    place: &Place,
    mut texts: Vec<String>,
    fresh: bool,
) -> Result<ExitCode> {
    let console = Console::new();
    let repository = Repository::new(place);
    if fresh {
        repository.create().await?;
        if texts.is_empty() {
            texts.push(servers::example()?);
        }
    }
    place.write_pack(repository.bare())?;
    let server = Server::start(&serve::Options {
        data: place.data(),
        database: None,
        http: http(options),
        access: crate::access::AccessOptions::default(),
        ssh: crate::ssh::SshOptions::default(),
        stackstorm_root: None,
        common_libs: false,
        packs: vec![place.packs()],
        configs: None,
        overrides: None,
        watch: false,
        tuning: crate::tuning::TuningOptions::default(),
        slots: 16,
        joins: serve::JoinOption::Changed,
        key_file: None,
        datastore_key_file: None,
        durability: serve::DurabilityName::Full,
        log_level: "error".to_owned(),
        log_json: false,
        address_file: None,
        #[cfg(feature = "planted")]
        planted: None,
    })
    .await?;
    let (sender, mut runs) = mpsc::channel(64);
    let showing = tokio::spawn(show::follow(
        server.engine.store().clone(),
        console.clone(),
        sender,
    ));
    let played = tokio::select! {
        played = play(options, place, &repository, &server, &console, texts, &mut runs) => played,
        asked = shutdown::requested() => match asked {
            Ok(()) if options.once => Err(anyhow::anyhow!("interrupted before the end")),
            Ok(()) => {
                goodbye(options, &console);
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => Err(error.into()),
        },
    };
    let stopped = server.stop().await;
    showing.abort();
    let code = played?;
    stopped?;
    Ok(code)
}

/// Pushes what is to be pushed, then lets the newcomer play.
async fn play(
    options: &Options,
    place: &Place,
    repository: &Repository,
    server: &Server,
    console: &Console,
    texts: Vec<String>,
    runs: &mut mpsc::Receiver<Run>,
) -> Result<ExitCode> {
    wait_for_source(server, repository.bare()).await?;
    console.headline(&format!("Squall runs: {}", server.url));
    let mut all_succeeded = true;
    let mut expected = Servers::default();
    for text in &texts {
        console.say("pushing a servers.yaml:");
        console.text(text);
        let commit = repository.push(text).await?;
        let run = wait_for_run(server, runs, &commit).await?;
        if run.succeeded {
            expected = Servers::parse(text)?;
        } else {
            all_succeeded = false;
        }
        let answers = expected.verify(place, server.engine.env().as_ref()).await;
        for line in answers.context("after the run, the servers are not as they should be")? {
            console.say(&line);
        }
        if !run.succeeded {
            console.say("the push was not applied: what ran before still runs");
        }
    }
    if options.once {
        console.headline(if all_succeeded {
            "All is as servers.yaml says. Taking everything down."
        } else {
            "A push was refused. Taking everything down."
        });
        return Ok(ExitCode::from(u8::from(!all_succeeded)));
    }
    instructions(options, place, repository, server, console);
    while let Some(run) = runs.recv().await {
        if run.succeeded {
            console.say(&format!("the report is in {}", place.report().display()));
        } else {
            console.say("mend servers.yaml, commit it and push again");
        }
    }
    bail!("the server's feed of changes has ended")
}

fn goodbye(options: &Options, console: &Console) {
    console.headline("Squall stops. The servers go on: they are processes of their own.");
    console.say(&format!("start it again:       {}", command(options, "")));
    console.say(&format!(
        "take everything down: {}",
        command(options, " --down")
    ));
}

/// As it was called: a newcomer has it on no path.
fn program() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| "squall".to_owned())
}

fn command(options: &Options, flag: &str) -> String {
    let program = program();
    if options.dir == Path::new("squall-demo") {
        format!("{program} demo{flag}")
    } else {
        format!("{program} demo{flag} --dir {}", options.dir.display())
    }
}

fn instructions(
    options: &Options,
    place: &Place,
    repository: &Repository,
    server: &Server,
    console: &Console,
) {
    console.headline("Now you. In another terminal:");
    console.say(&format!(
        "git clone {} my-servers",
        repository.bare().display()
    ));
    console.say("cd my-servers");
    console.say("$EDITOR servers.yaml      # add a server, change a setting, remove one");
    console.say("git commit -a -m 'Change the servers' && git push");
    console.headline("What there is to look at:");
    console.say(&format!(
        "the rule and the workflow  {}/demo",
        place.packs().display()
    ));
    console.say(&format!(
        "the report                 {}",
        place.report().display()
    ));
    console.say(&format!("the API                    {}/api/v1", server.url));
    let program = program();
    console.say(&format!(
        "what ran                   {program} execution list --server {} --data {}",
        server.url,
        server.data.display()
    ));
    if let Some(password) = &server.first_password {
        console.say(&format!(
            "to sign in                 user admin, password {password}"
        ));
    }
    console.say("Ctrl-C stops Squall and leaves the servers running.");
    console.say(&format!(
        "{} stops them too and removes {}.",
        command(options, " --down"),
        place.root.display()
    ));
}

/// Until the repository has been looked at: what is pushed from then on is an event.
async fn wait_for_source(server: &Server, repository: &Path) -> Result<()> {
    let catalog = server.engine.catalog();
    let watches = |trigger: &&Arc<Trigger>| {
        trigger.parameters.get("url").and_then(Value::as_str) == repository.to_str()
    };
    let trigger = catalog.triggers().find(watches).context(
        "nothing watches the repository: the demo's rule was not registered; see the messages above",
    )?;
    let subject = trigger.reference.text();
    let mut waited = Duration::ZERO;
    loop {
        let states = server.engine.source_states();
        let state = states.into_iter().find(|state| state.subject == subject);
        let phase = state.as_ref().map(|state| state.phase);
        if phase == Some(SourcePhase::Running) {
            return Ok(());
        }
        if phase == Some(SourcePhase::Failed) || waited >= SOURCE_WAIT {
            let reason = state.and_then(|state| state.last_error);
            let reason = reason.as_deref().unwrap_or("it gave no reason");
            bail!("the repository cannot be watched: {reason}");
        }
        server.engine.env().sleep(LOOK).await;
        waited += LOOK;
    }
}

async fn wait_for_run(
    server: &Server,
    runs: &mut mpsc::Receiver<Run>,
    commit: &str,
) -> Result<Run> {
    let ended = async {
        while let Some(run) = runs.recv().await {
            if run.commit == commit {
                return Ok(run);
            }
        }
        bail!("the server's feed of changes has ended")
    };
    tokio::select! {
        run = ended => run,
        () = server.engine.env().sleep(RUN_WAIT) => bail!(
            "the push {commit} was not applied within {} seconds", RUN_WAIT.as_secs()
        ),
    }
}

async fn down(place: &Place, env: &dyn Env) -> Result<ExitCode> {
    let console = Console::new();
    if !place.exists() {
        console.say(&format!("there is no demo in {}", place.root.display()));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(running) = Process::load(&place.process_file())
        && running.is_alive()
    {
        console.say("stopping Squall");
        if !running.end(env, DOWN_WAIT).await? {
            bail!("process {} does not stop", running.pid);
        }
    }
    clean(place, env).await?;
    console.say(&format!(
        "everything is down, and {} is gone",
        place.root.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Stops the servers and removes the directory.
async fn clean(place: &Place, env: &dyn Env) -> Result<()> {
    servers::stop_all(place, env).await?;
    place.remove()
}

/// A document that another program wrote; `None` when it is not there or not whole.
fn read_json(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    squall_value::json::read(&text).ok()
}
