//! The parameter `hosts`: which machines are meant.

use std::collections::HashMap;
use std::net::IpAddr;

/// One machine of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostEntry {
    /// The key of its result: the name, with the port only where two entries share the name.
    pub(crate) label: String,
    pub(crate) name: String,
    pub(crate) port: Option<u16>,
}

/// The entries of a comma-separated list, each once, in order.
///
/// # Errors
///
/// There is none, or a port is no port.
pub(crate) fn parse(list: &str) -> Result<Vec<HostEntry>, String> {
    let mut entries: Vec<HostEntry> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for text in list
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        let (name, port) = split(text)?;
        if seen.insert((name.clone(), port)) {
            let label = name.clone();
            entries.push(HostEntry { label, name, port });
        }
    }
    if entries.is_empty() {
        return Err("the parameter `hosts` names no host".to_owned());
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    for entry in &entries {
        *names.entry(entry.name.clone()).or_default() += 1;
    }
    for entry in entries.iter_mut().filter(|entry| names[&entry.name] > 1) {
        if let Some(port) = entry.port {
            entry.label = format!("{}:{port}", entry.name);
        }
    }
    Ok(entries)
}

/// A name and a port, from `name`, `name:port`, `[address]`, `[address]:port` or an address.
///
/// # Errors
///
/// What should be a port is none.
pub(crate) fn split(text: &str) -> Result<(String, Option<u16>), String> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text.to_owned(), None));
    }
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, "")) => (name, None),
        Some((name, rest)) => (name, rest.strip_prefix(':').or(Some(rest))),
        None => match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => None,
        Some(port) => {
            let number = port.trim().parse::<u16>().ok().filter(|port| *port > 0);
            Some(number.ok_or_else(|| format!("Invalid port {port} specified for host {name}"))?)
        }
    };
    let is_wrong = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || name.contains(is_wrong) {
        return Err(format!("{text:?} is not the name of a host"));
    }
    Ok((name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(list: &str, expected: &str) {
        let shown = match parse(list) {
            Ok(entries) => {
                let entries = entries.iter().map(|entry| {
                    let port = entry.port.map_or("-".to_owned(), |port| port.to_string());
                    format!("{}={} {port}", entry.label, entry.name)
                });
                entries.collect::<Vec<_>>().join("; ")
            }
            Err(error) => error,
        };
        assert_eq!(shown, expected, "{list}");
    }

    #[test]
    fn lists_of_hosts() {
        for (list, expected) in [
            ("a", "a=a -"),
            (" a , b:5555,,a ", "a=a -; b=b 5555"),
            ("h:1,h:2,h", "h:1=h 1; h:2=h 2; h=h -"),
            (
                "10.0.0.1,::1,fe80::2",
                "10.0.0.1=10.0.0.1 -; ::1=::1 -; fe80::2=fe80::2 -",
            ),
            (
                "[::1]:2222,[fe80::1],[h]:22",
                "::1=::1 2222; fe80::1=fe80::1 -; h=h 22",
            ),
            ("", "the parameter `hosts` names no host"),
            (" , ", "the parameter `hosts` names no host"),
            ("a:x", "Invalid port x specified for host a"),
            ("a:0", "Invalid port 0 specified for host a"),
            ("a:70000", "Invalid port 70000 specified for host a"),
            ("[::1]x", "Invalid port x specified for host ::1"),
            (":22", "\":22\" is not the name of a host"),
            ("a b", "\"a b\" is not the name of a host"),
        ] {
            check(list, expected);
        }
    }
}
