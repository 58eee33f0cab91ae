//! What a pytest reports of its tests. The plugin writes it into the folder of its run, and into a file for a
//! program that follows it. The batch runner, the audit and the report read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use super::error::Result;
use super::ledger::lock;
use super::run_record::now_ms;
use crate::file_url::path_text;
use crate::io_error::{IoError, cannot};
use crate::process::Parent;
use crate::wire::{EVENTS_FILE, Event, EventLine, STOP_SUFFIX};

/// Longer texts are cut in the middle, because the beginning and the end say most.
const MAX_MESSAGE: usize = 16 * 1024;

/// How many bytes are kept of what happened before the run had a folder. A pytest that never opens an app has none.
const MAX_PENDING: usize = 8 * 1024 * 1024;

/// Where a pytest writes what it does.
#[derive(Debug)]
pub struct EventLog {
    /// The file for a program that follows this pytest.
    followed: Option<Followed>,
    /// The file in the folder of the run, once that exists, for reading it later.
    run: OnceLock<(PathBuf, File)>,
    /// Events for the folder of the run. Most runs without an app never get one, so nothing is computed until it is
    /// needed.
    pending: Mutex<Pending>,
    worker: Option<String>,
}

#[derive(Debug)]
struct Followed {
    file: File,
    stop: PathBuf,
    by: Option<Parent>,
}

#[derive(Debug, Default)]
struct Pending {
    lines: Vec<EventLine>,
    /// Roughly how much memory they use.
    bytes: usize,
}

impl EventLog {
    /// A log that also goes into the folder of the run, once that exists. `path` is the file of a program that
    /// follows. It is written as long as the process named in the environment exists.
    ///
    /// # Errors
    /// [`Error::Io`](super::error::Error::Io) if the file cannot be opened.
    pub fn open(path: Option<&Path>, worker: Option<String>) -> Result<Self> {
        let follow = |path: &Path| {
            let file = append(path).map_err(cannot(format!("open {}", path.display())))?;
            let (stop, by) = (stop_file(path), Parent::named());
            Ok::<_, IoError>(Followed { file, stop, by })
        };
        Ok(Self {
            followed: path.map(follow).transpose()?,
            run: OnceLock::new(),
            pending: Mutex::default(),
            worker,
        })
    }

    /// Appends an event with one write, so that processes that share the file do not break each other's lines.
    ///
    /// # Errors
    /// What the operating system reports about the follower's file. Errors of the file in the run's folder are
    /// ignored: it is for people who look later, and a full disk must not fail tests.
    pub fn write(&self, mut event: Event) -> io::Result<()> {
        match &mut event {
            Event::TestFinished(result) => shorten(&mut result.message),
            Event::CollectionFailed { message, .. } => shorten(message),
            _ => {}
        }
        let line = EventLine {
            at_ms: now_ms(),
            worker: self.worker.clone(),
            event,
        };
        let mut pending = lock(&self.pending);
        if !self.is_written() {
            pending.keep(line);
            return Ok(());
        }
        drop(pending);
        let text = to_line(&line)?;
        match self.run.get() {
            Some((_, file)) => drop({ file }.write_all(&text)),
            None => lock(&self.pending).keep(line),
        }
        match &self.followed {
            Some(followed) if followed.is_there() => (&followed.file).write_all(&text),
            _ => Ok(()),
        }
    }

    /// Records that an app was opened, and that its run has this folder. Returns the event file, which is in the
    /// folder of the first run of this process.
    ///
    /// # Errors
    /// As [`EventLog::write`].
    pub fn app_opened(&self, run_folder: &Path) -> io::Result<Option<PathBuf>> {
        let mut pending = lock(&self.pending);
        if self.run.get().is_none() {
            let path = run_folder.join(EVENTS_FILE);
            if let Ok(mut file) = append(&path) {
                let lines = pending.lines.drain(..).filter_map(|line| to_line(&line).ok());
                let _ = file.write_all(&lines.flatten().collect::<Vec<_>>());
                let _ = self.run.set((path, file));
            }
        }
        drop(pending);
        let path = self.run.get().map(|(path, _)| path.clone());
        let run_folder = path_text(run_folder);
        self.write(Event::AppOpened { run_folder })?;
        Ok(path)
    }

