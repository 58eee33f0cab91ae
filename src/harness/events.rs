//! What a pytest tells whoever follows it from outside: written by the plugin, read by the batch runner
//! and the audit.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::process::Parent;
use crate::wire::{Event, EventLine, STOP_SUFFIX};

/// Longer texts are cut in the middle: the beginning and the end say most.
const MAX_MESSAGE: usize = 16 * 1024;

/// Where a pytest writes what it does.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    stop: PathBuf,
    worker: Option<String>,
    /// Whoever follows.
    follower: Option<Parent>,
}

impl EventLog {
    /// Opens the file at `path`, to append to it as long as whoever the environment names is there.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened.
    pub fn open(path: &Path, worker: Option<String>) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self {
            file: file.map_err(Error::io(format!("open {}", path.display())))?,
            stop: stop_file(path),
            worker,
            follower: Parent::named(),
        })
    }

    /// Appends an event, in one write: processes that share the file do not cut into each other's lines.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, mut event: Event) -> io::Result<()> {
        // Without a follower this process is being ended with all that it started: what fails now fails of that.
        if self.follower.as_ref().is_some_and(Parent::is_gone) {
            return Ok(());
        }
        match &mut event {
            Event::TestFinished(result) => shorten(&mut result.message),
            Event::CollectionFailed { message, .. } => shorten(message),
            _ => {}
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = EventLine {
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            worker: self.worker.clone(),
            event,
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        (&self.file).write_all(&text)
    }

    /// Whether somebody asked for an end after the running test.
    #[must_use]
    pub fn is_asked_to_stop(&self) -> bool {
        self.stop.exists()
    }
}

/// Asks the pytest that writes to `path` to end after the running test.
///
/// # Errors
/// What the operating system says.
pub fn ask_to_stop(path: &Path) -> io::Result<()> {
    File::create(stop_file(path)).map(drop)
}

fn stop_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(STOP_SUFFIX);
    PathBuf::from(name)
}

/// Reads an event file as it grows.
#[derive(Debug)]
pub struct EventReader {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end is yet to be written.
    rest: Vec<u8>,
}

impl EventReader {
    /// Reads the file at `path` from its beginning; it need not be there yet.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            rest: Vec::new(),
        }
    }

    /// The events that were written since the last call. Lines of a kind that is not known are left out:
    /// a newer plugin may have written them.
    ///
    /// # Errors
    /// What the operating system says; a file that is not there yet is no error.
    pub fn read(&mut self) -> io::Result<Vec<EventLine>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => self.file.insert(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            },
        };
        file.read_to_end(&mut self.rest)?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let lines = self.rest.drain(..=end).collect::<Vec<_>>();
        let events = lines.split(|byte| *byte == b'\n');
        Ok(events
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }
}

fn shorten(text: &mut String) {
    if text.len() <= MAX_MESSAGE {
        return;
    }
    let head = text.floor_char_boundary(MAX_MESSAGE / 2);
    let tail = text.ceil_char_boundary(text.len() - MAX_MESSAGE / 2);
    *text = format!("{}\n[…]\n{}", &text[..head], &text[tail..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(test: &str) -> Event {
        Event::TestStarted {
            test: test.to_owned(),
        }
    }

    #[test]
    fn a_reader_sees_whole_lines_only_and_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut reader = EventReader::new(path.clone());
        assert!(reader.read().unwrap().is_empty(), "it is not there yet");
        let log = EventLog::open(&path, Some("gw0".to_owned())).unwrap();
        log.write(started("a")).unwrap();
        let read = reader.read().unwrap();
        assert_eq!(read[0].event, started("a"));
        assert_eq!(read[0].worker.as_deref(), Some("gw0"));
        (&log.file)
            .write_all(b"{\"event\": \"from the future\"}\n{\"event\"")
            .unwrap();
        assert!(reader.read().unwrap().is_empty());
        (&log.file)
            .write_all(b": \"test_started\", \"test\": \"b\", \"at_ms\": 1, \"worker\": null}\n")
            .unwrap();
        assert_eq!(reader.read().unwrap()[0].event, started("b"));
        assert!(reader.read().unwrap().is_empty());
    }

    #[test]
    fn a_long_message_keeps_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let log = EventLog::open(&path, None).unwrap();
        let message = format!("begin{}end", "ä".repeat(100_000));
        let result = crate::wire::TestResult {
            message,
            ..Default::default()
        };
        log.write(Event::TestFinished(Box::new(result))).unwrap();
        let read = EventReader::new(path).read().unwrap();
        let Event::TestFinished(result) = &read[0].event else {
            panic!("{read:?}")
        };
        assert!(result.message.starts_with("begin") && result.message.ends_with("end"));
        assert!(result.message.len() < MAX_MESSAGE + 20);
    }

    #[test]
    fn a_request_to_stop_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let log = EventLog::open(&path, None).unwrap();
        assert!(!log.is_asked_to_stop());
        ask_to_stop(&path).unwrap();
        assert!(log.is_asked_to_stop());
    }
}
