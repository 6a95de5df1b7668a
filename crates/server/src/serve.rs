//! `squall serve`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use squall_api::{Api, Refusals, RoleRights, Service};
use squall_auth::rbac::Roles;
use squall_auth::{ActionTokens, Directory};
use squall_engine::{
    Engine, Joins, Parts, Recovered, Settings, Tokens, TokioSpawn, Vault, sources,
};
use squall_env::{Env, SystemEnv};
use squall_expr::Expressions;
use squall_model::ExecutionId;
use squall_runners::{Host, Registry};
use squall_store::Store;
use squall_store_sqlite::{Durability, SqliteStore};
use squall_value::Str;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::access::{AccessOptions, FIRST_USER};
use crate::http::{self, Certificate, Listeners, Serving};
use crate::logging::tell;
use crate::ssh::SshOptions;
use crate::tuning::TuningOptions;
use crate::watch::Watch;
use crate::{keys, logging, packs, shutdown, stackstorm};

/// How often the server looks through the store for what a lost signal forgot.
const WATCH_PERIOD: Duration = Duration::from_secs(10);

/// How often old records are removed.
const EXPIRE_PERIOD: Duration = Duration::from_secs(60);

/// How often the local token is replaced: well before a token's life is over.
const LOCAL_TOKEN_PERIOD: Duration = Duration::from_secs(8 * 60 * 60);

/// Within the data directory, the Python libraries that stand behind those of every pack. Installing
/// a pack makes it; its name is that of StackStorm's own environment.
pub(crate) const SHARED_ENVIRONMENT: &str = "st2";

/// Options of `squall serve`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  squall serve --data /var/lib/squall\n  squall serve --data ./data --packs ./packs --listen 127.0.0.1:9101\n  squall serve --database postgres://squall@db/squall"
)]
pub(crate) struct Options {
    /// Where the server keeps its state. Made at the first start.
    #[arg(long, env = "SQUALL_DATA", default_value = "squall-data")]
    pub(crate) data: PathBuf,
    /// A PostgreSQL database instead of the embedded one: `postgres://user@host/name`.
    #[arg(long, env = "SQUALL_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    #[command(flatten)]
    pub(crate) http: http::HttpOptions,
    /// A directory with packs in it; may be given several times.
    #[arg(long = "packs", env = "SQUALL_PACKS", value_delimiter = ':')]
    pub(crate) packs: Vec<PathBuf>,
    /// Links the places of a StackStorm installation, such as `/opt/stackstorm`, to this server's
    /// packs, environments and configurations, for packs that have its paths written into them.
    #[arg(long, env = "SQUALL_STACKSTORM_ROOT", value_name = "DIR")]
    pub(crate) stackstorm_root: Option<PathBuf>,
    /// Python actions can import from the directory `lib` of their pack, as sensors can; StackStorm's
    /// `enable_common_libs`.
    #[arg(long, env = "SQUALL_COMMON_LIBS")]
    pub(crate) common_libs: bool,
    /// The directory with the configurations of packs, `PACK.yaml` each; by default `configs` in the
    /// data directory.
    #[arg(long, env = "SQUALL_CONFIGS")]
    pub(crate) configs: Option<PathBuf>,
    /// The directory that says which resources of packs are enabled, `_global.yaml` and `PACK.yaml`;
    /// by default `overrides` in the data directory.
    #[arg(long, env = "SQUALL_OVERRIDES", value_name = "DIR")]
    pub(crate) overrides: Option<PathBuf>,
    /// Register packs anew as soon as their files change, and tell what is wrong in them: for those
    /// who write packs.
    #[arg(long)]
    pub(crate) watch: bool,
    /// How many actions may have a process at the same time.
    #[arg(long, env = "SQUALL_SLOTS", default_value_t = 64)]
    pub(crate) slots: usize,
    /// Whose variables a workflow's join sees where its branches disagree: what each branch has
    /// `changed` itself, or, as in Orquesta, all that the branch to arrive last has `inherited`.
    #[arg(long, env = "SQUALL_JOINS", value_enum, default_value = "changed")]
    pub(crate) joins: JoinOption,
    /// The file with the keys that seal secrets; by default `<data>.key`, beside the data.
    #[arg(long, env = "SQUALL_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The file with the key of the datastore's secrets, as StackStorm writes it; by default
    /// `<data>.datastore-key.json`, beside the data, which the first start makes.
    #[arg(long, env = "SQUALL_DATASTORE_KEY_FILE")]
    pub(crate) datastore_key_file: Option<PathBuf>,
    /// What an acknowledged event survives: `full` (loss of power) or `process` (only the death of
    /// the process).
    #[arg(long, env = "SQUALL_DURABILITY", default_value = "full")]
    pub(crate) durability: DurabilityName,
    #[command(flatten)]
    pub(crate) access: AccessOptions,
    #[command(flatten)]
    pub(crate) tuning: TuningOptions,
    #[command(flatten)]
    pub(crate) ssh: SshOptions,
    /// What is logged: `error`, `warn`, `info`, `debug`, or a tracing filter in SQUALL_LOG.
    #[arg(long, default_value = "info")]
    pub(crate) log_level: String,
    /// Log as JSON.
    #[arg(long)]
    pub(crate) log_json: bool,
    /// Writes the address that the server listens on to this file once it is ready.
    #[arg(long, hide = true)]
    pub(crate) address_file: Option<PathBuf>,
    /// A bug on purpose.
    #[cfg(feature = "planted")]
    #[arg(long, hide = true)]
    pub(crate) planted: Option<crate::planted::Bug>,
}

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum DurabilityName {
    /// Loss of power.
    Full,
    /// The death of the process.
    Process,
    /// Nothing for sure.
    #[value(hide = true)]
    None,
}