    /// Whether events go into a file at once.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.followed.is_some() || self.run.get().is_some()
    }

    /// Whether a program follows this pytest.
    #[must_use]
    pub const fn is_followed(&self) -> bool {
        self.followed.is_some()
    }

    /// Whether that program asked this pytest to end after the running test.
    #[must_use]
    pub fn is_asked_to_stop(&self) -> bool {
        self.followed
            .as_ref()
            .is_some_and(|followed| followed.stop.exists())
    }
}

impl Followed {
    /// Whether the follower exists. Without it, this process and all that it started are being ended, and a failure
    /// from then on means nothing.
    fn is_there(&self) -> bool {
        !self.by.as_ref().is_some_and(Parent::is_gone)
    }
}

fn to_line(line: &EventLine) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

impl Pending {
    /// Keeps a line. If there are too many, keeps none of them, because a part would mislead.
    fn keep(&mut self, line: EventLine) {
        if self.bytes > MAX_PENDING {
            self.lines.retain(|line| !is_of_a_test(&line.event));
            self.bytes = 0;
        }
        let message = match &line.event {
            Event::TestFinished(result) => result.message.len(),
            Event::CollectionFailed { message, .. } => message.len(),
            _ => 0,
        };
        self.bytes += message + 256;
        self.lines.push(line);
    }
}

const fn is_of_a_test(event: &Event) -> bool {
    matches!(event, Event::TestStarted { .. } | Event::TestFinished(_))
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Asks the pytest that writes to `path` to end after the running test.
///
/// # Errors
/// What the operating system reports.
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
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl EventReader {
    /// Reads the file at `path` from its beginning. It need not exist yet.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            rest: Vec::new(),
        }
    }

    /// The events written since the last call. Skips unknown kinds of lines, which a newer plugin may have written.
    ///
    /// # Errors
    /// What the operating system reports. A file that does not exist yet is not an error.
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
        let log = EventLog::open(Some(&path), Some("gw0".to_owned())).unwrap();
        log.write(started("a")).unwrap();
        let read = reader.read().unwrap();
        assert_eq!(read[0].event, started("a"));
        assert_eq!(read[0].worker.as_deref(), Some("gw0"));
        let mut file = append(&path).unwrap();
        file.write_all(b"{\"event\": \"from the future\"}\n{\"event\"")
            .unwrap();
        assert!(reader.read().unwrap().is_empty());
        file.write_all(b": \"test_started\", \"test\": \"b\", \"at_ms\": 1, \"worker\": null}\n")
            .unwrap();
        assert_eq!(reader.read().unwrap()[0].event, started("b"));
        assert!(reader.read().unwrap().is_empty());
    }

    #[test]
    fn a_long_message_keeps_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let log = EventLog::open(Some(&path), None).unwrap();
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
    fn what_happened_before_the_run_had_a_folder_is_in_it_and_later_runs_share_the_file() {
        let folders = tempfile::tempdir().unwrap();
        let (first, second) = (folders.path().join("1"), folders.path().join("2"));
        std::fs::create_dir(&first).unwrap();
        std::fs::create_dir(&second).unwrap();
        let log = EventLog::open(None, None).unwrap();
        log.write(started("a")).unwrap();
        let file = log.app_opened(&first).unwrap().unwrap();
        assert_eq!(log.app_opened(&second).unwrap().unwrap(), file);
        log.write(started("b")).unwrap();
        let events = EventReader::new(file).read().unwrap();
        let names: Vec<_> = events.into_iter().map(|line| line.event).collect();
        assert_eq!(names.len(), 4);
        assert_eq!(names[0], started("a"));
        assert_eq!(names[3], started("b"));
        assert!(!second.join(EVENTS_FILE).exists());
    }

    #[test]
    fn a_request_to_stop_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let log = EventLog::open(Some(&path), None).unwrap();
        assert!(!log.is_asked_to_stop());
        ask_to_stop(&path).unwrap();
        assert!(log.is_asked_to_stop());
    }
}
