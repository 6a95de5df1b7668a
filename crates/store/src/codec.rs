//! How the SQL stores write records, and read them again.
//!
//! What is filtered or ordered has a typed column. The rest of a record is its *body*: lines of
//! compact JSON, the first a small object that begins with the version of the format, each further
//! line one value that came from outside, so that a value may nest as deep as JSON may. A body over
//! [`PLAIN_MAX`] is compressed and carries a checksum. A text never begins with the byte that marks
//! a compressed one, so no column says which it is.

mod audit;
mod execution;

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::sync::Arc;

use squall_model::{
    Author, Document, DocumentKind, OutputChunk, OutputStream, RawId, Timestamp, TriggerInstance,
    TriggerInstanceStatus,
};
use squall_value::{Str, Value, json};

use crate::{Change, Command, Error, Operation, Subject};

pub use audit::{AuditRow, encode_audit};
pub use execution::{ExecutionRow, encode_log, encode_request, lease_of, until_of};

/// Bodies of more bytes are compressed, if that makes them smaller.
pub const PLAIN_MAX: usize = 4096;

/// The version of the format that is written.
pub const VERSION: i64 = 1;

/// Marks a compressed body: this byte, then CRC-32 of the text and its length (both little endian,
/// four and eight bytes), then LZ4 blocks.
const COMPRESSED: u8 = 1;

const HEADER: usize = 1 + 4 + 8;

/// A text as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packed {
    /// As it is.
    Plain(Str),
    /// Compressed.
    Compressed(Arc<[u8]>),
}

impl Packed {
    /// The bytes to store.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Packed::Plain(text) => text.as_bytes(),
            Packed::Compressed(bytes) => bytes,
        }
    }
}

/// Why a stored record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damage(pub Cow<'static, str>);

impl From<&'static str> for Damage {
    fn from(reason: &'static str) -> Damage {
        Damage(Cow::Borrowed(reason))
    }
}

impl Damage {
    /// The damage as the port's error, which names the record.
    #[must_use]
    pub fn of(self, table: &str, id: &dyn Display) -> Error {
        Error::Damaged(format!("{table} {id}: {self}"))
    }
}

/// LZ4 is given at most this much at once: its format counts in 32 bits.
const BLOCK: usize = 1 << 26;

/// Prepares a text to be stored.
#[must_use]
pub fn pack(text: impl Into<Str>) -> Packed {
    let text = text.into();
    // A foreign text (a file's content, a line of output) may begin with the mark by itself.
    let marked = text.as_bytes().first() == Some(&COMPRESSED);
    if text.len() <= PLAIN_MAX && !marked {
        return Packed::Plain(text);
    }
    let mut bytes = Vec::with_capacity(HEADER + text.len() / 2);
    bytes.push(COMPRESSED);
    bytes.extend(crc32fast::hash(text.as_bytes()).to_le_bytes());
    bytes.extend((text.len() as u64).to_le_bytes());
    for block in text.as_bytes().chunks(BLOCK) {
        let block = lz4_flex::block::compress(block);
        bytes.extend((block.len() as u64).to_le_bytes());
        bytes.extend(block);
    }
    if bytes.len() < text.len() || marked {
        Packed::Compressed(bytes.into())
    } else {
        Packed::Plain(text)
    }
}

