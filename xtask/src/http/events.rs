//! Server-sent events (WHATWG HTML, section 9.2), as far as the data of each matters.

use std::io::BufReader;
use std::net::TcpStream;

use anyhow::{Result, bail};

use super::{Client, read_chunk, read_head, write_request};

impl Client {
    /// Opens a stream of server-sent events and returns once the server has begun it.
    ///
    /// # Errors
    ///
    /// When the server can't be reached or refuses.
    pub(crate) fn events(&self, path: &str) -> Result<Events> {
        let mut connection = self.connect()?;
        write_request(
            &mut connection,
            &self.address,
            &self.token,
            ("GET", path),
            &[],
            None,
        )?;
        let (status, headers) = read_head(&mut connection)?;
        if status != 200 {
            bail!("GET {path} was answered with {status}");
        }
        let chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        if !chunked {
            bail!("the stream at {path} is not chunked");
        }
        let mut events = Events {
            connection,
            pending: Vec::new(),
            start: 0,
        };
        // The server begins with an empty line once it listens to what changes.
        events.more()?;
        Ok(events)
    }
}

/// An event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its number, or 0.
    pub(crate) id: u64,
    /// Its name.
    pub(crate) name: String,
    /// What it says.
    pub(crate) data: String,
}

/// A stream of server-sent events.
#[derive(Debug)]
pub(crate) struct Events {
    connection: BufReader<TcpStream>,
    pending: Vec<u8>,
    start: usize,
}

impl Events {
    /// The next event; `None` when the stream is over.
    ///
    /// # Errors
    ///
    /// When the connection fails.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        let mut event = Event::default();
        loop {
            while let Some(line) = self.line() {
                match line.split_once(": ") {
                    Some(("id", id)) => event.id = id.parse().unwrap_or_default(),
                    Some(("event", name)) => name.clone_into(&mut event.name),
                    Some(("data", data)) => data.clone_into(&mut event.data),
                    // An empty line ends an event, or only shows that the stream lives.
                    _ if line.is_empty() && !event.name.is_empty() => return Ok(Some(event)),
                    _ => {}
                }
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let rest = &self.pending[self.start..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.start += end + 1;
        if self.start == self.pending.len() {
            self.pending.clear();
            self.start = 0;
        }
        Some(line)
    }

    /// Reads one chunk; false at the end.
    fn more(&mut self) -> Result<bool> {
        if self.start > 0 {
            self.pending.drain(..self.start);
            self.start = 0;
        }
        read_chunk(&mut self.connection, &mut self.pending)
    }
}
