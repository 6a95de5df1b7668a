//! The messages of the remote shell of Windows: WS-Management (DSP0226) with Microsoft's shell
//! (MS-WSMV, section 3.1.4.1).

use std::fmt::Write;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
const RESOURCE: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
/// UTF-8.
const CODE_PAGE: &str = "65001";
/// What Windows takes by default, in bytes.
const ENVELOPE_BYTES_MAX: u32 = 153_600;
/// Nothing has been printed for as long as the operation was to last: ask again.
const TIMED_OUT: &str = "2150858793";

/// What stands in the head of every message.
pub(super) struct Head<'a> {
    /// The address that the message is sent to.
    pub(super) url: &'a str,
    /// A UUID.
    pub(super) message: String,
    /// How long the host may take to answer.
    pub(super) patience: Duration,
}

/// What is asked of the host.
pub(super) enum Message<'a> {
    /// Opens a shell.
    Open {
        directory: Option<&'a str>,
        environment: &'a [(String, String)],
    },
    /// Runs a command in a shell.
    Run { shell: &'a str, command: &'a str },
    /// Asks for what a command has printed since, and whether it has ended.
    Receive { shell: &'a str, command: &'a str },
    /// Ends a command, or tells that its end was seen.
    Terminate { shell: &'a str, command: &'a str },
    /// Closes a shell, and ends what runs in it.
    Close { shell: &'a str },
}

impl Message<'_> {
    fn action(&self) -> String {
        match self {
            Message::Open { .. } => format!("{TRANSFER}/Create"),
            Message::Run { .. } => format!("{SHELL}/Command"),
            Message::Receive { .. } => format!("{SHELL}/Receive"),
            Message::Terminate { .. } => format!("{SHELL}/Signal"),
            Message::Close { .. } => format!("{TRANSFER}/Delete"),
        }
    }

    fn shell(&self) -> Option<&str> {
        match self {
            Message::Open { .. } => None,
            Message::Run { shell, .. }
            | Message::Receive { shell, .. }
            | Message::Terminate { shell, .. }
            | Message::Close { shell } => Some(shell),
        }
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Message::Open { .. } => &[("WINRS_NOPROFILE", "FALSE"), ("WINRS_CODEPAGE", CODE_PAGE)],
            Message::Run { .. } => &[
                ("WINRS_CONSOLEMODE_STDIN", "TRUE"),
                ("WINRS_SKIP_CMD_SHELL", "FALSE"),
            ],
            Message::Receive { .. } | Message::Terminate { .. } | Message::Close { .. } => &[],
        }
    }

    fn body(&self) -> String {
        match self {
            Message::Open {
                directory,
                environment,
            } => open(*directory, environment),
            Message::Run { command, .. } => format!(
                "<rsp:CommandLine><rsp:Command>{}</rsp:Command></rsp:CommandLine>",
                escape(command)
            ),
            Message::Receive { command, .. } => format!(
                "<rsp:Receive><rsp:DesiredStream CommandId=\"{}\">stdout stderr\
                 </rsp:DesiredStream></rsp:Receive>",
                escape(command)
            ),
            Message::Terminate { command, .. } => format!(
                "<rsp:Signal CommandId=\"{}\"><rsp:Code>{SHELL}/signal/terminate</rsp:Code>\
                 </rsp:Signal>",
                escape(command)
            ),
            Message::Close { .. } => String::new(),
        }
    }

    /// The message as it is sent.
    pub(super) fn envelope(&self, head: &Head<'_>) -> String {
        let mut more = String::new();
        // Writing into memory can't fail.
        if let Some(shell) = self.shell() {
            let shell = escape(shell);
            let _ = write!(
                more,
                "<w:SelectorSet><w:Selector Name=\"ShellId\">{shell}</w:Selector></w:SelectorSet>"
            );
        }
        if !self.options().is_empty() {
            more.push_str("<w:OptionSet>");
            for (name, value) in self.options() {
                let _ = write!(more, "<w:Option Name=\"{name}\">{value}</w:Option>");
            }
            more.push_str("</w:OptionSet>");
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <env:Envelope xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
             xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" \
             xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\" \
             xmlns:rsp=\"{SHELL}\"><env:Header>\
             <a:To>{url}</a:To>\
             <a:ReplyTo><a:Address mustUnderstand=\"true\">{ANONYMOUS}</a:Address></a:ReplyTo>\
             <w:MaxEnvelopeSize mustUnderstand=\"true\">{ENVELOPE_BYTES_MAX}</w:MaxEnvelopeSize>\
             <a:MessageID>uuid:{message}</a:MessageID>\
             <w:Locale mustUnderstand=\"false\" xml:lang=\"en-US\"/>\
             <p:DataLocale mustUnderstand=\"false\" xml:lang=\"en-US\"/>\
             <w:OperationTimeout>PT{seconds}S</w:OperationTimeout>\
             <w:ResourceURI mustUnderstand=\"true\">{RESOURCE}</w:ResourceURI>\
             <a:Action mustUnderstand=\"true\">{action}</a:Action>{more}\
             </env:Header><env:Body>{body}</env:Body></env:Envelope>",
            url = escape(head.url),
            message = head.message,
            seconds = head.patience.as_secs().max(1),
            action = self.action(),
            body = self.body(),
        )
    }
}

