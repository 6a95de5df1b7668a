//! The small program between the server and an action's process.
//!
//! A process that needs a session of its own is started as `squall __spawn <journal> <execution>
//! <program> <arguments>...`: this makes the session, writes the journal, and becomes the program.
//! So nothing has to run between `fork` and `exec` inside the server, which would cost a copy of
//! its page tables for each process.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The first argument by which a program tells that it is to be [`spawn_entry`].
pub const SPAWN_COMMAND: &str = "__spawn";

/// The shell's exit codes for what can't be executed.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// If `args` (with the program's own name first) say so, becomes the program that they name and
/// does not return. A server calls this first thing in `main`, before it starts a thread.
pub fn spawn_entry(args: impl IntoIterator<Item = OsString>) {
    let mut args = args.into_iter().skip(1);
    if args.next().as_deref() != Some(std::ffi::OsStr::new(SPAWN_COMMAND)) {
        return;
    }
    let (Some(journal), Some(execution)) = (args.next(), args.next()) else {
        std::process::exit(NOT_EXECUTABLE);
    };
    // Fails only for the leader of a group, which a program started as one is: then a session
    // can't be had, and the group must do.
    let _ = nix::unistd::setsid();
    let pid = nix::unistd::getpid().as_raw();
    // Without a journal the mark in the environment must do.
    let _ = super::journal::write(Path::new(&journal), pid, &execution.to_string_lossy());
    let argv: Vec<CString> = args
        .filter_map(|argument| CString::new(argument.into_vec()).ok())
        .collect();
    let Some(program) = argv.first() else {
        std::process::exit(NOT_EXECUTABLE);
    };
    let Err(error) = nix::unistd::execv(program, &argv);
    report(&format!(
        "{}: {}\n",
        program.to_string_lossy(),
        error.desc()
    ));
    std::process::exit(if error == nix::errno::Errno::ENOENT {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    });
}

fn report(text: &str) {
    use std::io::Write;
    // Nobody is left to be told if this fails.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
