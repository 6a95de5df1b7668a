//! Reports of runs of configuration tools, as the tools themselves write them, in one shape.
//!
//! Pure: the HTTP endpoint that takes a report and checks its signature is elsewhere.
//!
//! Every report becomes a dictionary with `tool`, `status` (`changed`, `unchanged` or `failed`),
//! `changed`, `failed` and `total` (how many things were), `hosts` (by name, each with the same
//! counts where the tool knows them) and `failures` (a list of `host`, `name`, `message`).

mod ansible;
mod puppet;
mod terraform;

use squall_value::{Dict, Value, dict, json};

/// The trigger type of the events.
pub const RUN_REPORTED: &str = "core.report.run";

/// Larger reports are refused.
pub const REPORT_BYTES_MAX: usize = 32 << 20;
/// So many failures are listed; all of them are counted.
const FAILURES_MAX: usize = 200;

/// Whose report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What Ansible's `json` stdout callback prints.
    Ansible,
    /// A Puppet report (format 4 or later) as YAML or JSON, with `resource_statuses` by name.
    Puppet,
    /// The lines of `terraform apply -json` or `plan -json`, or a notification of Terraform Cloud.
    Terraform,
}

impl Kind {
    /// The tool with this name, in small letters.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Kind> {
        match name {
            "ansible" => Some(Kind::Ansible),
            "puppet" => Some(Kind::Puppet),
            "terraform" => Some(Kind::Terraform),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Ansible => "ansible",
            Kind::Puppet => "puppet",
            Kind::Terraform => "terraform",
        }
    }
}

/// Why a report can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is longer than [`REPORT_BYTES_MAX`].
    #[error("the report has {0} bytes, more than the {REPORT_BYTES_MAX} that are read")]
    TooLarge(usize),
    /// It is not the text that this tool writes.
    #[error("the report can't be read: {0}")]
    Syntax(String),
    /// It is well formed, but not a report of this tool.
    #[error("this is no report of {tool}: {reason}")]
    NotAReport {
        /// The tool.
        tool: &'static str,
        /// What is missing.
        reason: &'static str,
    },
}

/// Reads a report of the tool `kind`.
///
/// # Errors
///
/// [`Error`], which says what is wrong with the report.
pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Value, Error> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(Error::TooLarge(bytes.len()));
    }
    match kind {
        Kind::Ansible => ansible::parse(&read(bytes)?),
        Kind::Puppet => puppet::parse(bytes),
        Kind::Terraform => terraform::parse(bytes),
    }
}

fn read(bytes: &[u8]) -> Result<Value, Error> {
    json::read_bytes(bytes).map_err(|error| Error::Syntax(error.to_string()))
}

/// What all reports have in common.
#[derive(Default)]
struct Summary {
    changed: i64,
    failed: i64,
    total: i64,
    hosts: Dict,
    failures: Vec<Value>,
}

impl Summary {
    fn failure(&mut self, host: Option<&str>, name: Option<&str>, message: Option<&str>) {
        if self.failures.len() < FAILURES_MAX {
            let failure = dict! { "host" => host, "name" => name, "message" => message };
            self.failures.push(failure);
        }
    }

    fn into_value(self, tool: &str, failed: bool, more: Dict) -> Value {
        let status = match (failed || self.failed > 0, self.changed > 0) {
            (true, _) => "failed",
            (false, true) => "changed",
            (false, false) => "unchanged",
        };
        let mut report = Dict::new();
        report.insert("tool", tool);
        report.insert("status", status);
        report.insert("changed", self.changed);
        report.insert("failed", self.failed);
        report.insert("total", self.total);
        report.insert("hosts", self.hosts);
        report.insert("failures", self.failures);
        report.extend(more);
        report.into()
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn count(value: &Value, key: &str) -> i64 {
    value.get(key).and_then(Value::as_int).unwrap_or(0)
}

#[cfg(test)]
mod tests;