fn open(directory: Option<&str>, environment: &[(String, String)]) -> String {
    let mut body = String::from(
        "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams>\
         <rsp:OutputStreams>stdout stderr</rsp:OutputStreams>",
    );
    if let Some(directory) = directory {
        let directory = escape(directory);
        // Writing into memory can't fail.
        let _ = write!(
            body,
            "<rsp:WorkingDirectory>{directory}</rsp:WorkingDirectory>"
        );
    }
    if !environment.is_empty() {
        body.push_str("<rsp:Environment>");
        for (name, value) in environment {
            let (name, value) = (escape(name), escape(value));
            let _ = write!(body, "<rsp:Variable Name=\"{name}\">{value}</rsp:Variable>");
        }
        body.push_str("</rsp:Environment>");
    }
    body.push_str("</rsp:Shell>");
    body
}

/// A text within XML 1.0, which has no way to write most control characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Else it would arrive as a line feed, or as a space.
            '\r' => out.push_str("&#13;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// What a command has printed since it was last asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// How it ended, once it has.
    pub(super) exit_code: Option<i64>,
}

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing happened for as long as the host was to wait.
    #[error("the host had nothing to tell in time")]
    TimedOut,
    /// The host refuses.
    #[error("the host refused: {0}")]
    Refused(String),
    /// It is not the answer of a remote shell.
    #[error("the answer is not that of a Windows remote shell: {0}")]
    Strange(String),
}

fn strange(reason: impl ToString) -> Fault {
    Fault::Strange(reason.to_string())
}

fn find<'a>(document: &'a Document<'_>, name: &str) -> Option<Node<'a, 'a>> {
    let mut nodes = document.descendants();
    nodes.find(|node| node.is_element() && node.tag_name().name() == name)
}

fn text_of(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter_map(|node| match node.is_text() {
        true => node.text(),
        false => None,
    });
    texts.collect::<String>().trim().to_owned()
}

fn parse(answer: &str) -> Result<Document<'_>, Fault> {
    let document = Document::parse(answer).map_err(strange)?;
    match find(&document, "Fault") {
        Some(fault) => Err(refusal(fault)),
        None => Ok(document),
    }
}

fn refusal(fault: Node<'_, '_>) -> Fault {
    let named = |name: &str| {
        let mut nodes = fault.descendants();
        nodes.find(|node| node.is_element() && node.tag_name().name() == name)
    };
    let details = named("WSManFault");
    let code = details.and_then(|details| details.attribute("Code"));
    if code == Some(TIMED_OUT) {
        return Fault::TimedOut;
    }
    let reason = named("Text").map(text_of).filter(|text| !text.is_empty());
    let message = named("Message").map(text_of);
    let text = reason.or(message.filter(|text| !text.is_empty()));
    let text = text.unwrap_or_else(|| "no reason is given".to_owned());
    Fault::Refused(match code {
        Some(code) => format!("{text} (code {code})"),
        None => text,
    })
}

/// The id of the shell that was opened.
pub(super) fn opened(answer: &str) -> Result<String, Fault> {
    let document = parse(answer)?;
    let is_id = |node: &Node<'_, '_>| {
        node.tag_name().name() == "Selector" && node.attribute("Name") == Some("ShellId")
    };
    let selector = document.descendants().find(is_id);
    let id = selector.or_else(|| find(&document, "ShellId")).map(text_of);
    id.ok_or_else(|| strange("it names no shell"))
}