/// Whose variables a workflow's join sees.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum JoinOption {
    /// What each branch has set itself.
    Changed,
    /// All that the last branch to arrive knows.
    Inherited,
}

impl From<JoinOption> for Joins {
    fn from(option: JoinOption) -> Joins {
        match option {
            JoinOption::Changed => Joins::ByChange,
            JoinOption::Inherited => Joins::ByBranch,
        }
    }
}

#[derive(Debug)]
struct SignedTokens(Arc<ActionTokens>);

impl Tokens for SignedTokens {
    fn token(&self, user: &str, execution: ExecutionId) -> Option<String> {
        Some(self.0.make(user, &execution.to_string()))
    }
}

/// Runs the server until it is asked to stop.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    logging::start(&options.log_level, options.log_json);
    let server = Server::start(&options).await?;
    if let Some(password) = &server.first_password {
        tell(
            "This is the first start: an administrator was made. The password is not shown again.",
        );
        tell(&format!(
            "  user: admin\n  password: {password}\n  sign in: squall login admin"
        ));
    }
    tell(&format!(
        "squall is ready: {} (data in {})",
        server.url,
        server.data.display()
    ));
    for (service, url) in &server.single {
        let service = match service {
            Service::All | Service::Api => "API",
            Service::Auth => "sign-in",
            Service::Stream => "event stream",
        };
        tell(&format!("  {service} alone: {url}"));
    }
    if let Some(file) = &options.address_file {
        std::fs::write(file, &server.url)?;
    }
    shutdown::requested().await?;
    tell("stopping: no new work is taken");
    server.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// A server that is ready.
pub(crate) struct Server {
    /// Its engine.
    pub(crate) engine: Arc<Engine>,
    /// Where its API is, such as `http://127.0.0.1:9101`.
    pub(crate) url: String,
    /// Where single services are besides.
    single: Vec<(Service, String)>,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// The password of the administrator, when this start made one.
    pub(crate) first_password: Option<String>,
    store: Arc<dyn Store>,
    api: Arc<Api>,
    services: JoinSet<()>,
    stop_sources: watch::Sender<bool>,
    sources: JoinHandle<()>,
    serving: Serving,
}

