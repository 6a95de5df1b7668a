//! Reads what a process prints: live, masked, and bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use squall_model::OutputStream;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::mask::{Masker, StreamMasker};
use crate::port::{CancelSignal, OutputSink};

/// Ends the output of a stream that was longer than what is kept.
pub const TRUNCATED: &str = "\n[output truncated: the limit for one execution is reached]\n";

const READ_BYTES: usize = 64 << 10;
/// A longer piece without a newline is delivered as it is.
const LINE_BYTES_MAX: usize = 64 << 10;
/// More lines than this in one read are delivered together: whoever prints thousands of lines at
/// once does not need a message for each.
const SINGLE_LINES_MAX: usize = 32;

/// What both streams of a process share.
#[derive(Clone)]
pub(crate) struct Collector {
    sink: OutputSink,
    masker: Masker,
    left: Arc<AtomicUsize>,
}

impl Collector {
    pub(crate) fn new(sink: OutputSink, masker: Masker, bytes_max: usize) -> Collector {
        Collector {
            sink,
            masker,
            left: Arc::new(AtomicUsize::new(bytes_max)),
        }
    }

    /// Reads `source` to its end, or until `stop`; returns the text that was kept.
    ///
    /// What exceeds the limit is read and dropped, so that the process does not stall.
    pub(crate) async fn read(
        &self,
        mut source: impl AsyncRead + Unpin,
        stream: OutputStream,
        stop: CancelSignal,
    ) -> String {
        let mut state = self.reader(stream);
        let mut buffer = vec![0; READ_BYTES];
        let stopped = stop.canceled();
        tokio::pin!(stopped);
        loop {
            let read = tokio::select! {
                biased;
                read = source.read(&mut buffer) => read,
                () = &mut stopped => break,
            };
            match read {
                Ok(0) | Err(_) => break,
                Ok(count) => state.take(&buffer[..count]).await,
            }
        }
        state.finish().await
    }

    /// What takes a stream piece by piece.
    pub(crate) fn reader(&self, stream: OutputStream) -> Reader<'_> {
        Reader {
            collector: self,
            stream,
            decoder: Decoder::default(),
            masker: self.masker.stream(),
            line: String::new(),
            kept: String::new(),
            is_full: false,
        }
    }

    /// Takes at most `wanted` bytes from what may still be kept.
    fn grant(&self, wanted: usize) -> usize {
        let mut granted = 0;
        // The closure always gives a value, so this can't fail.
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                granted = wanted.min(left);
                Some(left - granted)
            });
        granted
    }
}

/// One stream, as it comes.
pub(crate) struct Reader<'a> {
    collector: &'a Collector,
    stream: OutputStream,
    decoder: Decoder,
    masker: StreamMasker,
    /// Masked text that waits for its newline.
    line: String,
    kept: String,
    is_full: bool,
}

impl Reader<'_> {
    /// Takes the next piece.
    pub(crate) async fn take(&mut self, bytes: &[u8]) {
        if self.is_full {
            return;
        }
        let mut text = String::with_capacity(bytes.len() + 4);
        self.decoder.push(bytes, &mut text);
        self.masker.push(&text, &mut self.line);
        self.deliver(false).await;
    }

    /// The text that was kept: the stream is over.
    pub(crate) async fn finish(mut self) -> String {
        if !self.is_full {
            let mut text = String::new();
            self.decoder.finish(&mut text);
            self.masker.push(&text, &mut self.line);
            self.masker.finish(&mut self.line);
            self.deliver(true).await;
        }
        self.kept
    }

    /// Delivers whole lines; everything if `all`, or if a line is too long to wait for.
    async fn deliver(&mut self, all: bool) {
        let end = match self.line.rfind('\n') {
            Some(newline) if !all => newline + 1,
            None if !all && self.line.len() < LINE_BYTES_MAX => 0,
            _ => self.line.len(),
        };
        if end == 0 {
            return;
        }
        let rest = self.line.split_off(end);
        let mut text = std::mem::replace(&mut self.line, rest);
        let granted = floor_border(&text, self.collector.grant(text.len()));
        if granted < text.len() {
            text.truncate(granted);
            text.push_str(TRUNCATED);
            self.is_full = true;
            self.line = String::new();
        }
        self.kept.push_str(&text);
        let sink = &self.collector.sink;
        let many = text.match_indices('\n').nth(SINGLE_LINES_MAX).is_some();
        if many || self.is_full {
            sink.write(self.stream, text.into()).await;
        } else {
            for line in text.split_inclusive('\n') {
                sink.write(self.stream, line.into()).await;
            }
        }
    }
}

fn floor_border(text: &str, at: usize) -> usize {
    (0..=at)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// UTF-8 in pieces; what is not UTF-8 becomes U+FFFD.
#[derive(Default)]
struct Decoder {
    /// The beginning of a character whose rest has not come: at most three bytes.
    carry: Vec<u8>,
}

impl Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut String) {
        let joined;
        let mut rest = bytes;
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.carry);
            rest = &joined;
        }
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => return out.push_str(text),
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    out.push_str(&String::from_utf8_lossy(good));
                    match error.error_len() {
                        Some(length) => {
                            out.push(char::REPLACEMENT_CHARACTER);
                            rest = &bad[length..];
                        }
                        None => {
                            self.carry = bad.to_vec();
                            return;
                        }
                    }
                }
            }
        }
    }

    fn finish(&mut self, out: &mut String) {
        if !self.carry.is_empty() {
            self.carry.clear();
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, floor_border};

    #[test]
    fn pieces_of_utf8_are_joined_and_broken_ones_replaced() {
        let bytes = "aé€😀\n".as_bytes();
        for (bytes, expected) in [
            (bytes, "aé€😀\n"),
            (b"\xff\xfeok\xc3", "\u{fffd}\u{fffd}ok\u{fffd}"),
            (b"\xe2\x82x", "\u{fffd}x"),
        ] {
            for cut in 0..=bytes.len() {
                let (mut decoder, mut out) = (Decoder::default(), String::new());
                decoder.push(&bytes[..cut], &mut out);
                decoder.push(&bytes[cut..], &mut out);
                decoder.finish(&mut out);
                assert_eq!(out, expected, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_limit_never_cuts_a_character() {
        assert_eq!([0, 1, 2, 3].map(|at| floor_border("aé", at)), [0, 1, 1, 3]);
    }
}
