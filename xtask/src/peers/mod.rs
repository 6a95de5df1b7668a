//! The expression languages and the conductor beside their reference implementations, in one run.
//!
//! Installs YAQL and Jinja2 from PyPI into a virtual environment that lasts as long as the run, times
//! `crates/expr/examples/bench.rs` and a Python driver of the same expressions one after the other,
//! and prints both columns with their ratio. Where the sources of Orquesta are given, they are
//! installed beside, and `crates/workflow/examples/bench.rs` is timed with them on the same workflows.
//! All sides take CPU time, so that a busy machine costs none of them more than the other. Needs
//! `python3` with `venv` and a network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The Python sides of the measurements.
const EXPRESSIONS: &str = include_str!("expressions.py");
const WORKFLOWS: &str = include_str!("workflows.py");

/// What is installed; versions are fixed so that two runs compare.
const PACKAGES: [&str; 2] = ["yaql==3.2.0", "Jinja2==3.1.6"];

/// Measures, and prints tables in Markdown.
///
/// # Errors
///
/// When a tool is missing, the packages can't be installed, or either side's measurement fails.
pub(crate) fn run(root: &Path, orquesta: Option<&Path>) -> Result<bool> {
    if let Some(sources) = orquesta {
        ensure!(
            sources.join("setup.py").is_file(),
            "{} holds no sources of Orquesta: clone https://github.com/StackStorm/orquesta and name \
             the clone (a release older than 1.6 does not run on Python 3.11)",
            sources.display()
        );
    }
    let directory = tempfile::tempdir().context("no temporary directory for Python's packages")?;
    let peers = Peers {
        root,
        python: environment(directory.path(), orquesta)?,
        directory: directory.path(),
    };
    peers.expressions()?;
    if orquesta.is_some() {
        println!();
        peers.workflows()?;
    }
    Ok(true)
}

/// A virtual environment with the packages; its interpreter.
fn environment(directory: &Path, orquesta: Option<&Path>) -> Result<PathBuf> {
    let environment = directory.join("venv");
    let python = environment.join("bin").join("python");
    let mut make = Command::new("python3");
    output(make.args(["-m", "venv"]).arg(&environment))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet"]);
    output(install.args(PACKAGES).args(orquesta))?;
    Ok(python)
}

/// What the measurements need.
struct Peers<'a> {
    root: &'a Path,
    python: PathBuf,
    directory: &'a Path,
}

impl Peers<'_> {
    fn expressions(&self) -> Result<()> {
        let bench = self.build("squall-expr")?;
        let before = load();
        let ours = output(&mut Command::new(bench))?;
        let theirs = self.drive("expressions.py", EXPRESSIONS, None)?;
        let versions = theirs.lines().next().unwrap_or_default();
        println!("Beside {versions}; CPU time of one evaluation, best of five rounds.");
        println!("{}\n", conditions(&before));
        print_expressions(&ours, &theirs)
    }

    fn workflows(&self) -> Result<()> {
        let bench = self.build("squall-workflow")?;
        let cases = self.directory.join("workflows");
        std::fs::create_dir_all(&cases)?;
        output(Command::new(&bench).arg("--write").arg(&cases))?;
        let before = load();
        let ours = output(&mut Command::new(bench))?;
        let theirs = self.drive("workflows.py", WORKFLOWS, Some(&cases))?;
        let versions = theirs.lines().next().unwrap_or_default();
        println!("Beside {versions}; tasks that a second of CPU conducts.");
        println!("{}\n", conditions(&before));
        print_workflows(&ours, &theirs)
    }

    /// Builds a crate's benchmark before it is timed: the compiler would still be warm in the caches.
    fn build(&self, package: &str) -> Result<PathBuf> {
        let mut build = crate::command::cargo_command(self.root);
        build.args(["build", "--quiet", "--release", "--example", "bench"]);
        output(build.args(["--package", package]))?;
        let built = crate::command::target_directory(self.root).join("release/examples/bench");
        // The benchmarks of all crates have the same name.
        let kept = self.directory.join(package);
        std::fs::copy(&built, &kept)
            .with_context(|| format!("{} was not built", built.display()))?;
        Ok(kept)
    }

    /// Runs a driver in Python.
    fn drive(&self, name: &str, text: &str, argument: Option<&Path>) -> Result<String> {
        let driver = self.directory.join(name);
        std::fs::write(&driver, text).context("writing the Python driver failed")?;
        output(Command::new(&self.python).arg(&driver).args(argument))
    }
}

/// What the figures were taken on.
fn conditions(before: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, load {before} before and {} after.", load())
}

/// How many processes wanted to run within the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// What a command prints; its complaints when it fails.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command
        .output()
        .with_context(|| format!("`{name}` can't be started; is it installed?"))?;
    if !done.status.success() {
        let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
        bail!("`{name}` failed with {}: {}", done.status, complaint.trim());
    }
    String::from_utf8(done.stdout).with_context(|| format!("`{name}` printed what is no text"))
}

fn print_expressions(ours: &str, theirs: &str) -> Result<()> {
    // Ours are `name  1.234 µs`, theirs `name<tab>seconds`.
    let ours: HashMap<&str, f64> = ours
        .lines()
        .filter_map(|line| line.trim_end().strip_suffix(" µs"))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, micros)| Some((name.trim_end(), micros.parse().ok()?)))
        .collect();
    println!("| expression | Squall, µs | reference, µs | ratio |");
    println!("|---|---:|---:|---:|");
    for line in theirs.lines() {
        let Some((name, seconds)) = line.split_once('\t') else {
            continue;
        };
        let (Ok(seconds), Some(micros)) = (seconds.parse::<f64>(), ours.get(name)) else {
            bail!("the reference was timed on `{name}`, we were not");
        };
        let reference = seconds * 1e6;
        let ratio = reference / micros;
        let digits = usize::from(ratio < 10.0);
        let shown = shown(name);
        println!("| {shown} | {micros:.2} | {reference:.1} | {ratio:.digits$} |");
    }
    Ok(())
}

fn print_workflows(ours: &str, theirs: &str) -> Result<()> {
    // Ours are `name: rate tasks per CPU second`, theirs `name<tab>rate`.
    let ours: HashMap<&str, f64> = ours
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(name, rest)| Some((name, rest.split(' ').next()?.parse().ok()?)))
        .collect();
    println!("| workflow | Squall, tasks/s | reference, tasks/s | ratio |");
    println!("|---|---:|---:|---:|");
    let measured = theirs.lines().filter_map(|line| line.split_once('\t'));
    for (name, rate) in measured {
        let (Ok(theirs), Some(ours)) = (rate.parse::<f64>(), ours.get(name)) else {
            bail!("the reference was timed on `{name}`, we were not");
        };
        println!(
            "| {name} | {ours:.0} | {theirs:.1} | {:.0} |",
            ours / theirs
        );
    }
    Ok(())
}

/// The name of a measurement as a cell of the table.
fn shown(name: &str) -> String {
    if name.ends_with("(parsed each time)") {
        return "the same, parsed each time".to_owned();
    }
    let items = if name.contains("vms") {
        ", 1,000 items"
    } else {
        ""
    };
    match name.starts_with(['<', '{']) {
        true => format!("`{}`{items}", name.replace('|', "\\|")),
        false => name.to_owned(),
    }
}