impl Server {
    /// Starts a server; returns when it is ready.
    ///
    /// # Errors
    ///
    /// What could not be opened, read or taken up, for the person who starts it.
    pub(crate) async fn start(options: &Options) -> Result<Server> {
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
        let front = options.http.front(options.access.auth_mode)?;
        let data = make_data_directory(&options.data)?;
        if let Some(root) = &options.stackstorm_root {
            stackstorm::link(root, &data)?;
        }
        let store = open_store(options, &data, &env).await?;
        #[cfg(feature = "planted")]
        let store = plant(options, store, &env);
        let key_file = options.key_file.clone();
        let keys = keys::load(&key_file.unwrap_or_else(|| keys::path_for(&data)), &*env)?;
        let listeners = Listeners::open(&options.http, &data, &*env).await?;
        let (url, local_url) = (listeners.url()?, listeners.local_url()?);

        let life = Duration::from_secs(24 * 60 * 60);
        let tokens = Arc::new(ActionTokens::new(keys.tokens, life, Arc::clone(&env)));
        let roles = options.access.roles(&store, &env).await?;
        let ports = Ports {
            store: Arc::clone(&store),
            env: Arc::clone(&env),
            tokens,
            roles: Arc::clone(&roles),
        };
        let directory = Arc::new(options.access.directory(ports.directory())?);
        let engine = start_engine(options, &data, &keys, ports, &local_url).await?;
        let first_password = first_sign_in(&directory, &data, &*env).await?;

        let pack_directories = pack_directories(options, &data)?;
        packs::register_all(&engine, &pack_directories).await;
        tell_recovered(engine.recover().await?);
        let mut services = start_services(&engine, listeners.certificate());
        services.spawn(Arc::clone(&roles).follow());
        watch_packs(options, &data, &pack_directories, &engine, &mut services)?;
        let renewing = renew_local_token(Arc::clone(&directory), data.clone(), Arc::clone(&env));
        services.spawn(renewing);
        let settings = source_settings(options, &data, &local_url);
        let (stop_sources, sources) = start_sources(&engine, settings);

        let api = Arc::new(Api {
            engine: Arc::clone(&engine),
            directory,
            roles,
            role_directory: options.access.rbac_dir.clone(),
            pack_directories,
            limits: options.http.limits(engine.settings().payload_bytes_max),
            metrics: squall_api::Metrics::default(),
            url: options
                .http
                .public_url
                .clone()
                .unwrap_or_else(|| url.clone()),
            host_name: host_name(),
            allowed_origins: options.http.allowed_origins.clone(),
            front,
            refusals: Refusals::default(),
            followers: Arc::default(),
        });
        leave_address(&data, &local_url)?;
        Ok(Server {
            engine,
            url,
            single: listeners.single()?,
            data,
            first_password,
            store,
            services,
            stop_sources,
            sources,
            serving: listeners.serve(&api)?,
            api,
        })
    }

    /// Stops the intake, waits for what runs, ends what is left.
    ///
    /// # Errors
    ///
    /// The store did not answer; all processes have ended nevertheless.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.engine.stop_intake();
        self.stop_sources.send_replace(true);
        self.serving.close();
        // An error says that the sources are gone, which is all that is asked for.
        let _ = self.sources.await;
        self.engine.settle_down().await;
        self.api.stop().await;
        // From here on nobody keeps the server's lease, nor misses the store.
        self.services.shutdown().await;
        self.store.retire_server(self.engine.lease()).await?;
        self.serving.end().await;
        self.store.close().await;
        // Who asks next is told that nothing runs here, not that it does not answer.
        let _ = std::fs::remove_file(self.data.join("address"));
        Ok(())
    }
}

/// Gives the store the bug that the crash test has to find.
#[cfg(feature = "planted")]
fn plant(options: &Options, store: Arc<dyn Store>, env: &Arc<dyn Env>) -> Arc<dyn Store> {
    let Some(bug) = options.planted else {
        return store;
    };
    Arc::new(crate::planted::PlantedStore::new(
        store,
        Arc::clone(env),
        bug,
    ))
}

