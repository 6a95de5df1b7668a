//! What is wrong with a workflow, before it is run.
//!
//! [`inspect`] finds all errors at once, in the four categories of the reference engine and with its
//! messages and paths, so that programs that parse them go on working ([`Inspection::to_value`],
//! [`Inspection::to_list`]). Each finding also says where in the file it stands and, where a name is
//! nearly right, which one was meant. What the reference engine doesn't look at comes as
//! [`Inspection::warnings`], which never make a workflow invalid.

mod chain;
mod contents;
mod document;
mod expressions;
mod links;
mod path;
mod schema;
mod semantics;
mod suggest;
mod variables;
mod warnings;

use std::collections::{BTreeSet, HashSet};

use squall_expr::{Expressions, Language};
use squall_value::{Dict, Str, Value};
use squall_yaml::{Diagnostic, Node, Options, Position, Severity};

pub use chain::inspect_chain;
pub use contents::{ActionContract, Actions};
use path::Path;

use crate::Definition;

const TASKS_SCHEMA: &str = "properties.tasks";
const TASK_SCHEMA: &str = r"properties.tasks.patternProperties.^\w+$";

/// More errors than this help nobody.
const ERRORS_MAX: usize = 5_000;

/// What is wrong, and at which stage it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// It can't be read as a workflow at all.
    Load,
    /// The schema is violated.
    Syntax,
    /// Names, starts, targets and joins don't fit together.
    Semantics,
    /// An expression can't be parsed.
    Expressions,
    /// A variable is read before it is set.
    Context,
    /// An action is unknown, or not called as it wants to be.
    Contents,
}

impl Category {
    /// The key under which the reference engine reports it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Category::Load => "load",
            Category::Syntax => "syntax",
            Category::Semantics => "semantics",
            Category::Expressions => "expressions",
            Category::Context => "context",
            Category::Contents => "contents",
        }
    }

    /// The `type` under which StackStorm's API reports it.
    fn kind(self) -> &'static str {
        match self {
            Category::Load | Category::Syntax => "syntax",
            Category::Semantics => "semantic",
            Category::Expressions => "expression",
            Category::Context => "context",
            Category::Contents => "content",
        }
    }
}

/// One error.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The stage that found it.
    pub category: Category,
    /// What is wrong, in the reference engine's words.
    pub message: String,
    /// The place in the document; `None` at its root.
    pub spec_path: Option<String>,
    /// The place in the schema; `None` at its root and for what is no workflow at all.
    pub schema_path: Option<String>,
    /// The language of the expression; `None` also for a text that mixes both.
    pub language: Option<Language>,
    /// The expression, where one is concerned.
    pub expression: Option<String>,
    /// The place in the file.
    pub position: Position,
    /// What was probably meant, or what to do.
    pub suggestion: Option<String>,
}

/// All that was found about a workflow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspection {
    /// The errors, by category and then in the reference engine's order.
    pub errors: Vec<Finding>,
    /// What is allowed but probably not meant, by place.
    pub warnings: Vec<Diagnostic>,
}

/// Which language a workflow is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Orquesta, and what goes beyond it: `timeout` of workflows and tasks, `on_failure` of tasks.
    #[default]
    Squall,
    /// Orquesta 1.0 and nothing more, for workflows that must run in `StackStorm`, too.
    Orquesta,
}

/// What a workflow may rely on from outside.
#[derive(Default)]
pub struct Surroundings<'a> {
    /// The language; what is not part of it is an error.
    pub dialect: Dialect,
    /// Names that are set before the workflow starts, such as `st2` and `parent`.
    pub known: BTreeSet<Str>,
    /// The registered actions, to check the calls; `None` leaves them unchecked.
    pub actions: Option<&'a dyn Actions>,
}

/// The variables that a server hands to every workflow, beside its inputs.
const HANDED_DOWN: [&str; 2] = ["st2", "parent"];

impl Surroundings<'_> {
    /// What every workflow finds on a server.
    #[must_use]
    pub fn on_a_server() -> Self {
        Surroundings {
            known: HANDED_DOWN.into_iter().map(Str::from).collect(),
            ..Surroundings::default()
        }
    }
}

/// Finds all errors in the text of a workflow: of an action chain, if it has a `chain` and no
/// `tasks`, else of an Orquesta workflow.
#[must_use]
pub fn inspect_any(
    text: &str,
    expressions: &Expressions,
    surroundings: &Surroundings<'_>,
) -> Inspection {
    let document = squall_yaml::load(text, &Options::default());
    if document.is_ok_and(|document| Definition::is_chain(&document.root.to_value())) {
        inspect_chain(text, expressions, surroundings)
    } else {
        inspect(text, expressions, surroundings)
    }
}

