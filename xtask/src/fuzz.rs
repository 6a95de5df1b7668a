//! Fuzzing of what reads texts from outside: `cargo xtask fuzz`.
//!
//! The targets are a package of their own (`fuzz/`), which `cargo fuzz` builds with instrumentation.
//! Each run starts from the texts that the tests of the crates are made of, so that no corpus has to
//! be kept; what a run adds to it stays under `fuzz/corpus`, and what brings a target down under
//! `fuzz/artifacts`, both unknown to git.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// What fuzzing is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Targets to run; all of them when none is named.
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How much memory a target may take, in MiB.
    #[arg(long, default_value_t = 1500)]
    memory: u32,
    /// How long one input may take, in seconds. The limits that the targets set allow none of them
    /// more than a moment.
    #[arg(long, default_value_t = 20)]
    timeout: u32,
    /// The longest input, in bytes.
    #[arg(long, default_value_t = 2000)]
    length: u32,
}

/// A target, its dictionary, and the files whose lines or whole text it starts from.
struct Target {
    name: &'static str,
    dictionary: &'static str,
    lines: &'static [&'static str],
}

const EXPRESSIONS: &str = "crates/yaql/tests/data/expressions.txt";
const TEMPLATES: &[&str] = &[
    "crates/expr/tests/data/jinja.txt",
    "crates/expr/tests/data/templates.txt",
    "crates/expr/tests/data/limits.txt",
];

const TARGETS: &[Target] = &[
    Target {
        name: "yaql-parse",
        dictionary: "yaql",
        lines: &[EXPRESSIONS],
    },
    Target {
        name: "yaql",
        dictionary: "yaql",
        lines: &[EXPRESSIONS],
    },
    Target {
        name: "statement",
        dictionary: "jinja",
        lines: &[
            "crates/expr/tests/data/functions.txt",
            "crates/expr/tests/data/workflow-limits.txt",
        ],
    },
    Target {
        name: "template",
        dictionary: "jinja",
        lines: TEMPLATES,
    },
    Target {
        name: "yaml",
        dictionary: "yaml",
        lines: &["crates/schema/tests/data/validation.jsonl"],
    },
    Target {
        name: "schema",
        dictionary: "schema",
        lines: &[
            "crates/schema/tests/data/validation.jsonl",
            "crates/schema/tests/data/casts.jsonl",
        ],
    },
    Target {
        name: "criteria",
        dictionary: "criteria",
        lines: &[
            "crates/rules/tests/data/operators.jsonl",
            "crates/rules/tests/data/paths.jsonl",
        ],
    },
];

/// Runs the targets one after the other; true when nothing was found.
///
/// # Errors
///
/// When a name is no target's, when `cargo fuzz` is not installed, or a target can't be built.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    for name in &options.targets {
        if TARGETS.iter().all(|target| target.name != name) {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            bail!(
                "there is no target `{name}`: choose among {}",
                known.join(", ")
            );
        }
    }
    let is_installed = cargo_fuzz(root, &["--version"]).output()?.status.success();
    ensure!(
        is_installed,
        "`cargo fuzz` is missing: `cargo install cargo-fuzz` installs it"
    );
    let chosen = TARGETS.iter().filter(|target| {
        options.targets.is_empty() || options.targets.iter().any(|name| name == target.name)
    });
    let mut found = Vec::new();
    for target in chosen {
        let corpus = root.join("fuzz/corpus").join(target.name);
        let seeds = plant(root, target, &corpus)?;
        println!("=== {}: from {seeds} texts", target.name);
        if !fuzz(root, target, options)? {
            found.push(target.name);
        }
    }
    if !found.is_empty() {
        println!(
            "found something: {}; the inputs are under fuzz/artifacts",
            found.join(", ")
        );
    }
    Ok(found.is_empty())
}

/// `cargo fuzz`, which wants switches that a stable compiler has only when it is told so.
fn cargo_fuzz(root: &Path, args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).env("RUSTC_BOOTSTRAP", "1");
    command.arg("fuzz").args(args);
    command
}

fn fuzz(root: &Path, target: &Target, options: &Options) -> Result<bool> {
    // There is no unsafe code for a sanitizer to watch.
    let mut command = cargo_fuzz(root, &["run", "--sanitizer", "none"]);
    if let Some(directory) = std::env::var_os("CARGO_TARGET_DIR") {
        command.arg("--target-dir").arg(directory);
    }
    command.arg(target.name).arg("--").args([
        format!("-dict=fuzz/dictionaries/{}.dict", target.dictionary),
        format!("-max_total_time={}", options.seconds),
        format!("-rss_limit_mb={}", options.memory),
        format!("-timeout={}", options.timeout),
        format!("-max_len={}", options.length),
        "-verbosity=0".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    let status = command.status().context("`cargo fuzz` can't be started")?;
    Ok(status.success())
}

/// Puts the texts that tests are made of into a corpus; says how many there are.
fn plant(root: &Path, target: &Target, corpus: &Path) -> Result<usize> {
    std::fs::create_dir_all(corpus)
        .with_context(|| format!("{} can't be made", corpus.display()))?;
    let mut texts = Vec::new();
    for path in target.lines {
        let content = std::fs::read_to_string(root.join(path))
            .with_context(|| format!("{path} can't be read"))?;
        // What stands behind these is the expected result.
        let cases = content.lines().map(|line| {
            let case = line.split(" => ").next().unwrap_or_default();
            case.split(" !! ").next().unwrap_or_default()
        });
        let is_case = |case: &&str| !case.is_empty() && !case.starts_with([' ', '#']);
        texts.extend(cases.filter(is_case).map(str::to_owned));
    }
    if target.name == "yaml" {
        for path in yaml_files(&root.join("packs"))? {
            texts.push(std::fs::read_to_string(path)?);
        }
    }
    for text in &texts {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        std::fs::write(corpus.join(format!("{:016x}", hasher.finish())), text)?;
    }
    Ok(texts.len())
}

fn yaml_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(yaml_files(&path)?);
        } else if path.extension().is_some_and(|name| name == "yaml") {
            files.push(path);
        }
    }
    Ok(files)
}