/// Makes the data directory, for nobody but its owner, and gives its absolute path. One that is
/// there keeps its rights.
fn make_data_directory(data: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data);
    made.with_context(|| format!("cannot make the data directory {}", data.display()))?;
    Ok(std::fs::canonicalize(data)?)
}

/// Says what an earlier start left to do, if it left anything.
fn tell_recovered(recovered: Recovered) {
    let Recovered {
        waiting,
        lost,
        workflows,
        matched,
    } = recovered;
    if recovered != Recovered::default() {
        tracing::info!(
            waiting,
            lost,
            workflows,
            matched,
            "took up what earlier starts left"
        );
    }
}

/// The directories with packs, the shipped ones first. By absolute paths: actions run elsewhere.
fn pack_directories(options: &Options, data: &Path) -> Result<Vec<PathBuf>> {
    let mut directories = vec![packs::unpack(data)?];
    for directory in &options.packs {
        let directory = std::fs::canonicalize(directory)
            .with_context(|| format!("cannot use the packs in {}", directory.display()))?;
        directories.push(directory);
    }
    let installed = data.join("installed");
    std::fs::create_dir_all(&installed)
        .with_context(|| format!("cannot make {}", installed.display()))?;
    directories.push(installed);
    Ok(directories)
}

/// The directory with the configurations of packs.
fn configs(options: &Options, data: &Path) -> PathBuf {
    let named = options.configs.clone();
    named.unwrap_or_else(|| data.join("configs"))
}

/// The directory that says which resources of packs are enabled.
fn overrides(options: &Options, data: &Path) -> PathBuf {
    let named = options.overrides.clone();
    named.unwrap_or_else(|| data.join("overrides"))
}

/// Where packs and their Python environments lie, for the actions that install packs.
fn pack_paths(options: &Options, data: &Path) -> Result<[(String, String); 2]> {
    let directories = std::env::join_paths(pack_directories(options, data)?)
        .context("a pack directory has a colon in its name")?;
    let virtualenvs = data.join("virtualenvs");
    Ok([
        (
            "ST2_PACKS_BASE_PATHS".to_owned(),
            directories.to_string_lossy().into_owned(),
        ),
        (
            "ST2_VIRTUALENVS_PATH".to_owned(),
            virtualenvs.to_string_lossy().into_owned(),
        ),
    ])
}

/// Starts what brings events in; it stops when it is told so.
fn start_sources(
    engine: &Arc<Engine>,
    settings: sources::Settings,
) -> (watch::Sender<bool>, JoinHandle<()>) {
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(sources::run(Arc::clone(engine), settings, stopped));
    (stop, running)
}

/// What event sources need here: a place for what can be made again, and the API for sensors.
fn source_settings(options: &Options, data: &Path, url: &str) -> sources::Settings {
    let mut settings = sources::Settings::new(data.join("cache"));
    options.tuning.apply_to_sources(&mut settings);
    let url = format!("{url}/api/v1");
    settings.sensor_environment = vec![("ST2_API_URL".to_owned(), url)];
    settings.shared_environment = Some(data.join(SHARED_ENVIRONMENT));
    settings
}

async fn open_store(options: &Options, data: &Path, env: &Arc<dyn Env>) -> Result<Arc<dyn Store>> {
    if let Some(url) = &options.database {
        let store = squall_store_postgres::PostgresStore::connect(url, Arc::clone(env)).await;
        return Ok(Arc::new(store.context("cannot use the database")?));
    }
    let durability = match options.durability {
        DurabilityName::Full => Durability::Full,
        DurabilityName::Process => Durability::Process,
        DurabilityName::None => Durability::None,
    };
    let path = data.join("squall.db");
    let options = squall_store_sqlite::Options {
        durability,
        ..Default::default()
    };
    let store = SqliteStore::open(&path, options);
    Ok(Arc::new(store.with_context(|| {
        format!("cannot use {}", path.display())
    })?))
}