/// The text behind stored bytes.
///
/// # Errors
///
/// [`Damage`] when the bytes are not what was stored.
pub fn unpack(bytes: &[u8]) -> Result<Cow<'_, str>, Damage> {
    if bytes.first() != Some(&COMPRESSED) {
        return std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| Damage::from("the text is not UTF-8"));
    }
    let cut = || Damage::from("the compressed text is cut short");
    let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or_else(cut)?;
    let sum = u32::from_le_bytes(header[1..5].try_into().map_err(|_| cut())?);
    let length = u64::from_le_bytes(header[5..].try_into().map_err(|_| cut())?);
    let mut text = Vec::new();
    while !rest.is_empty() {
        let (size, after) = rest.split_at_checked(8).ok_or_else(cut)?;
        let size = u64::from_le_bytes(size.try_into().map_err(|_| cut())?);
        let size = usize::try_from(size).map_err(|_| cut())?;
        let (block, after) = after.split_at_checked(size).ok_or_else(cut)?;
        // A damaged length must not make us reserve memory for it.
        let left = length.saturating_sub(text.len() as u64).min(BLOCK as u64);
        let left = usize::try_from(left).map_err(|_| cut())?;
        let block = lz4_flex::block::decompress(block, left)
            .map_err(|_| Damage::from("the compressed text is damaged"))?;
        text.extend(block);
        rest = after;
    }
    if text.len() as u64 != length || crc32fast::hash(&text) != sum {
        return Err("the checksum of the text does not fit".into());
    }
    String::from_utf8(text)
        .map(Cow::Owned)
        .map_err(|_| "the text is not UTF-8".into())
}

/// JSON that keeps the numbers which JSON does not know.
const STYLE: json::Style = json::Style {
    non_finite: true,
    ..json::Style::COMPACT
};

/// A body under construction.
struct Body(String);

impl Body {
    fn new() -> Body {
        Body(format!("{{\"v\":{VERSION}"))
    }

    fn text(&mut self, key: &str, text: &str) {
        let _ = write!(self.0, ",\"{key}\":");
        json::write_str(&mut self.0, text, false);
    }

    fn number(&mut self, key: &str, number: u64) {
        let _ = write!(self.0, ",\"{key}\":{number}");
    }

    fn finish(mut self, values: &[&Value]) -> Packed {
        self.0.push('}');
        for value in values {
            self.0.push('\n');
            json::write_to(&mut self.0, value, STYLE);
        }
        pack(self.0)
    }
}

/// A body that is read.
struct BodyReader<'a> {
    header: Value,
    lines: std::str::Split<'a, char>,
}

impl<'a> BodyReader<'a> {
    fn new(text: &'a str) -> Result<BodyReader<'a>, Damage> {
        let mut lines = text.split('\n');
        let header = json::read(lines.next().unwrap_or_default())
            .map_err(|error| Damage(format!("its header is not JSON: {error}").into()))?;
        match header.get("v").and_then(Value::as_int) {
            Some(VERSION) => Ok(BodyReader { header, lines }),
            Some(newer) => Err(Damage(
                format!("its format {newer} is unknown to this program").into(),
            )),
            None => Err("its header has no version".into()),
        }
    }

    fn text(&self, key: &str) -> Option<Str> {
        match self.header.get(key) {
            Some(Value::String(text)) => Some(Arc::clone(text)),
            _ => None,
        }
    }

    fn number<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        T::try_from(self.header.get(key)?.as_int()?).ok()
    }

    fn value(&mut self) -> Result<Value, Damage> {
        let line = self
            .lines
            .next()
            .ok_or(Damage::from("a value is missing"))?;
        json::read_python(line)
            .map_err(|error| Damage(format!("a value is not JSON: {error}").into()))
    }
}

/// Microseconds since 1970, as they are stored.
#[must_use]
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The moment behind stored microseconds.
///
/// # Errors
///
/// [`Damage`] when there is no such moment.
pub fn moment(micros: i64) -> Result<Timestamp, Damage> {
    Timestamp::from_microsecond(micros).map_err(|_| "a time is out of range".into())
}

/// The body of an event: its payload and its sender.
#[must_use]
pub fn encode_trigger_instance(instance: &TriggerInstance) -> Packed {
    let mut body = Body::new();
    if let Some(sender) = &instance.sender {
        body.text("user", &sender.user);
        body.author(sender);
    }
    body.finish(&[&instance.payload])
}

/// The payload and the sender of an event.
///
/// # Errors
///
/// [`Damage`] when the body is not one that was written.
pub fn decode_trigger_instance(body: &[u8]) -> Result<(Value, Option<Arc<Author>>), Damage> {
    let text = unpack(body)?;
    let mut body = BodyReader::new(&text)?;
    let sender = body.text("user").map(|user| Arc::new(body.author(user)));
    Ok((body.value()?, sender))
}

