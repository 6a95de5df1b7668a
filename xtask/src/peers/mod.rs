//! The expression languages beside their reference implementations, in one run.
//!
//! Installs YAQL and Jinja2 from PyPI into a virtual environment that lasts as long as the run, times
//! `crates/expr/examples/bench.rs` and a Python driver of the same expressions one after the other,
//! and prints both columns with their ratio. Both sides take CPU time, so that a busy machine costs
//! neither of them more than the other. Needs `python3` with `venv` and a network.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The Python side of the measurement.
const DRIVER: &str = include_str!("expressions.py");

/// What is installed; versions are fixed so that two runs compare.
const PACKAGES: [&str; 2] = ["yaql==3.2.0", "Jinja2==3.1.6"];

/// Measures, and prints a table in Markdown.
///
/// # Errors
///
/// When a tool is missing, the packages can't be installed, or either side's measurement fails.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let directory = tempfile::tempdir().context("no temporary directory for Python's packages")?;
    let environment = directory.path().join("venv");
    let python = environment.join("bin").join("python");
    output(
        Command::new("python3")
            .arg("-m")
            .arg("venv")
            .arg(&environment),
    )?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet"]);
    output(install.args(PACKAGES))?;
    let driver = directory.path().join("expressions.py");
    std::fs::write(&driver, DRIVER).context("writing the Python driver failed")?;

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut bench = Command::new(&cargo);
    bench
        .current_dir(root)
        .args(["run", "--quiet", "--release"]);
    // Built before it is timed: the compiler would still be warm in the caches.
    let mut build = Command::new(&cargo);
    build
        .current_dir(root)
        .args(["build", "--quiet", "--release"]);
    output(build.args(["--package", "squall-expr", "--example", "bench"]))?;
    let before = load();
    let ours = output(bench.args(["--package", "squall-expr", "--example", "bench"]))?;
    let theirs = output(Command::new(&python).arg(&driver))?;
    let versions = theirs.lines().next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("Beside {versions}; CPU time of one evaluation, best of five rounds.");
    println!(
        "{cores} cores, load {before} before and {} after.\n",
        load()
    );
    print_table(&ours, &theirs)?;
    Ok(true)
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

fn print_table(ours: &str, theirs: &str) -> Result<()> {
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
