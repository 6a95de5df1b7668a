//! What a remote machine is told to run.
//!
//! Every user of a machine can see command lines, so the one that starts the session is always the
//! same; the environment, the command and the password for `sudo` follow on standard input. What
//! follows is `supervise.sh` with its settings before it: it starts the command, and ends it with
//! all its descendants when the connection behind its input is closed, whoever closed it.

use std::fmt::Write as _;

/// Says that what comes next is not for `sudo`, which may or may not have taken the password.
const PASSWORD_ENDS: &str = "squall: the command follows";

/// A command for a remote machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Command {
    pub(crate) execution_id: String,
    /// A text for the shell.
    pub(crate) text: String,
    pub(crate) directory: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) sudo: Option<Sudo>,
    /// Seconds between SIGTERM and SIGKILL when it is ended.
    pub(crate) grace_seconds: u64,
    /// What is removed when it has ended.
    pub(crate) remove: Option<String>,
}

/// That `sudo` is to be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sudo {
    pub(crate) password: Option<String>,
}

/// A command as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The command line of the session; holds nothing of the job but the length of the input.
    pub(crate) line: String,
    /// What follows on standard input, which stays open after it.
    pub(crate) input: String,
}

impl Command {
    /// The command as it is sent.
    ///
    /// # Errors
    ///
    /// A variable has a name that shells don't take, or something holds a NUL character.
    pub(crate) fn program(&self) -> Result<Program, String> {
        let text = self.script()?;
        if text.contains('\0') {
            return Err("the command or its environment holds a NUL character".to_owned());
        }
        let read = format!("eval \"$(head -c {})\"", text.len());
        Ok(match &self.sudo {
            None => Program {
                line: format!("exec sh -c '{read}'"),
                input: text,
            },
            Some(Sudo { password: None }) => Program {
                line: format!("exec sudo -n -E -- sh -c '{read}'"),
                input: text,
            },
            Some(Sudo {
                password: Some(password),
            }) => {
                if password.contains(['\0', '\n']) {
                    return Err("the password for sudo holds a line break".to_owned());
                }
                let skip = format!(
                    "while IFS= read -r l && [ \"$l\" != \"{PASSWORD_ENDS}\" ]; do :; done"
                );
                Program {
                    line: format!("exec sudo -S -E -- sh -c '{skip}; {read}'"),
                    input: format!("{password}\n{PASSWORD_ENDS}\n{text}"),
                }
            }
        })
    }

    fn script(&self) -> Result<String, String> {
        let mut script = String::with_capacity(self.text.len() + 8192);
        let shell = if self.sudo.is_some() { "bash" } else { "" };
        for (name, value) in [
            ("execution", self.execution_id.as_str()),
            ("command", &self.text),
            ("shell", shell),
            ("grace", &self.grace_seconds.to_string()),
            ("remove", self.remove.as_deref().unwrap_or_default()),
        ] {
            // Writing into memory can't fail.
            let _ = writeln!(script, "{name}={}", quote(value));
        }
        let _ = writeln!(script, "directory={}", directory(&self.directory));
        script.push_str("variables() {\n:\n");
        for (name, value) in &self.env {
            if !is_variable(name) {
                return Err(format!("{name:?} can't be the name of a variable in `env`"));
            }
            let _ = writeln!(script, "export {name}={}", quote(value));
        }
        script.push_str("}\n");
        // Cut short on its way, it runs not at all.
        Ok(format!("{{\n{script}{}}}\n", include_str!("supervise.sh")))
    }
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A directory for `cd`; that of the user where it says so.
fn directory(path: &str) -> String {
    match path.strip_prefix('~') {
        Some("") => "$HOME".to_owned(),
        Some(rest) if rest.starts_with('/') => format!("\"$HOME\"{}", quote(rest)),
        _ => quote(path),
    }
}

/// `text` as one word for a shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r#"'"'"'"#))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command as Process, Stdio};

