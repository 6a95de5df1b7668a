//! The runner types: their descriptions, and the runners behind them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use squall_value::{Value, json};

use crate::announcement::Announcement;
use crate::host::Host;
use crate::http::Http;
use crate::noop::Noop;
use crate::port::Runner;
use crate::python::Python;
use crate::shell::{ShellCommand, ShellScript};
use crate::ssh::{Kind, Pool, Remote};
use crate::stdio::Program;
use crate::winrm::{self, Windows};

/// What the API tells of a runner type.
#[derive(Debug, Clone)]
pub struct RunnerType {
    /// Its name.
    pub name: String,
    /// Other names that actions may use for it.
    pub aliases: Vec<String>,
    /// What it is for.
    pub description: String,
    /// The Python package that implements it in StackStorm; clients see it.
    pub package: String,
    /// The Python module that implements it in StackStorm; clients see it.
    pub module: String,
    /// Names of parameters to their metadata, in order.
    pub parameters: Value,
    /// The member of the result that an action's output schema is about.
    pub output_key: Option<String>,
    /// The schema of results; an empty dictionary when there is none.
    pub output_schema: Value,
}

static TYPES: LazyLock<Vec<RunnerType>> = LazyLock::new(|| {
    let types =
        json::read(include_str!("runner_types.json")).expect("the file is part of the code");
    let entries = types.as_list().unwrap_or_default();
    entries.iter().map(runner_type).collect()
});

static NO_PARAMETERS: LazyLock<Value> = LazyLock::new(Value::empty_dict);

fn runner_type(entry: &Value) -> RunnerType {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let dict = |key: &str| entry.get(key).cloned().unwrap_or_else(Value::empty_dict);
    let aliases = entry.get("aliases").and_then(Value::as_list);
    RunnerType {
        name: text("name").unwrap_or_default(),
        aliases: aliases
            .unwrap_or_default()
            .iter()
            .filter_map(|alias| alias.as_str().map(str::to_owned))
            .collect(),
        description: text("description").unwrap_or_default(),
        package: text("runner_package").unwrap_or_default(),
        module: text("runner_module").unwrap_or_default(),
        parameters: dict("runner_parameters"),
        output_key: text("output_key"),
        output_schema: dict("output_schema"),
    }
}

/// The parameters of the runner type `name`.
pub(crate) fn parameters_of(name: &str) -> &'static Value {
    TYPES
        .iter()
        .find(|runner_type| runner_type.name == name)
        .map_or(&NO_PARAMETERS, |runner_type| &runner_type.parameters)
}

/// Runner types by name and alias. Workflows have a type here but no runner: the engine conducts
/// them.
#[derive(Clone, Default)]
pub struct Registry {
    runners: HashMap<String, Arc<dyn Runner>>,
}

impl Registry {
    /// All runners of this crate, on `host`.
    #[must_use]
    pub fn new(host: &Arc<Host>) -> Registry {
        let mut registry = Registry::default();
        registry.add(Arc::new(Noop::new()));
        registry.add(Arc::new(Announcement));
        registry.add(Arc::new(ShellCommand::new(host.clone())));
        registry.add(Arc::new(ShellScript::new(host.clone())));
        let pool = Pool::new(&host.settings.ssh, Arc::clone(&host.env));
        for kind in [Kind::Command, Kind::Script] {
            let remote = Remote::new(kind, Arc::clone(host), Arc::clone(&pool));
            registry.add(Arc::new(remote));
        }
        for kind in [
            winrm::Kind::Command,
            winrm::Kind::PowerShell,
            winrm::Kind::Script,
        ] {
            registry.add(Arc::new(Windows::new(kind, Arc::clone(host))));
        }
        registry.add(Arc::new(Http::new(host.clone())));
        registry.add(Arc::new(Python::new(host.clone())));
        registry.add(Arc::new(Program::new(host.clone())));
        registry
    }

    /// Adds a runner under its name, in the place of one with the same name.
    pub fn add(&mut self, runner: Arc<dyn Runner>) {
        self.runners.insert(runner.name().to_owned(), runner);
    }

    /// The runner of the type `name`, which may be an alias.
    #[must_use]
    pub fn runner(&self, name: &str) -> Option<Arc<dyn Runner>> {
        let name = Registry::runner_type(name).map_or(name, |known| &known.name);
        self.runners.get(name).cloned()
    }

    /// The description of the type `name`, which may be an alias.
    #[must_use]
    pub fn runner_type(name: &str) -> Option<&'static RunnerType> {
        TYPES
            .iter()
            .find(|known| known.name == name || known.aliases.iter().any(|alias| alias == name))
    }

    /// The descriptions of all types, by name.
    #[must_use]
    pub fn runner_types() -> &'static [RunnerType] {
        &TYPES
    }
}

#[cfg(test)]
mod tests {
    use super::Registry;

    #[test]
    fn aliases_lead_to_the_type() {
        for (alias, name) in [
            ("run-local", "local-shell-cmd"),
            ("run-local-script", "local-shell-script"),
            ("run-python", "python-script"),
            ("http-runner", "http-request"),
            ("orchestra", "orquesta"),
            ("noop", "noop"),
            ("action-chain", "action-chain"),
        ] {
            let found = Registry::runner_type(alias).map(|found| &*found.name);
            assert_eq!(found, Some(name));
        }
        assert!(Registry::runner_type("mistral-v2").is_none());
    }

    #[test]
    fn every_parameter_has_a_type_and_a_description() {
        for runner_type in Registry::runner_types() {
            let parameters = runner_type.parameters.as_dict().expect("a dictionary");
            for (name, parameter) in parameters.iter() {
                for key in ["type", "description"] {
                    let found = parameter.get(key).and_then(|value| value.as_str());
                    assert!(found.is_some(), "{}.{name}.{key}", runner_type.name);
                }
            }
        }
    }
}