/// Finds all errors in the text of an Orquesta workflow.
#[must_use]
pub fn inspect(
    text: &str,
    expressions: &Expressions,
    surroundings: &Surroundings<'_>,
) -> Inspection {
    let document = match squall_yaml::load(text, &Options::strict()) {
        Ok(document) => document,
        Err(failure) => return Inspection::unreadable(&failure.diagnostics),
    };
    let mut report = Report {
        lines: text.split('\n').collect(),
        root: &document.root,
        inspection: Inspection::default(),
        unset: HashSet::new(),
        is_cut: false,
    };
    let (view, refusals) = document::read(&document.root.to_value(), surroundings.dialect);
    for refusal in &refusals {
        let mut finding = Finding::new(Category::Load, refusal.message.clone(), "");
        finding.schema_path = None;
        report.add_at_key(finding.with_suggestion(refusal.help), &refusal.path);
    }
    if view.source.as_dict().is_some() {
        check_schema(&view, surroundings.dialect, &mut report);
        let links = links::Links::new(&view);
        semantics::inspect(&view, &links, &mut report);
        expressions::inspect(&view, expressions, &mut report);
        variables::inspect(&view, expressions, &surroundings.known, &mut report);
        if let Some(actions) = surroundings.actions {
            contents::inspect(&view, actions, &mut report);
        }
        warnings::inspect(&view, &links, expressions, &surroundings.known, &mut report);
    }
    report.finish()
}

fn check_schema(document: &document::Document, dialect: Dialect, report: &mut Report<'_>) {
    let schema = match dialect {
        Dialect::Squall => &schema::WORKFLOW,
        Dialect::Orquesta => &schema::ORQUESTA,
    };
    for violation in schema::check(schema, &document.source) {
        add_violation(report, violation);
    }
}

fn add_violation(report: &mut Report<'_>, violation: schema::Violation) {
    let finding = Finding::new(Category::Syntax, violation.message, violation.schema_path);
    let Some((name, known)) = violation.unexpected else {
        report.add(finding, &violation.path);
        return;
    };
    let near = suggest::nearest(&name, known.iter().map(String::as_str));
    let suggestion = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    let position = violation.path.key(name).key_position(report.root);
    report.add_with(
        finding.with_suggestion(suggestion),
        &violation.path,
        position,
    );
}

impl Finding {
    fn new(
        category: Category,
        message: impl Into<String>,
        schema_path: impl Into<String>,
    ) -> Finding {
        Finding {
            category,
            message: message.into(),
            spec_path: None,
            schema_path: Some(schema_path.into()),
            language: None,
            expression: None,
            position: Position::START,
            suggestion: None,
        }
    }

    fn with_suggestion(mut self, suggestion: impl Into<String>) -> Finding {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// As one entry of the reference engine's result.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut dict = Dict::new();
        if matches!(self.category, Category::Expressions | Category::Context) {
            dict.insert("type", self.language.map(Language::name));
            dict.insert("expression", self.expression.clone());
        }
        dict.insert("message", self.message.clone());
        dict.insert("spec_path", self.spec_path.clone());
        dict.insert("schema_path", self.schema_path.clone());
        Value::from(dict)
    }

    /// For a person at a terminal or editor.
    #[must_use]
    pub fn to_diagnostic(&self) -> Diagnostic {
        let mut message = self.message.clone();
        if let Some(expression) = &self.expression {
            message = format!("{} in `{expression}`", message.trim_end_matches('.'));
        }
        let diagnostic = Diagnostic::error(self.position, message)
            .with_path(self.spec_path.clone().unwrap_or_default());
        match &self.suggestion {
            Some(suggestion) => diagnostic.with_help(suggestion.clone()),
            None => diagnostic,
        }
    }

    /// The order of the reference engine, ties broken by what is left.
    fn sort_key(&self) -> (Category, &str, &str, &str, &str) {
        (
            self.category,
            self.schema_path.as_deref().unwrap_or("None"),
            self.spec_path.as_deref().unwrap_or("None"),
            self.expression.as_deref().unwrap_or(""),
            &self.message,
        )
    }
}