/// The id of the command that was started.
pub(super) fn started(answer: &str) -> Result<String, Fault> {
    let document = parse(answer)?;
    let id = find(&document, "CommandId").map(text_of);
    id.ok_or_else(|| strange("it names no command"))
}

/// Whether a message was heeded.
pub(super) fn heeded(answer: &str) -> Result<(), Fault> {
    parse(answer).map(|_| ())
}

/// What a command has printed.
pub(super) fn received(answer: &str) -> Result<Received, Fault> {
    let document = parse(answer)?;
    let mut received = Received::default();
    for node in document.descendants().filter(Node::is_element) {
        match node.tag_name().name() {
            "Stream" => {
                let bytes = STANDARD.decode(text_of(node)).map_err(strange)?;
                match node.attribute("Name") {
                    Some("stdout") => received.stdout.extend(bytes),
                    Some("stderr") => received.stderr.extend(bytes),
                    _ => {}
                }
            }
            "CommandState" => {
                let state = node.attribute("State").unwrap_or_default();
                if state.ends_with("/CommandState/Done") {
                    let code = find(&document, "ExitCode").map(text_of);
                    let code = code.and_then(|code| code.parse().ok());
                    received.exit_code = Some(code.unwrap_or(-1));
                }
            }
            _ => {}
        }
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head<'static> {
        Head {
            url: "https://host:5986/wsman",
            message: "0-1".to_owned(),
            patience: Duration::from_secs(20),
        }
    }

    #[test]
    fn what_is_sent_reads_as_it_was_meant() {
        let environment = [("A\"B".to_owned(), "<1>\r\n&".to_owned())];
        let open = Message::Open {
            directory: Some("C:\\new & old"),
            environment: &environment,
        };
        let text = open.envelope(&head());
        let read = Document::parse(&text).unwrap();
        let variable = find(&read, "Variable").unwrap();
        assert_eq!(variable.attribute("Name"), Some("A\"B"));
        assert_eq!(variable.text(), Some("<1>\r\n&"));
        let directory = find(&read, "WorkingDirectory").map(text_of);
        assert_eq!(directory.as_deref(), Some("C:\\new & old"));
        assert_eq!(text_of(find(&read, "OperationTimeout").unwrap()), "PT20S");
        let run = Message::Run {
            shell: "S",
            command: "echo \u{1} \"a\"",
        };
        let text = run.envelope(&head());
        let read = Document::parse(&text).unwrap();
        let command = find(&read, "Command").map(text_of);
        assert_eq!(command.as_deref(), Some("echo \u{fffd} \"a\""));
        assert_eq!(find(&read, "Selector").map(text_of).as_deref(), Some("S"));
    }

    #[test]
    fn answers_are_read() {
        let stream = "<r xmlns:rsp=\"x\"><rsp:Stream Name=\"stdout\">aGk=</rsp:Stream>\
            <rsp:Stream Name=\"stderr\" End=\"true\"></rsp:Stream>\
            <rsp:CommandState State=\"x/CommandState/Running\"/></r>";
        let read = received(stream).unwrap();
        assert_eq!((&*read.stdout, read.exit_code), (&b"hi"[..], None));
        let done = "<r><CommandState State=\"x/CommandState/Done\"><ExitCode>3221225786</ExitCode>\
            </CommandState></r>";
        assert_eq!(received(done).unwrap().exit_code, Some(3_221_225_786));
    }

    #[test]
    fn refusals_are_told() {
        let fault = |code: &str, text: &str| {
            let text = format!(
                "<e><Fault><Reason><Text>{text}</Text></Reason><Detail>\
                 <WSManFault Code=\"{code}\"><Message>m</Message></WSManFault></Detail></Fault></e>"
            );
            opened(&text).unwrap_err().to_string()
        };
        assert_eq!(
            fault("2150858793", "late"),
            "the host had nothing to tell in time"
        );
        assert_eq!(
            fault("5", "Access is denied."),
            "the host refused: Access is denied. (code 5)"
        );
        assert_eq!(fault("5", ""), "the host refused: m (code 5)");
        for (text, expect) in [
            ("<html/>", "it names no shell"),
            ("nonsense", "unknown token"),
            // No entity is looked up.
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "DTD"),
        ] {
            let fault = opened(text).unwrap_err().to_string();
            assert!(fault.contains(expect), "{fault}");
        }
    }
}
