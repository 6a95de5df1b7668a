//! The one place that writes to standard output and standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use squall_value::Value;
use squall_value::json::{Style, write_styled};

/// The form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Tables, trees and details for people.
    #[default]
    Text,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What the place that text goes to can show.
#[derive(Clone, Debug)]
pub struct Screen {
    /// Whether it shows colours.
    pub color: bool,
    /// How many columns it has; `None` when it is no terminal, and nothing is ever cut.
    pub width: Option<usize>,
    /// How many lines it has, where that matters.
    pub height: Option<usize>,
    /// The zone in which times are shown.
    pub zone: TimeZone,
}

impl Screen {
    /// A file or pipe: no colours, any width.
    #[must_use]
    pub fn plain(zone: TimeZone) -> Screen {
        Screen {
            color: false,
            width: None,
            height: None,
            zone,
        }
    }

    /// Whether somebody may be looking.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.width.is_some()
    }
}

/// Standard output and standard error.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// What standard output shows.
    pub screen: Screen,
    /// What standard error shows.
    pub side: Screen,
    /// The form of results.
    pub format: Format,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// A text that is written by one and read by another.
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// What was written so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.0.lock().map(|bytes| bytes.clone());
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Console {
    /// The process's own. `color` overrides what the terminal and `NO_COLOR` say.
    #[must_use]
    pub fn system(format: Format, color: Option<bool>, no_color: bool) -> Console {
        let zone = TimeZone::system();
        let screen = |is_terminal: bool, size: Option<(usize, usize)>| Screen {
            color: color.unwrap_or(is_terminal && !no_color),
            width: is_terminal.then(|| size.map_or(80, |size| size.0)),
            height: size.map(|size| size.1),
            zone: zone.clone(),
        };
        let size = |size: Option<(terminal_size::Width, terminal_size::Height)>| {
            size.map(|(width, height)| (usize::from(width.0).max(20), usize::from(height.0)))
        };
        let (out, err) = (io::stdout(), io::stderr());
        let out_size = size(terminal_size::terminal_size_of(&out));
        let err_size = size(terminal_size::terminal_size_of(&err));
        Console {
            screen: screen(out.is_terminal(), out_size),
            side: screen(err.is_terminal(), err_size),
            out: Box::new(io::BufWriter::new(out)),
            err: Box::new(err),
            format,
        }
    }

    /// One whose texts are kept, for tests: standard output first.
    #[must_use]
    pub fn captured(format: Format, screen: Screen) -> (Console, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        let console = Console {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            side: screen.clone(),
            screen,
            format,
        };
        (console, out, err)
    }

    /// Writes a text to standard output.
    ///
    /// # Errors
    ///
    /// What the system says, `BrokenPipe` among it.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    ///
    /// As [`Console::write`].
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.write(text)?;
        self.write("\n")
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    ///
    /// As [`Console::write`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes a value in the form that was asked for; people get YAML.
    ///
    /// # Errors
    ///
    /// As [`Console::write`].
    pub fn value(&mut self, value: &Value) -> io::Result<()> {
        match self.format {
            Format::Json => self.line(&write_styled(value, Style::PRETTY)),
            Format::Yaml | Format::Text => self.write(&squall_yaml::to_yaml(value)),
        }
    }

    /// Writes a remark to standard error. That nobody reads it is no error.
    pub fn note(&mut self, text: &str) {
        // What cannot be said cannot be reported either.
        let _ = self.out.flush();
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.write_all(b"\n");
    }

    /// Writes to standard error as it is.
    pub(crate) fn note_raw(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.flush();
    }
}
