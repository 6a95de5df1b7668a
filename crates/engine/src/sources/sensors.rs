//! Sensors of packs: a supervised process for each one that is enabled.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use squall_model::{Document, DocumentKind};
use squall_sensors::sensor::{
    Handle, Level, Phase, Ports, Protocol, SensorSpec, ServerLog, sensor,
};
use squall_store::{DocumentFilter, Page};
use squall_value::{Dict, Str, Value, dict};

use super::hold::{Ended, StopSignal, Work, lease_name};
use super::port::{Door, Keys, Life};
use super::state::SourcePhase;
use super::{Settings, chain};
use crate::{Catalog, Engine, Trigger};

/// A sensor as it is defined, with all that a running one depends on.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) reference: Str,
    pack: Str,
    pack_directory: PathBuf,
    body: Value,
    config: Value,
}

impl Definition {
    /// A running sensor whose definition has another fingerprint is started anew.
    pub(super) fn fingerprint(&self) -> Value {
        dict! {
            "body" => self.body.clone(),
            "directory" => self.pack_directory.to_string_lossy().into_owned(),
            "config" => self.config.clone(),
        }
    }

    fn text(&self, member: &str) -> &str {
        let text = self.body.get(member).and_then(Value::as_str);
        text.unwrap_or_default()
    }

    fn types(&self) -> impl Iterator<Item = &str> {
        let list = self.body.get("trigger_types").and_then(Value::as_list);
        list.unwrap_or_default().iter().filter_map(Value::as_str)
    }

    /// The triggers of its types, by reference.
    fn triggers(&self, catalog: &Catalog) -> BTreeMap<Str, Value> {
        let is_ours = |trigger: &Trigger| self.types().any(|kind| kind == trigger.kind.as_str());
        let triggers = catalog.triggers().filter(|trigger| is_ours(trigger));
        triggers
            .map(|trigger| (trigger.reference.text(), shown(trigger)))
            .collect()
    }
}

/// A trigger as StackStorm shows it to sensors.
fn shown(trigger: &Trigger) -> Value {
    let reference = &trigger.reference;
    let (pack, name) = (reference.pack(), reference.name());
    let hash = squall_packs::parameters_hash(&trigger.parameters);
    dict! {
        "id" => reference.text(),
        "uid" => format!("trigger:{pack}:{name}:{hash}"),
        "ref" => reference.text(),
        "name" => name,
        "pack" => pack,
        "type" => trigger.kind.text(),
        "parameters" => trigger.parameters.clone(),
    }
}

/// The enabled sensors.
pub(super) async fn definitions(
    engine: &Engine,
    catalog: &Catalog,
) -> Result<Vec<Definition>, squall_store::Error> {
    let filter = DocumentFilter::default();
    let now = engine.env.now();
    let documents = engine
        .store
        .documents(DocumentKind::Sensor, &filter, Page::ALL, now)
        .await?;
    let enabled = |document: &&Arc<Document>| {
        let enabled = document.body.get("enabled").and_then(Value::as_bool);
        enabled.unwrap_or(true)
    };
    let definition = |document: &Arc<Document>| {
        let pack = document
            .pack
            .clone()
            .or_else(|| document.key.split('.').next().map(Str::from))
            .unwrap_or_default();
        Definition {
            reference: document.key.clone(),
            pack_directory: catalog.pack_directory(&pack).cloned().unwrap_or_default(),
            config: Value::from(catalog.config_values(&pack)),
            pack,
            body: document.body.clone(),
        }
    };
    let documents = documents.items.iter().filter(enabled);
    Ok(documents.map(definition).collect())
}

/// The work of one sensor.
pub(super) struct Sensor {
    pub(super) engine: Arc<Engine>,
    pub(super) settings: Arc<Settings>,
    pub(super) key: Str,
    pub(super) definition: Definition,
}

#[async_trait]
impl Work for Sensor {
    async fn run(&self, mut stop: StopSignal) -> Ended {
        let mut changes = self.engine.definition_changes();
        let known = self.definition.triggers(&self.engine.catalog());
        let spec = match self.spec(known.values().cloned().collect()).await {
            Ok(spec) => spec,
            Err(reason) => {
                tracing::error!(
                    sensor = &*self.definition.reference,
                    reason,
                    "a sensor cannot run"
                );
                self.engine.sources.change(&self.key, |state| {
                    state.phase = SourcePhase::Failed;
                    state.last_error = Some(Str::from(reason));
                });
                return Ended::ForGood;
            }
        };
        let (handle, service) = sensor(spec, self.ports(), self.settings.sensor_limits.clone());
        let board = &self.engine.sources;
        board.set_sensor(&self.key, Some(handle.clone()));
        let running = service.run();
        tokio::pin!(running);
        let follow = self.follow(&handle, &mut changes, known);
        tokio::pin!(follow);
        tokio::select! {
            () = &mut running => {}
            () = &mut follow => {}
            () = stop.stopped() => {
                handle.stop();
                running.await;
            }
        }
        board.set_sensor(&self.key, None);
        match handle.state().phase {
            // It was not asked to, so it stopped because its lease went.
            Phase::Stopped => Ended::LeaseLost,
            _ => Ended::ForGood,
        }
    }
}