/// What the engine is made of that other parts use, too.
struct Ports {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    tokens: Arc<ActionTokens>,
    roles: Arc<Roles>,
}

impl Ports {
    fn directory(&self) -> Directory {
        Directory::new(
            Arc::clone(&self.store),
            Arc::clone(&self.env),
            squall_auth::Settings::default(),
            Arc::clone(&self.tokens),
        )
    }
}

async fn start_engine(
    options: &Options,
    data: &Path,
    keys: &keys::Keys,
    ports: Ports,
    url: &str,
) -> Result<Arc<Engine>> {
    let Ports {
        store,
        env,
        tokens,
        roles,
    } = &ports;
    let mut settings = Settings {
        slots: options.slots,
        joins: options.joins.into(),
        api_url: format!("{url}/api/v1"),
        single_server: options.database.is_none(),
        virtualenvs: Some(data.join("virtualenvs")),
        configs: Some(configs(options, data)),
        overrides: Some(overrides(options, data)),
        build: build(),
        check_every_step: options.access.rbac_every_step,
        ..Settings::default()
    };
    options.tuning.apply(&mut settings);
    let (datastore_key, key_file) = datastore_key(options, data, &**env)?;
    let run_dir = data.join("run");
    let server_id = data.to_string_lossy().into_owned();
    let mut runner_settings = squall_runners::Settings::new(server_id.clone(), &run_dir);
    runner_settings.helper = std::env::current_exe().ok();
    runner_settings.ssh = options.ssh.settings(data);
    runner_settings.shared_environment = Some(data.join(SHARED_ENVIRONMENT));
    runner_settings.common_libs = options.common_libs;
    runner_settings.base_env.extend(pack_paths(options, data)?);
    if let Some(program) = &runner_settings.helper {
        // What installs packs reads their metadata with it.
        let program = program.to_string_lossy().into_owned();
        runner_settings
            .base_env
            .push(("SQUALL_PROGRAM".to_owned(), program));
    }
    let host = Host::new(runner_settings, Arc::clone(env)).context("cannot prepare the runners")?;
    end_orphans(store, env, &run_dir, &server_id, settings.grace).await?;
    let now = env.now();
    let until = now.checked_add(settings.lease)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let name = format!("{}:{}", host_name(), std::process::id());
    let server = store.register_server(&name, boot.trim(), until).await?;
    let engine = Engine::new(Parts {
        store: Arc::clone(store),
        env: Arc::clone(env),
        spawn: Arc::new(TokioSpawn),
        runners: Arc::new(Registry::new(&host)),
        expressions: Arc::new(Expressions::default()),
        crypto: Some(datastore_key),
        vault: Vault::new(&keys.vault, Arc::clone(env)),
        tokens: Arc::new(SignedTokens(Arc::clone(tokens))),
        rights: Arc::new(RoleRights(Arc::clone(roles))),
        settings,
        lease: server.lease,
    });
    let previous = key_file.previous()?;
    let kept = engine.keep_datastore_key(Arc::new(key_file), previous);
    kept.await?;
    engine.reload().await?;
    Ok(engine)
}

/// The key of the datastore's secrets, and the file that it is in.
fn datastore_key(
    options: &Options,
    data: &Path,
    env: &dyn Env,
) -> Result<(squall_expr::crypto::Key, keys::DatastoreKeyFile)> {
    let (key, path) = match &options.datastore_key_file {
        // One that is named and not there is a mistake: a fresh key would open nothing.
        Some(path) => (keys::read_datastore(path)?, path.clone()),
        None => {
            let path = keys::datastore_path_for(data);
            (keys::load_datastore(&path, env)?, path)
        }
    };
    Ok((key, keys::DatastoreKeyFile(path)))
}

/// What tells this build of the program from others: its version, and size and age of its file.
fn build() -> Str {
    let modified = |file: &std::fs::Metadata| {
        let since = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH);
        since.ok().map(|since| since.as_nanos())
    };
    let file = std::env::current_exe().and_then(std::fs::metadata);
    let file = file.map(|file| (file.len(), modified(&file).unwrap_or_default()));
    let (bytes, age) = file.unwrap_or_default();
    Str::from(format!("{} {bytes} {age}", env!("CARGO_PKG_VERSION")))
}

