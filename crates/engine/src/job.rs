//! What a runner is told about an execution.

use std::sync::Arc;

use squall_model::Execution;
use squall_runners::{Isolation, Job};
use squall_schema::Final;
use squall_value::{Dict, Str, Value};

use crate::Engine;
use crate::request::Prepared;
use crate::run::JobError;

impl Engine {
    /// Puts a job together from an execution and its final parameters.
    pub(crate) fn assemble(
        &self,
        execution: &Execution,
        prepared: &Prepared,
        parameters: Final,
    ) -> Result<Job, JobError> {
        let catalog = self.catalog();
        let action = &prepared.action;
        let pack = action.reference.pack();
        let pack_dir = catalog.pack_directory(pack).cloned().unwrap_or_default();
        let entry_point = (!action.entry_point.is_empty())
            .then(|| pack_dir.join("actions").join(&*action.entry_point));
        let mut secrets = Vec::new();
        let live = Value::from(prepared.live.clone());
        action.parameters.mask().collect(&live, &mut secrets);
        let all = parameters.runner.iter().chain(parameters.action.iter());
        let all = Value::from(all.map(|(k, v)| (k.clone(), v.clone())).collect::<Dict>());
        action.parameters.mask().collect(&all, &mut secrets);
        let config = self.pack_config(&catalog, pack, &execution.request.user, &mut secrets)?;
        let schema: Dict = action
            .parameters
            .action()
            .iter()
            .map(|(name, parameter)| (name.clone(), parameter.attributes().clone()))
            .collect();
        Ok(Job {
            execution_id: execution.id().to_string(),
            action: action.reference.to_string(),
            pack: pack.to_owned(),
            pack_dir,
            entry_point,
            virtualenv: self.virtualenv(pack),
            parameters_schema: Arc::new(schema),
            runner_parameters: Arc::new(parameters.runner),
            action_parameters: Arc::new(parameters.action),
            config,
            env: self.action_env(execution),
            timeout: None,
            user: execution.request.user.to_string(),
            log_level: None,
            secrets,
            isolation: isolation(&action.document.body),
        })
    }

    /// A pack's configuration as actions see it: over the defaults, with the datastore's values in
    /// place of templates. Its secrets are added to `secrets`.
    pub(crate) fn pack_config(
        &self,
        catalog: &crate::Catalog,
        pack: &str,
        user: &Str,
        secrets: &mut Vec<Str>,
    ) -> Result<Value, JobError> {
        let Some(schema) = catalog.config_schema(pack) else {
            return Ok(Value::from(self.config_as_given(catalog, pack)));
        };
        let values = self.config_as_given(catalog, pack);
        let sources = squall_schema::ConfigSources {
            user,
            expressions: &self.expressions,
            host: &self.datastore,
        };
        let config = schema
            .resolve(&values, &sources)
            .map_err(JobError::Config)?;
        schema.mask().collect(&config, secrets);
        Ok(config)
    }

    /// The variables that StackStorm gives to every action.
    fn action_env(&self, execution: &Execution) -> Vec<(String, String)> {
        let id = execution.id().to_string();
        let pack = execution.request.action.pack().to_owned();
        let mut env = vec![
            ("ST2_ACTION_PACK_NAME".to_owned(), pack),
            ("ST2_ACTION_EXECUTION_ID".to_owned(), id),
        ];
        if !self.settings.api_url.is_empty() {
            env.push((
                "ST2_ACTION_API_URL".to_owned(),
                self.settings.api_url.clone(),
            ));
            if let Some(token) = self.tokens.token(&execution.request.user, execution.id()) {
                env.push(("ST2_ACTION_AUTH_TOKEN".to_owned(), token));
            }
        }
        env
    }

    pub(crate) fn virtualenv(&self, pack: &str) -> Option<std::path::PathBuf> {
        let path = self.settings.virtualenvs.as_ref()?.join(pack);
        path.is_dir().then_some(path)
    }
}

fn isolation(body: &Value) -> Isolation {
    match body.get("isolation").and_then(Value::as_str) {
        Some("process") => Isolation::Process,
        _ => Isolation::Fork,
    }
}