impl Sensor {
    /// Tells the sensor about triggers that come and go, for ever.
    async fn follow(
        &self,
        handle: &Handle,
        changes: &mut tokio::sync::watch::Receiver<u64>,
        mut known: BTreeMap<Str, Value>,
    ) {
        while changes.changed().await.is_ok() {
            let now = self.definition.triggers(&self.engine.catalog());
            for (reference, trigger) in &known {
                if !now.contains_key(reference) {
                    handle.trigger_removed(trigger.clone()).await;
                }
            }
            for (reference, trigger) in &now {
                if !known.contains_key(reference) {
                    handle.trigger_added(trigger.clone()).await;
                }
            }
            known = now;
        }
        // The engine is gone, and whoever holds the sensor stops it.
        std::future::pending().await
    }

    fn ports(&self) -> Ports {
        Ports {
            env: Arc::clone(&self.engine.env),
            sink: Arc::new(Door {
                engine: Arc::clone(&self.engine),
                lease: lease_name(&self.key),
                trigger: None,
                position: None,
            }),
            datastore: Arc::new(Keys {
                engine: Arc::clone(&self.engine),
            }),
            log: Arc::new(ServerLog),
            witness: Arc::new(Life {
                engine: Arc::clone(&self.engine),
                class_name: self.definition.text("class_name").into(),
            }),
        }
    }

    async fn spec(&self, triggers: Vec<Value>) -> Result<SensorSpec, String> {
        let definition = &self.definition;
        let entry_point = definition
            .pack_directory
            .join("sensors")
            .join(definition.text("entry_point"));
        if !entry_point.is_file() {
            return Err(format!(
                "its file {} is not there; put it back, and register the pack again",
                entry_point.display()
            ));
        }
        let cache = self.settings.cache.clone();
        let host = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&cache).and_then(|()| squall_python::unpack(&cache))
        });
        let host = host
            .await
            .map_err(|error| error.to_string())
            .and_then(|host| host.map_err(|error| error.to_string()))
            .map_err(|reason| {
                format!("the files of the sensor host cannot be written: {reason}")
            })?;
        let virtualenv = self.engine.virtualenv(&definition.pack);
        let mut environment = self.settings.sensor_environment.clone();
        if let Some(virtualenv) = &virtualenv {
            let path = std::env::var("PATH").unwrap_or_default();
            let path = format!("{}/bin:{path}", virtualenv.display());
            environment.push(("PATH".to_owned(), path));
        }
        let interval = definition.body.get("poll_interval");
        let interval = interval.and_then(Value::as_int);
        let library = definition.pack_directory.join("lib");
        let shared = self.settings.shared_environment.as_deref();
        let shared = shared.and_then(squall_python::library_paths);
        let library = library.is_dir().then_some(library);
        let python_path = library
            .into_iter()
            .chain(shared.map(|(_, packages)| packages));
        Ok(SensorSpec {
            reference: definition.reference.clone(),
            pack: definition.pack.clone(),
            class_name: definition.text("class_name").into(),
            entry_point,
            protocol: match definition.text("protocol") {
                "stdio" => Protocol::Stdio,
                _ => Protocol::Python,
            },
            interpreter: match virtualenv {
                Some(virtualenv) => virtualenv.join("bin/python"),
                None => self.settings.python.clone(),
            },
            host,
            python_path: python_path.collect(),
            config: self.config()?,
            poll_interval_seconds: interval.and_then(|seconds| u64::try_from(seconds).ok()),
            triggers,
            environment,
            working_directory: Some(definition.pack_directory.clone()),
            log_level: Level::Info,
        })
    }

    /// The pack's configuration, with the datastore's values in place of templates.
    fn config(&self) -> Result<Value, String> {
        let (engine, catalog) = (&self.engine, self.engine.catalog());
        let user = &engine.settings.system_user;
        let config = engine.pack_config(&catalog, &self.definition.pack, user, &mut Vec::new());
        let config = config.map_err(|error| chain(&error))?;
        Ok(match config {
            Value::Dict(_) => config,
            _ => Value::from(Dict::new()),
        })
    }
}