impl Inspection {
    /// Whether the workflow can be run.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether the text is no workflow at all, so that the reference engine would refuse to load it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.errors
            .iter()
            .any(|finding| finding.category == Category::Load)
    }

    /// The result of the reference engine's inspection: the categories that have errors, in order,
    /// each with its list.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut categories = Dict::new();
        for category in [
            Category::Syntax,
            Category::Semantics,
            Category::Expressions,
            Category::Context,
        ] {
            let found = self
                .errors
                .iter()
                .filter(|finding| finding.category == category);
            let entries: Vec<Value> = found.map(Finding::to_value).collect();
            if !entries.is_empty() {
                categories.insert(category.name(), entries);
            }
        }
        Value::from(categories)
    }

    /// What StackStorm's `POST /v1/workflows/inspect` answers: one flat list by type and place.
    /// (What can't be loaded at all is an error of type `syntax` here; StackStorm answers with a
    /// fault.)
    #[must_use]
    pub fn to_list(&self) -> Value {
        let mut findings: Vec<&Finding> = self.errors.iter().collect();
        findings.sort_by_key(|finding| (finding.category.kind(), finding.schema_path.as_deref()));
        let entry = |finding: &&Finding| {
            let mut dict = Dict::new();
            dict.insert("type", finding.category.kind());
            if matches!(finding.category, Category::Expressions | Category::Context) {
                dict.insert("language", finding.language.map(Language::name));
                dict.insert("expression", finding.expression.clone());
            }
            dict.insert("message", finding.message.clone());
            dict.insert("spec_path", finding.spec_path.clone());
            dict.insert("schema_path", finding.schema_path.clone());
            Value::from(dict)
        };
        findings.iter().map(entry).collect()
    }

    /// Errors and warnings for people, by place in the file; repetitions are said once.
    #[must_use]
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut all: Vec<Diagnostic> = self.errors.iter().map(Finding::to_diagnostic).collect();
        all.extend(self.warnings.iter().cloned());
        all.sort_by(|a, b| {
            (a.line, a.column, b.severity, &a.message)
                .cmp(&(b.line, b.column, a.severity, &b.message))
        });
        all.dedup();
        all
    }

    fn unreadable(diagnostics: &[Diagnostic]) -> Inspection {
        let mut inspection = Inspection::default();
        for diagnostic in diagnostics {
            if diagnostic.severity == Severity::Warning {
                inspection.warnings.push(diagnostic.clone());
                continue;
            }
            inspection.errors.push(Finding {
                category: Category::Load,
                message: diagnostic.message.clone(),
                spec_path: Some(diagnostic.path.clone()).filter(|path| !path.is_empty()),
                schema_path: None,
                language: None,
                expression: None,
                position: Position {
                    line: diagnostic.line,
                    column: diagnostic.column,
                },
                suggestion: diagnostic.help.clone(),
            });
        }
        inspection
    }
}

/// Collects findings and gives them their places.
struct Report<'a> {
    lines: Vec<&'a str>,
    root: &'a Node,
    inspection: Inspection,
    /// Whether there were more errors than are kept.
    is_cut: bool,
    /// Places and names of variables that were reported as never set there.
    unset: HashSet<(String, String)>,
}

impl Report<'_> {
    /// Adds an error about the value at `path`.
    fn add(&mut self, finding: Finding, path: &Path) {
        let node = path.node(self.root);
        let expression = finding.expression.as_deref();
        let position = expression
            .and_then(|expression| self.find(node, expression))
            .unwrap_or_else(|| node.position());
        self.add_with(finding, path, position);
    }

    /// Adds an error about the key that `path` ends with.
    fn add_at_key(&mut self, finding: Finding, path: &Path) {
        let position = path.key_position(self.root);
        self.add_with(finding, path, position);
    }

    fn add_with(&mut self, mut finding: Finding, path: &Path, position: Position) {
        if self.inspection.errors.len() >= ERRORS_MAX {
            self.is_cut = true;
            return;
        }
        finding.position = position;
        finding.spec_path = path.text();
        self.inspection.errors.push(finding);
    }

    fn warn(&mut self, path: &Path, message: String, help: Option<&str>) {
        let diagnostic =
            Diagnostic::warning(path.key_position(self.root), message).with_path(path.to_string());
        self.inspection.warnings.push(match help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        });
    }

    /// Where `expression` stands within `node`, if it stands there as it is.
    fn find(&self, node: &Node, expression: &str) -> Option<Position> {
        let (start, end) = (node.span.start, node.span.end);
        for (index, line) in self
            .lines
            .iter()
            .enumerate()
            .take(end.line)
            .skip(start.line - 1)
        {
            let skip = if index + 1 == start.line {
                start.column - 1
            } else {
                0
            };
            let from = line
                .char_indices()
                .nth(skip)
                .map_or(line.len(), |(at, _)| at);
            if let Some(at) = line[from..].find(expression) {
                return Some(Position {
                    line: index + 1,
                    column: line[..from + at].chars().count() + 1,
                });
            }
        }
        None
    }

    fn finish(mut self) -> Inspection {
        if self.is_cut {
            let message = format!("there are more errors than the {ERRORS_MAX} that are shown");
            self.warn(&Path::root(), message, Some("correct these first"));
        }
        let mut inspection = self.inspection;
        inspection
            .errors
            .sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        inspection
            .warnings
            .sort_by_key(|warning| (warning.line, warning.column));
        inspection
    }
}

#[cfg(test)]
mod tests;
