//! What went wrong, told to the person who must act.

use std::fmt::Write;
use std::io;

use squall_client::{Error, TlsFailure};

use crate::config::{Connection, ServerFrom};

/// The command was not used as it wants to be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A usage error as an error of any kind.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(text.into()))
}

pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const UNREACHED: u8 = 3;
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of an error, and what to print; nothing if nobody is left to read it.
pub(crate) fn explain(
    error: &anyhow::Error,
    connection: Option<&Connection>,
) -> (u8, Option<String>) {
    for cause in error.chain() {
        let broken = cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        if broken {
            return (0, None);
        }
    }
    let mut text = String::from("error: ");
    for (index, cause) in error.chain().enumerate() {
        if index > 0 {
            text.push_str(": ");
        }
        let _ = write!(text, "{cause}");
    }
    if error.downcast_ref::<Usage>().is_some() {
        return (USAGE, Some(text));
    }
    let Some(refused) = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Error>())
    else {
        return (FAILED, Some(text));
    };
    let code = match refused {
        Error::Name(_) => USAGE,
        _ if refused.is_network() => UNREACHED,
        _ => FAILED,
    };
    for line in advice(refused, connection) {
        text.push_str("\n  ");
        text.push_str(&line);
    }
    (code, Some(text))
}

/// Whether nobody named a server: the one that is meant runs on this machine, or should.
fn is_of_this_machine(from: &ServerFrom) -> bool {
    matches!(from, ServerFrom::Default | ServerFrom::Data(_))
}

fn advice(error: &Error, connection: Option<&Connection>) -> Vec<String> {
    let mut lines = Vec::new();
    let server = connection.map(|connection| {
        let (base, from) = (connection.endpoints.base(), &connection.server_from);
        format!("the server's address {base} comes from {from}")
    });
    match error {
        Error::Unreachable { source, .. } => {
            lines.extend(server);
            if let Some(failure) = error.tls_failure() {
                lines.push(about_tls(failure).to_owned());
                return lines;
            }
            let is_here =
                connection.is_none_or(|connection| is_of_this_machine(&connection.server_from));
            if source.is_timeout() {
                lines.push(
                    "it did not answer in time: is the machine up, and no firewall between?".into(),
                );
            } else if is_here {
                lines.push("start a server on this machine with `squall serve`, or".into());
            }
            lines.push(
                "name another server with --server URL, SQUALL_SERVER, or \
                 `squall context set NAME --server URL`"
                    .into(),
            );
        }
        Error::Answer { .. } => lines.extend(server),
        Error::Refused {
            status: 401, url, ..
        } if url.ends_with("/tokens") => {
            lines.extend(server);
            lines.push("are the user and the password those of this server?".to_owned());
        }
        Error::Refused {
            status: 401,
            request_id,
            ..
        } => {
            let from = connection.and_then(|connection| connection.credential_from.as_deref());
            lines.push(match from {
                Some(from) => format!("the credential comes from {from}"),
                None => "no credential is configured".to_owned(),
            });
            lines.extend(server);
            lines.push(
                "sign in with `squall login USER`, or set SQUALL_TOKEN or ST2_API_KEY".into(),
            );
            lines.extend(request_line(request_id.as_deref()));
        }
        Error::Refused {
            status, request_id, ..
        } if *status >= 500 => {
            lines.push(format!(
                "the server failed (HTTP {status}); its log says why"
            ));
            lines.extend(request_line(request_id.as_deref()));
        }
        Error::Credential => {
            let from = connection.and_then(|connection| connection.credential_from.as_deref());
            lines.extend(from.map(|from| format!("the credential comes from {from}")));
        }
        Error::Refused { .. }
        | Error::Broken { .. }
        | Error::Setup(_)
        | Error::Name(_)
        | Error::Authorities => {}
    }
    lines
}

fn about_tls(failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::Certificate => {
            "if it is the right server, name the file with its certificate or that of its authority: \
             --cacert FILE or SQUALL_CACERT"
        }
        TlsFailure::NotSpoken => {
            "it does not speak TLS; if it is the right server, its address begins with http://"
        }
    }
}

fn request_line(request_id: Option<&str>) -> Option<String> {
    request_id.map(|id| format!("request {id}"))
}