/// The status of an event by its word.
///
/// # Errors
///
/// [`Damage`] when the word is none.
pub fn trigger_instance_status(word: &str) -> Result<TriggerInstanceStatus, Damage> {
    [
        TriggerInstanceStatus::Pending,
        TriggerInstanceStatus::Processed,
        TriggerInstanceStatus::ProcessingFailed,
    ]
    .into_iter()
    .find(|status| status.as_str() == word)
    .ok_or("its status is unknown".into())
}

/// The body of a document: what it says.
#[must_use]
pub fn encode_document(document: &Document) -> Packed {
    Body::new().finish(&[&document.body])
}

/// What a document says.
///
/// # Errors
///
/// [`Damage`] when the body is not one that was written.
pub fn decode_document(body: &[u8]) -> Result<Value, Damage> {
    BodyReader::new(&unpack(body)?)?.value()
}

/// A stream of output as it is stored.
#[must_use]
pub fn stream_code(stream: OutputStream) -> i16 {
    match stream {
        OutputStream::Stdout => 1,
        OutputStream::Stderr => 2,
    }
}

/// A chunk of output from its columns.
///
/// # Errors
///
/// [`Damage`] when a column does not hold what was written.
pub fn decode_chunk(stream: i64, at: i64, text: &[u8]) -> Result<OutputChunk, Damage> {
    let stream = match stream {
        1 => OutputStream::Stdout,
        2 => OutputStream::Stderr,
        _ => return Err("its stream is unknown".into()),
    };
    Ok(OutputChunk {
        stream,
        at: moment(at)?,
        text: Arc::from(unpack(text)?),
    })
}

/// A change as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow<'a> {
    /// Its position.
    pub position: i64,
    /// Microseconds since 1970.
    pub at: i64,
    /// What happened, as a letter of the alphabet below: `c`, `u`, `d`.
    pub operation: Cow<'a, str>,
    /// The kind of subject: a document's kind, or `execution`, `trigger_instance`, `enforcement`,
    /// `output`.
    pub subject: Cow<'a, str>,
    /// The subject's id.
    pub id: [u8; 12],
    /// An execution's status, or a document's key.
    pub detail: Option<Cow<'a, str>>,
    /// The number of the first new chunk.
    pub first: Option<i64>,
    /// How many chunks are new.
    pub count: Option<i64>,
}

impl ChangeRow<'_> {
    /// The row of a change that has its position.
    #[must_use]
    pub fn of(change: &Change) -> ChangeRow<'_> {
        let (subject, id, detail, numbers) = match &change.subject {
            Subject::Execution { id, status } => {
                ("execution", id.cast(), Some(status.as_str()), None)
            }
            Subject::TriggerInstance(id) => ("trigger_instance", id.cast(), None, None),
            Subject::Enforcement(id) => ("enforcement", id.cast(), None, None),
            Subject::Document { kind, key, id } => (kind.as_str(), *id, Some(&**key), None),
            Subject::Output {
                execution,
                first,
                count,
            } => ("output", execution.cast(), None, Some((*first, *count))),
        };
        let operation = match change.operation {
            Operation::Created => "c",
            Operation::Updated => "u",
            Operation::Deleted => "d",
        };
        let id: RawId = id;
        ChangeRow {
            position: change.position.cast_signed(),
            at: micros(change.at),
            operation: Cow::Borrowed(operation),
            subject: Cow::Borrowed(subject),
            id: id.to_bytes(),
            detail: detail.map(Cow::Borrowed),
            first: numbers.map(|(first, _)| first.cast_signed()),
            count: numbers.map(|(_, count)| count.cast_signed()),
        }
    }

    /// The change, without its record.
    ///
    /// # Errors
    ///
    /// [`Damage`] when a column does not hold what was written.
    pub fn change(&self) -> Result<Change, Damage> {
        let id = RawId::from_bytes(&self.id).ok_or(Damage::from("its id is damaged"))?;
        let detail = || {
            self.detail
                .as_deref()
                .ok_or(Damage::from("it is cut short"))
        };
        let number = |number: Option<i64>| {
            number
                .map(i64::cast_unsigned)
                .ok_or(Damage::from("it is cut short"))
        };
        let subject = match &*self.subject {
            "execution" => Subject::Execution {
                id: id.cast(),
                status: detail()?
                    .parse()
                    .map_err(|_| Damage::from("its status is unknown"))?,
            },
            "trigger_instance" => Subject::TriggerInstance(id.cast()),
            "enforcement" => Subject::Enforcement(id.cast()),
            "output" => Subject::Output {
                execution: id.cast(),
                first: number(self.first)?,
                count: number(self.count)?,
            },
            kind => Subject::Document {
                kind: DocumentKind::from_name(kind).ok_or(Damage::from("its kind is unknown"))?,
                key: Arc::from(detail()?),
                id,
            },
        };
        let operation = match &*self.operation {
            "c" => Operation::Created,
            "u" => Operation::Updated,
            "d" => Operation::Deleted,
            _ => return Err("its operation is unknown".into()),
        };
        Ok(Change {
            position: self.position.cast_unsigned(),
            at: moment(self.at)?,
            operation,
            subject,
            record: None,
        })
    }
}