/// Ends the processes of an earlier start whose executions were still under way. A daemon that an
/// execution left on purpose is left alone.
async fn end_orphans(
    store: &Arc<dyn Store>,
    env: &Arc<dyn Env>,
    run_dir: &Path,
    server_id: &str,
    grace: Duration,
) -> Result<()> {
    let mut orphans = Vec::new();
    for orphan in squall_runners::find_orphans(run_dir, server_id) {
        let execution = match orphan.execution_id.parse() {
            Ok(id) => store.execution(id).await?,
            Err(_) => None,
        };
        if execution.is_none_or(|execution| !execution.state().is_ended()) {
            orphans.push(orphan);
        }
    }
    if !orphans.is_empty() {
        let ended = squall_runners::end_orphans(run_dir, &orphans, &**env, grace).await;
        tracing::warn!(ended, "ended the processes of an earlier start");
    }
    Ok(())
}

pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// The first start makes an administrator, and returns the password.
async fn first_sign_in(
    directory: &Directory,
    data: &Path,
    env: &dyn Env,
) -> Result<Option<String>> {
    let mut first_password = None;
    if directory.is_empty().await? {
        let password = squall_auth::fresh_password(env);
        directory.set_password(FIRST_USER, &password).await?;
        first_password = Some(password);
    }
    leave_local_token(directory, data).await?;
    Ok(first_password)
}

/// Leaves the server's address: commands that know the data directory find the server by it.
fn leave_address(data: &Path, url: &str) -> Result<()> {
    write_private(&data.join("address"), url).context("cannot leave the server's address")
}

/// Leaves a token for commands on this machine by the same user; nobody else can read it.
async fn leave_local_token(directory: &Directory, data: &Path) -> Result<()> {
    let issued = directory
        .issue(FIRST_USER, None, squall_value::Value::empty_dict())
        .await?;
    let path = data.join("local-token");
    write_private(&path, &issued.token).with_context(|| format!("cannot write {}", path.display()))
}

/// Replaces the local token before it expires, for as long as the server runs.
async fn renew_local_token(directory: Arc<Directory>, data: PathBuf, env: Arc<dyn Env>) {
    loop {
        env.sleep(LOCAL_TOKEN_PERIOD).await;
        if let Err(error) = leave_local_token(&directory, &data).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the local token was not renewed"
            );
        }
    }
}

pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&fresh, path)
}

/// Has packs registered anew when their files change, if that is asked for.
fn watch_packs(
    options: &Options,
    data: &Path,
    pack_directories: &[PathBuf],
    engine: &Arc<Engine>,
    services: &mut JoinSet<()>,
) -> Result<()> {
    if options.watch {
        // The first are the shipped ones, which nobody edits.
        let beside = [configs(options, data), overrides(options, data)];
        let watch = Watch::begin(&pack_directories[1..], beside.to_vec())?;
        services.spawn(watch.run(Arc::clone(engine)));
    }
    Ok(())
}

/// What runs beside the API for as long as the server does.
fn start_services(engine: &Arc<Engine>, certificate: Option<Arc<Certificate>>) -> JoinSet<()> {
    let mut services = JoinSet::new();
    if let Some(certificate) = certificate {
        services.spawn(certificate.follow(Arc::clone(engine.env())));
    }
    services.spawn(Arc::clone(engine).keep_time());
    services.spawn(Arc::clone(engine).keep_watch(WATCH_PERIOD));
    services.spawn(Arc::clone(engine).keep_alive());
    if !engine.settings().single_server {
        services.spawn(Arc::clone(engine).follow_definitions());
    }
    let expiring = Arc::clone(engine);
    services.spawn(async move {
        loop {
            expiring.env().sleep(EXPIRE_PERIOD).await;
            while expiring.expire().await.is_ok_and(|removed| removed > 0) {}
        }
    });
    services
}
