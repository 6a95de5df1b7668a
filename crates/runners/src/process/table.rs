//! What `/proc` says about processes.

use std::fs;
use std::sync::LazyLock;

/// A row of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Clock ticks after boot; with the pid it names one process of this boot.
    pub(crate) start: u64,
    pub(crate) is_zombie: bool,
}

/// All processes that can be seen. One that ends meanwhile is left out.
pub(crate) fn all() -> Vec<Row> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(row)
        .collect()
}

/// The row of `pid`, if there is such a process.
pub(crate) fn row(pid: i32) -> Option<Row> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &text)
}

fn parse(pid: i32, stat: &[u8]) -> Option<Row> {
    // The second field is the program's name in parentheses and may hold anything, even `) `.
    let after = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let fields: Vec<&str> = std::str::from_utf8(&stat[after..])
        .ok()?
        .split_ascii_whitespace()
        .collect();
    Some(Row {
        pid,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// The values of the variables `names` in the environment that `pid` was started with.
pub(crate) fn environment<const N: usize>(pid: i32, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else {
        return values;
    };
    for entry in environ.split(|&byte| byte == 0) {
        for (name, value) in names.iter().zip(&mut values) {
            let text = entry
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="));
            if let Some(text) = text {
                *value = Some(String::from_utf8_lossy(text).into_owned());
            }
        }
    }
    values
}

/// Names this boot of the machine: pids and start times mean nothing in another.
pub(crate) fn boot_id() -> &'static str {
    static BOOT: LazyLock<String> = LazyLock::new(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    });
    &BOOT
}

/// Whether this process has a controlling terminal.
pub(crate) fn has_terminal() -> bool {
    fs::File::open("/dev/tty").is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Row, parse};

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = b"7 (a) S 9 9) Z 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4711 0 0";
        assert_eq!(
            parse(7, stat),
            Some(Row {
                pid: 7,
                parent: 1,
                group: 2,
                session: 3,
                start: 4711,
                is_zombie: true
            })
        );
        assert_eq!(parse(7, b"7 (x"), None);
    }
}
