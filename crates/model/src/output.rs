//! What a running action prints.

use squall_value::Str;

use crate::Timestamp;

/// Where a line of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// `stdout` or `stderr`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OutputStream::Stdout => "stdout",
            OutputStream::Stderr => "stderr",
        }
    }
}

/// A piece of output: usually one line, with its newline.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputChunk {
    /// Where it came from.
    pub stream: OutputStream,
    /// When it was read.
    pub at: Timestamp,
    /// The text; bytes that were not UTF-8 are replaced, secrets are masked.
    pub text: Str,
}
