//! Lines from a program that may send anything.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What [`read_line`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line, or the last one without its end.
    Whole,
    /// The beginning of a line that is longer than allowed; the rest comes next.
    Part,
    /// Nothing more.
    End,
}

/// Reads up to the next line feed, which is left out, into `line`; at most `bytes_max` bytes.
pub(super) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<Line> {
    line.clear();
    let mut resets = 0;
    loop {
        let buffer = match reader.fill_buf().await {
            // A process that ends without having read all that was sent to it resets its socket;
            // that is told once, and what it had said before comes after.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && resets == 0 => {
                resets += 1;
                continue;
            }
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(if line.is_empty() {
                Line::End
            } else {
                Line::Whole
            });
        }
        let room = bytes_max - line.len();
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.unwrap_or(buffer.len());
        if length > room {
            line.extend_from_slice(&buffer[..room]);
            reader.consume(room);
            return Ok(Line::Part);
        }
        line.extend_from_slice(&buffer[..length]);
        reader.consume(length + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Line::Whole);
        }
    }
}
