//! PowerShell over a remote shell: how commands are written so that they arrive as they were meant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use squall_value::{Value, python};

/// A longer command line is cut off by Windows.
pub(super) const COMMAND_BYTES_MAX: usize = 8191;

/// So many bytes of a file fit into one command line, after they were encoded twice.
const PIECE_BYTES: usize = 1800;

/// The command line that runs a script.
pub(super) fn command(script: &str) -> String {
    let wide: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    format!("powershell -encodedcommand {}", STANDARD.encode(wide))
}

/// A script with its arguments, where it is short enough to be sent as a command.
pub(super) fn with_arguments(script: &str, arguments: &str) -> String {
    if arguments.is_empty() {
        script.to_owned()
    } else {
        format!("& {{{script}}} {arguments}")
    }
}

/// Makes a directory of its own among the temporary ones, and prints where.
pub(super) const MAKE_DIRECTORY: &str = "$parent = [System.IO.Path]::GetTempPath()
$name = [System.IO.Path]::GetRandomFileName()
$path = Join-Path $parent $name
New-Item -ItemType Directory -Path $path | Out-Null
$path";

/// Removes a directory with all that is in it.
pub(super) fn remove_directory(path: &str) -> String {
    format!("Remove-Item -Force -Recurse -LiteralPath {}", quote(path))
}

/// The scripts that write a file, piece by piece.
pub(super) fn write_file(path: &str, content: &[u8]) -> Vec<String> {
    let path = quote(path);
    let pieces = content.chunks(PIECE_BYTES).map(|piece| {
        let piece = STANDARD.encode(piece);
        format!(
            "$data = [System.Convert]::FromBase64String('{piece}')
$file = [System.IO.File]::Open({path}, 'Append')
$file.Write($data, 0, $data.Length)
$file.Close()"
        )
    });
    pieces.collect()
}

/// Runs a script file.
pub(super) fn run_file(path: &str, arguments: &str) -> String {
    let path = quote(path);
    format!("& {path} {arguments}").trim_end().to_owned()
}

/// A text that PowerShell takes as it is.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A value as an argument of a script, in StackStorm's words.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "$null".to_owned(),
        Value::Bool(true) => "$true".to_owned(),
        Value::Bool(false) => "$false".to_owned(),
        Value::String(text) => format!("\"{}\"", escaped(text)),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("@({})", items.join(", "))
        }
        Value::Dict(members) => {
            let member = |(name, value): (&squall_value::Str, &Value)| {
                format!("\"{}\" = {}", escaped(name), literal(value))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("@{{{}}}", members.join("; "))
        }
        other => python::str(other),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let letter = match c {
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\u{b}' => 'v',
            '\0' => '0',
            // PowerShell takes typographic quotes for quotes.
            '"' | '\'' | '`' | '$' | '\u{201c}'..='\u{201e}' => c,
            c => {
                out.push(c);
                continue;
            }
        };
        out.push('`');
        out.push(letter);
    }
    out
}

/// What PowerShell writes to its error output, as people read it: it comes as XML.
pub(super) fn readable(stderr: &str) -> String {
    let Some(xml) = stderr.strip_prefix("#< CLIXML\r\n") else {
        return stderr.to_owned();
    };
    let Ok(document) = roxmltree::Document::parse(xml) else {
        return stderr.to_owned();
    };
    let texts = document.root_element().children();
    let texts = texts.filter(|node| node.tag_name().name() == "S");
    let text: String = texts.filter_map(|node| node.text()).collect();
    let text = text.replace("_x000D__x000A_", "\n");
    let text = text.trim();
    if text.is_empty() {
        stderr.to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use squall_value::json;

    use super::*;

    #[test]
    fn commands_are_encoded() {
        let expect = "powershell -encodedcommand ZABpAHIA";
        assert_eq!(command("dir"), expect);
        assert_eq!(with_arguments("dir", ""), "dir");
        assert_eq!(with_arguments("param($a)", "-a 1"), "& {param($a)} -a 1");
    }

    #[test]
    fn values_are_written_as_literals() {
        for (given, expect) in [
            ("null", "$null"),
            ("true", "$true"),
            ("12", "12"),
            (r#""a \"b\" $c\n`""#, "\"a `\"b`\" `$c`n``\""),
            (r#"["a", 1, [false]]"#, "@(\"a\", 1, @($false))"),
            (r#"{"k": {"$x": null}}"#, "@{\"k\" = @{\"`$x\" = $null}}"),
        ] {
            let value = json::read(given).unwrap();
            assert_eq!(literal(&value), expect, "{given}");
        }
    }

    #[test]
    fn every_piece_of_a_file_fits_into_a_command() {
        let path = "C:\\Users\\somebody with a long name\\AppData\\Local\\Temp\\it's\\script.ps1";
        let pieces = write_file(path, &[b'x'; 5000]);
        assert_eq!(pieces.len(), 3);
        for piece in pieces {
            assert!(piece.contains("it''s"));
            let length = command(&piece).len();
            assert!(length <= COMMAND_BYTES_MAX, "{length}");
        }
    }

    #[test]
    fn errors_are_readable() {
        let xml = "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" \
            xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">\
            <Obj S=\"progress\"><MS><S N=\"x\">Loading</S></MS></Obj>\
            <S S=\"Error\">no such file_x000D__x000A_</S>\
            <S S=\"Error\">at line 1_x000D__x000A_</S></Objs>";
        assert_eq!(readable(xml), "no such file\nat line 1");
        for text in ["plain", "#< CLIXML\r\nbroken", "#< CLIXML\r\n<Objs/>"] {
            assert_eq!(readable(text), text);
        }
    }
}
