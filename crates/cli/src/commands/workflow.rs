//! `workflow`: what needs no server, but for the recording of a test.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Subcommand, ValueEnum};
use squall_expr::Expressions;
use squall_value::{Value, dict};
use squall_workflow::definition::Diagnostic;
use squall_workflow::inspect::{Dialect, Inspection, Surroundings, inspect_any};
use squall_workflow::testing::{self, Coverage, Outcome};
use squall_workflow::{Definition, draw};
use squall_yaml::Severity;

use super::{DONE, Invocation};
use crate::failure::FAILED;
use crate::input;
use crate::output::{Format, Paint, safe};

/// Check, draw and test workflows.
#[derive(Debug, Subcommand)]
pub enum Workflow {
    /// Find what is wrong or doubtful in workflow files, with the place of each finding
    ///
    /// Exits with 1 if there are errors.
    #[command(after_help = "\
Examples:
  squall workflow check actions/workflows/deploy.yaml
  squall workflow check actions/workflows/*.yaml --json")]
    Check {
        /// Workflow files, directories of them, or `-` for standard input
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,
        /// Treat warnings as errors
        #[arg(long)]
        strict: bool,
        /// Refuse what goes beyond Orquesta, for workflows that must run in StackStorm, too
        #[arg(long)]
        orquesta: bool,
    },
    /// Draw a workflow
    #[command(after_help = "\
Examples:
  squall workflow graph deploy.yaml
  squall workflow graph deploy.yaml --format svg > deploy.svg
  squall workflow graph deploy.yaml --format dot | dot -Tpng > deploy.png")]
    Graph {
        /// Workflow file, or `-` for standard input
        #[arg(value_name = "FILE")]
        file: String,
        /// The form of the drawing
        #[arg(short, long, value_enum, default_value_t)]
        format: Drawing,
    },
    /// Run tests of workflows, without running any action; or write one from a past run
    ///
    /// Exits with 1 if a test fails, or if the run that is recorded would not pass as a test.
    #[command(after_help = "\
Examples:
  squall workflow test tests/deploy.yaml
  squall workflow test tests --coverage --junit report.xml
  squall workflow test --record last > tests/deploy.yaml")]
    Test {
        /// Files of tests, or directories with such files among others; paths in them are relative
        /// to the file, else to the current directory
        #[arg(value_name = "FILE", required_unless_present = "record")]
        files: Vec<String>,
        /// Ask the server for this execution of a workflow (or `last`), and write it as a test
        #[arg(long, value_name = "EXECUTION", conflicts_with_all = ["files", "coverage", "junit"])]
        record: Option<String>,
        /// With `--record`: the workflow's file, if it is not found by its action's entry point
        #[arg(long, value_name = "FILE", requires = "record")]
        workflow: Option<String>,
        /// Tell which tasks and transitions no test took
        #[arg(long)]
        coverage: bool,
        /// Write a report in JUnit's form
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
}

/// The form of a drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Drawing {
    /// Lines of text.
    #[default]
    Text,
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
    /// An image.
    Svg,
}

impl Workflow {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Workflow::Test {
                record: Some(id),
                workflow,
                ..
            } => super::record::record(invocation, id, workflow).await,
            Workflow::Check {
                files,
                strict,
                orquesta,
            } => {
                let dialect = match orquesta {
                    true => Dialect::Orquesta,
                    false => Dialect::Squall,
                };
                check(invocation, &files, strict, dialect)
            }
            Workflow::Graph { file, format } => graph(invocation, &file, format),
            Workflow::Test {
                files,
                coverage,
                junit,
                ..
            } => test(invocation, &files, coverage, junit.as_deref()),
        }
    }
}

/// How deep directories are searched.
const DEPTH_MAX: usize = 16;

fn shown_name(file: &str) -> &str {
    if file == "-" { "<stdin>" } else { file }
}

fn check(
    invocation: &mut Invocation,
    files: &[String],
    strict: bool,
    dialect: Dialect,
) -> Result<u8> {
    let surroundings = Surroundings {
        dialect,
        ..Surroundings::on_a_server()
    };
    let expressions = Expressions::default();
    let mut code = DONE;
    let mut reports = Vec::new();
    let is_text = invocation.console.format == Format::Text;
    for file in &files_below(files)? {
        let text = input::text(file)?;
        let inspection = inspect_any(&text, &expressions, &surroundings);
        if !inspection.is_valid() || (strict && !inspection.warnings.is_empty()) {
            code = FAILED;
        }
        if is_text {
            print_findings(invocation, shown_name(file), &text, &inspection)?;
        } else {
            let findings = inspection.diagnostics();
            let findings = findings
                .iter()
                .map(|finding| finding_value(shown_name(file), finding));
            reports.extend(findings);
        }
    }
    if !is_text {
        invocation.console.value(&Value::from(reports))?;
    }
    Ok(code)
}

fn finding_value(file: &str, finding: &Diagnostic) -> Value {
    dict! {
        "file" => file,
        "line" => finding.line,
        "column" => finding.column,
        "severity" => finding.severity.to_string(),
        "message" => finding.message.as_str(),
        "path" => finding.path.as_str(),
        "help" => finding.help.as_deref(),
    }
}

fn print_findings(
    invocation: &mut Invocation,
    file: &str,
    text: &str,
    inspection: &Inspection,
) -> Result<()> {
    let color = invocation.console.screen.color;
    for finding in inspection.diagnostics() {
        let rendered = rendered(&finding, file, text, color);
        invocation.console.line(&rendered)?;
    }
    let (errors, warnings) = (inspection.errors.len(), inspection.warnings.len());
    let summary = match (errors, warnings) {
        (0, 0) => Paint::Good.apply("fine", color),
        (0, _) => format!(
            "{}, {}",
            Paint::Good.apply("valid", color),
            count(warnings, "warning")
        ),
        (_, 0) => Paint::Bad.apply(&count(errors, "error"), color),
        _ => {
            let errors = Paint::Bad.apply(&count(errors, "error"), color);
            format!("{errors}, {}", count(warnings, "warning"))
        }
    };
    invocation.console.line(&format!("{file}: {summary}"))?;
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn rendered(finding: &Diagnostic, file: &str, text: &str, color: bool) -> String {
    let plain = safe(&finding.render(file, text), false).into_owned();
    let severity = finding.severity.to_string();
    let paint = match finding.severity {
        Severity::Error => Paint::Bad,
        Severity::Warning => Paint::Waiting,
    };
    match plain.strip_prefix(&severity) {
        Some(rest) => format!("{}{rest}", paint.apply(&severity, color)),
        None => plain,
    }
}

fn graph(invocation: &mut Invocation, file: &str, format: Drawing) -> Result<u8> {
    let text = input::text(file)?;
    let name = shown_name(file);
    let document = squall_yaml::load(&text, &squall_yaml::Options::default())
        .map_err(|failure| anyhow::anyhow!("{}", all(&failure.diagnostics, name, &text)))?;
    let definition = match Definition::is_chain(&document.root.to_value()) {
        true => Definition::parse_chain(&text),
        false => Definition::from_node(&document.root),
    };
    let definition =
        definition.map_err(|findings| anyhow::anyhow!("{}", all(&findings, name, &text)))?;
    let drawn = match format {
        Drawing::Text => draw::text(&definition),
        Drawing::Dot => draw::dot(&definition),
        Drawing::Mermaid => draw::mermaid(&definition),
        Drawing::Svg => draw::svg(&definition),
    };
    invocation.console.write(&drawn)?;
    if !drawn.ends_with('\n') {
        invocation.console.write("\n")?;
    }
    Ok(DONE)
}

fn all(findings: &[Diagnostic], file: &str, text: &str) -> String {
    let texts = findings.iter().map(|finding| finding.render(file, text));
    let text = texts.collect::<Vec<_>>().join("\n");
    format!("the file can't be read as a workflow\n{text}")
}

fn test(
    invocation: &mut Invocation,
    files: &[String],
    coverage: bool,
    junit: Option<&Path>,
) -> Result<u8> {
    let expressions = Expressions::default();
    let mut outcomes = Vec::new();
    for file in &files_below(files)? {
        let text = input::text(file)?;
        if !files.contains(file) && !is_test(&text) {
            continue;
        }
        let cases = testing::parse(&text).map_err(|findings| {
            let texts = findings
                .iter()
                .map(|finding| finding.render(shown_name(file), &text));
            anyhow::anyhow!("{}", texts.collect::<Vec<_>>().join("\n"))
        })?;
        let base = Path::new(file).parent().unwrap_or(Path::new(""));
        let read = |path: &str| read_named(base, path);
        for case in &cases {
            outcomes.push(testing::run(case, &expressions, &read));
        }
    }
    if let Some(path) = junit {
        let report = testing::junit("workflows", &outcomes);
        std::fs::write(path, report)
            .with_context(|| format!("writing {} failed", path.display()))?;
    }
    let passed = outcomes.iter().all(Outcome::passed);
    if invocation.console.format == Format::Text {
        print_outcomes(invocation, &outcomes, coverage)?;
    } else {
        let values: Vec<Value> = outcomes.iter().map(outcome_value).collect();
        invocation.console.value(&Value::from(values))?;
    }
    Ok(if passed { DONE } else { FAILED })
}

/// The files that are named, and in place of each directory the YAML files in and below it, sorted.
fn files_below(named: &[String]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in named {
        if name == "-" || !Path::new(name).is_dir() {
            files.push(name.clone());
            continue;
        }
        let mut found = Vec::new();
        let mut directories = vec![(PathBuf::from(name), 0)];
        while let Some((directory, depth)) = directories.pop() {
            let entries = std::fs::read_dir(&directory)
                .with_context(|| format!("reading {} failed", directory.display()))?;
            for entry in entries {
                let path = entry?.path();
                // A link may lead back up.
                if path.is_dir() && depth < DEPTH_MAX {
                    directories.push((path, depth + 1));
                } else if path
                    .extension()
                    .is_some_and(|end| end == "yaml" || end == "yml")
                {
                    let text = path.to_str().map(str::to_owned);
                    found.push(text.with_context(|| format!("{} is not UTF-8", path.display()))?);
                }
            }
        }
        anyhow::ensure!(!found.is_empty(), "there is no YAML file in {name}");
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Whether a file among others is one of tests: those name a workflow.
fn is_test(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("workflow:"))
}

/// A file that a test names: beside the test, else from where the command was started.
fn read_named(base: &Path, path: &str) -> Result<String, String> {
    let beside = base.join(path);
    let found = if beside.exists() {
        beside
    } else {
        PathBuf::from(path)
    };
    let text = found.to_str().ok_or("the path is not UTF-8")?;
    input::text(text).map_err(|error| format!("{error:#}"))
}

fn outcome_value(outcome: &Outcome) -> Value {
    let texts = |texts: &[String]| texts.iter().map(Value::from).collect::<Value>();
    dict! {
        "name" => outcome.name.as_str(),
        "workflow" => outcome.workflow.as_str(),
        "passed" => outcome.passed(),
        "failures" => texts(&outcome.failures),
        "remarks" => texts(&outcome.remarks),
    }
}

fn print_outcomes(invocation: &mut Invocation, outcomes: &[Outcome], coverage: bool) -> Result<()> {
    let color = invocation.console.screen.color;
    let mut text = String::new();
    for outcome in outcomes {
        let mark = if outcome.passed() {
            Paint::Good.apply("ok  ", color)
        } else {
            Paint::Bad.apply("FAIL", color)
        };
        text.push_str(&format!("{mark} {}\n", safe(&outcome.name, false)));
        for line in outcome.failures.iter().chain(&outcome.remarks) {
            let line = safe(line, false).replace('\n', "\n       ");
            text.push_str(&format!("       {line}\n"));
        }
    }
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    let failed = outcomes.len() - passed;
    text.push_str(&format!("{passed} passed, {failed} failed\n"));
    if coverage {
        for (workflow, taken) in by_workflow(outcomes) {
            text.push_str(&format!("{workflow}: {}", taken.summary()));
        }
    }
    invocation.console.write(&text)?;
    Ok(())
}

/// What all tests of each workflow took together.
fn by_workflow(outcomes: &[Outcome]) -> Vec<(&str, Coverage)> {
    let mut all: Vec<(&str, Coverage)> = Vec::new();
    for outcome in outcomes {
        match all.iter_mut().find(|(name, _)| *name == outcome.workflow) {
            Some((_, taken)) => taken.add(&outcome.coverage),
            None => all.push((&outcome.workflow, outcome.coverage.clone())),
        }
    }
    all
}
