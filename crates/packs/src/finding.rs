//! What is wrong in a pack, and where.

use std::fmt;
use std::path::Path;

use squall_value::{Str, Value, dict};
use squall_yaml::{Diagnostic, Severity};

/// A diagnostic, and the file it concerns.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The file, relative to the pack's directory, or absolute where it lies elsewhere.
    pub file: Str,
    /// What is wrong, where in the file, and what to do.
    pub diagnostic: Diagnostic,
}

impl Finding {
    /// Whether the resource in the file cannot be used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.diagnostic.severity == Severity::Error
    }

    /// The finding with the whole path of its file, for people who open it.
    #[must_use]
    pub fn within(&self, pack: &Path) -> Finding {
        Finding {
            file: Str::from(pack.join(&*self.file).to_string_lossy()),
            diagnostic: self.diagnostic.clone(),
        }
    }

    /// The finding as data, for answers of the API.
    #[must_use]
    pub fn to_value(&self) -> Value {
        dict! {
            "file" => self.file.clone(),
            "line" => self.diagnostic.line,
            "column" => self.diagnostic.column,
            "severity" => if self.is_error() { "error" } else { "warning" },
            "message" => self.diagnostic.message.as_str(),
            "help" => self.diagnostic.help.as_deref(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic {
            line,
            column,
            message,
            help,
            ..
        } = &self.diagnostic;
        let severity = if self.is_error() { "error" } else { "warning" };
        write!(f, "{}:{line}:{column}: {severity}: {message}", self.file)?;
        match help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}