    use super::{Command, Sudo, quote};

    /// Runs the program in a shell of this machine; returns what it prints and its exit code.
    fn run(command: &Command) -> (String, i32) {
        let program = command.program().expect("a program");
        let mut child = Process::new("sh")
            .args(["-c", &program.line])
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        // Kept open until the end: to close it is to end the command.
        let mut input = child.stdin.take().expect("an input");
        input.write_all(program.input.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("an end");
        drop(input);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (text, output.status.code().unwrap_or(-1))
    }

    fn command(text: &str) -> Command {
        Command {
            execution_id: "0123".to_owned(),
            text: text.to_owned(),
            directory: "/".to_owned(),
            env: vec![("A".to_owned(), "it's $HOME \"x\"\n\\".to_owned())],
            grace_seconds: 1,
            ..Command::default()
        }
    }

    #[test]
    fn commands_run_as_they_were_written() {
        for (text, expected, code) in [
            ("echo hi; exit 3", "hi\n", 3),
            ("printf '%s|' \"$A\"", "it's $HOME \"x\"\n\\|", 0),
            (
                "pwd; cat; echo \"$SQUALL_EXECUTION_ID\" # a comment",
                "/\n0123\n",
                0,
            ),
            ("echo $#,${command-},${c-}", "0,,\n", 0),
            ("false", "", 1),
            ("echo 'a\nb'", "a\nb\n", 0),
        ] {
            assert_eq!(run(&command(text)), (expected.to_owned(), code), "{text}");
        }
    }

    #[test]
    fn a_command_that_kills_itself_is_reported() {
        assert_eq!(run(&command("kill -9 $$")).1, 137);
    }

    #[test]
    fn a_directory_that_is_not_there_runs_nothing() {
        let missing = Command {
            directory: "/no such/dir".to_owned(),
            ..command("echo ran")
        };
        let (text, code) = run(&missing);
        assert!(
            text.contains("/no such/dir") && !text.contains("ran\n"),
            "{text}"
        );
        assert_ne!(code, 0);
    }

    #[test]
    fn what_is_to_be_removed_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("it's here");
        std::fs::create_dir(&path).expect("a directory");
        let mut removing = command("ls -d \"$D\"");
        let shown = path.display().to_string();
        removing.env = vec![("D".to_owned(), shown.clone())];
        removing.remove = Some(shown.clone());
        assert_eq!(run(&removing), (format!("{shown}\n"), 0));
        assert!(!path.exists());
    }

    #[test]
    fn nothing_of_the_job_is_on_the_command_line() {
        let mut secret = command("echo s3cret");
        secret.env.push(("TOKEN".to_owned(), "s3cret".to_owned()));
        for sudo in [None, Some(None), Some(Some("s3cret".to_owned()))] {
            secret.sudo = sudo.map(|password| Sudo { password });
            let program = secret.program().expect("a program");
            assert!(!program.line.contains("s3cret"));
            assert!(!program.line.contains('\n'), "{}", program.line);
            assert!(program.input.contains("s3cret"));
        }
    }

    #[test]
    fn a_program_that_was_cut_short_does_nothing() {
        let program = command("touch /tmp/should-not-be")
            .program()
            .expect("a program");
        for length in [program.input.len() / 2, program.input.len() - 3] {
            let status = Process::new("sh")
                .args(["-c", &program.input[..length]])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(!status.expect("a shell").success());
        }
    }

    #[test]
    fn what_a_shell_would_not_take_is_refused() {
        for name in ["", "1A", "A-B", "A;id", "Ä"] {
            let mut bad = command("true");
            bad.env = vec![(name.to_owned(), "x".to_owned())];
            assert!(bad.program().is_err(), "{name}");
        }
        assert!(command("a\0b").program().is_err());
        assert_eq!(quote("a'b"), r#"'a'"'"'b'"#);
    }
}