/// The texts of a command that are stored, made before the command waits for its turn to be
/// written, so that the one who writes does nothing else.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// The body of the record, or the content.
    pub body: Option<Packed>,
    /// The result of an execution.
    pub result: Option<Packed>,
    /// The log of an execution.
    pub log: Option<String>,
    /// Pieces or chunks of output, in order.
    pub parts: Vec<Packed>,
}

impl Encoded {
    /// The texts of a command.
    #[must_use]
    pub fn of(command: &Command) -> Encoded {
        let mut encoded = Encoded::default();
        match command {
            Command::InsertTriggerInstance(instance) => {
                encoded.body = Some(encode_trigger_instance(instance));
            }
            Command::InsertExecution { execution, result } => {
                encoded.body = Some(encode_request(&execution.request));
                encoded.log = Some(encode_log(&execution.progress.log));
                encoded.result = result.as_ref().map(|result| pack(Arc::clone(&result.json)));
            }
            Command::UpdateExecution {
                execution, result, ..
            } => {
                encoded.log = Some(encode_log(&execution.progress.log));
                encoded.result = result.as_ref().map(|result| pack(Arc::clone(&result.json)));
            }
            Command::AppendPieces { pieces, .. } => {
                encoded.parts = pieces.iter().map(|piece| pack(Arc::clone(piece))).collect();
            }
            Command::ReplacePieces { snapshot, .. } => {
                encoded.parts = vec![pack(Arc::clone(snapshot))];
            }
            Command::AppendOutput { chunks, .. } => {
                let texts = chunks.iter().map(|chunk| pack(Arc::clone(&chunk.text)));
                encoded.parts = texts.collect();
            }
            Command::PutDocument { document, .. } => {
                encoded.body = Some(encode_document(document));
            }
            Command::Record(record) => encoded.body = Some(encode_audit(record)),
            Command::PutContent { text, .. } => encoded.body = Some(pack(Arc::clone(text))),
            Command::Remember { .. }
            | Command::FinishTriggerInstance { .. }
            | Command::InsertEnforcement(_)
            | Command::DeleteDocument { .. }
            | Command::HoldLease { .. }
            | Command::ReleaseLease { .. }
            | Command::RequireServer(_) => {}
        }
        encoded
    }

    /// How many bytes the texts have.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = self.body.iter().chain(&self.result).chain(&self.parts);
        texts.map(|text| text.bytes().len()).sum()
    }
}

/// The least text that is greater than every text that begins with `prefix`; `None` when there is
/// none.
#[must_use]
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = String::from(prefix);
    while let Some(last) = end.pop() {
        // The step over the surrogates, which are no characters.
        let next = match u32::from(last) + 1 {
            0xd800 => 0xe000,
            next => next,
        };
        if let Some(next) = char::from_u32(next) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests;
