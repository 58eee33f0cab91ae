//! The heartbeat log: what was known, second by second, for whoever looks after a crash.
//!
//! A thread of its own writes it. Whoever has a line to add hands it over without waiting; a disk that
//! is slow, full or gone costs lines, which are counted, and never detection.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use serde::Serialize;

use super::clock::Raw;
use super::heartbeat::Histogram;
use super::published::{JournalStats, Published};
use super::report;
use crate::runtime_dir::{RuntimeDir, append_to_ours};
use crate::wire::{ExecutorCheck, JournalBeats, JournalEnd, JournalHeader, JournalTransition, ThreadCheck};

/// Lines that may wait for the disk.
const QUEUE: usize = 1024;
/// A file that would grow beyond this is set aside as `.1`, in place of the one before.
pub const ROTATE_AT: u64 = 4 * 1024 * 1024;
/// A file that cannot be set aside takes lines up to here.
const NEVER_BEYOND: u64 = 2 * ROTATE_AT;
/// How often the beats are written down.
const EVERY: Duration = Duration::from_secs(1);

/// Of each kind, so many of the watched parts are named on a line.
const MAX_PARTS: usize = 32;
/// Lines of beats between two that name parts which did not change.
const NAME_PARTS_EVERY: u32 = 60;
/// How long last words may take to the disk.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);

/// What the journal's thread is handed.
#[derive(Debug)]
pub enum Entry {
    /// Something changed.
    Transition(Box<JournalTransition>),
    /// The agent stops in good order.
    End,
    /// The app is about to end itself, for this reason. Whoever hands this in is told that it is written.
    LastWords(String, Sender<()>),
}

/// Where a journal's lines are handed in.
#[derive(Debug, Clone)]
pub struct Journal {
    entries: Sender<Entry>,
}

impl Journal {
    /// A journal, and what its thread reads.
    pub fn new() -> (Self, Receiver<Entry>) {
        let (entries, receiver) = crossbeam_channel::bounded(QUEUE);
        (Self { entries }, receiver)
    }

    /// Hands in a transition; drops and counts it if too many are waiting.
    pub fn add(&self, transition: JournalTransition, gauge: &JournalStats) {
        if self
            .entries
            .try_send(Entry::Transition(Box::new(transition)))
            .is_err()
        {
            gauge.drop(1);
        }
    }

    /// Has it say why the app ends itself, and waits for that for a moment.
    pub fn last_words(&self, why: &str) {
        let (done, written) = crossbeam_channel::bounded(1);
        if self
            .entries
            .try_send(Entry::LastWords(why.to_owned(), done))
            .is_ok()
        {
            let _ = written.recv_timeout(WRITTEN_WITHIN);
        }
    }

    /// Ends it, with the line that says so.
    pub fn end(&self) {
        // A queue that is full belongs to a disk that is stuck; its thread is then left behind.
        let _ = self.entries.try_send(Entry::End);
    }
}

/// The body of the journal's thread.
pub fn run(path: &Path, header: &JournalHeader, entries: &Receiver<Entry>, published: &Published) {
    let mut log = Log {
        path,
        header: line(header),
        torn: false,
    };
    let mut before = Histogram::default();
    let mut parts = Parts::default();
    let mut due = published.clock().raw();
    // The header is there from the start, even of an app that dies in its first second.
    published.journal.wrote(0, &log.write(&[]));
    loop {
        let mut batch = Vec::new();
        let mut lines = 0;
        let mut end = false;
        let mut told = None;
        let now = published.clock().raw();
        if now >= due {
            due = Raw(now.0 + u64::try_from(EVERY.as_nanos()).unwrap_or(u64::MAX));
            // At once: an app that is killed meanwhile has told all but its last second.
            let histogram = published.heart.histogram();
            let mut beats = beats(published, now, &histogram.since(&before));
            parts.add_to(&mut beats, published);
            before = histogram;
            published.journal.wrote(1, &log.write(&line(&beats)));
        }
        let first = match entries.recv_timeout(due.since(published.clock().raw())) {
            Ok(entry) => Some(entry),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Entry::End),
        };
        for entry in first.into_iter().chain(entries.try_iter().take(QUEUE)) {
            lines += 1;
            match entry {
                Entry::Transition(transition) => batch.extend(line(&*transition)),
                Entry::End => {
                    batch.extend(line(&last(published, "clean")));
                    end = true;
                }
                Entry::LastWords(why, done) => {
                    batch.extend(line(&last(published, &why)));
                    told = Some(done);
                }
            }
        }
        if !batch.is_empty() {
            published.journal.wrote(lines, &log.write(&batch));
        }
        if let Some(told) = told {
            let _ = told.try_send(());
        }
        if end {
            return;
        }
    }
}

fn last(published: &Published, end: &str) -> JournalEnd {
    JournalEnd {
        t_ms: report::millis(published.clock().raw().since(Raw::default())),
        end: end.to_owned(),
    }
}

fn beats(published: &Published, now: Raw, frames: &Histogram) -> JournalBeats {
    JournalBeats {
        t_ms: report::millis(now.since(Raw::default())),
        status: report::status(published).into(),
        beats: frames.frames(),
        frame_ms: (frames.frames() > 0).then(|| report::frame_ms(&frames.times())),
        dropped: published.journal.dropped(),
        executors: None,
        threads: None,
    }
}

/// The watched executors and threads, as the last line that named them had them.
#[derive(Debug, Default)]
struct Parts {
    executors: Vec<ExecutorCheck>,
    threads: Vec<ThreadCheck>,
    lines: u32,
}

impl Parts {
    /// Has a line name them if they changed; and once a minute, so that a file that was begun anew has them too.
    fn add_to(&mut self, beats: &mut JournalBeats, published: &Published) {
        let (mut executors, mut threads) = report::parts(published);
        executors.truncate(MAX_PARTS);
        threads.truncate(MAX_PARTS);
        // How long work has waited changes with every line, and says nothing that the lines do not.
        for executor in &mut executors {
            executor.queued_for_ms = None;
        }
        let is_due = self.lines.is_multiple_of(NAME_PARTS_EVERY);
        self.lines = self.lines.wrapping_add(1);
        if self.executors != executors || (is_due && !executors.is_empty()) {
            beats.executors = Some(executors.clone());
            self.executors = executors;
        }
        if self.threads != threads || (is_due && !threads.is_empty()) {
            beats.threads = Some(threads.clone());
            self.threads = threads;
        }
    }
}

/// One value as one line. Plain structs cannot fail to serialise.
fn line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

struct Log<'a> {
    path: &'a Path,
    header: Vec<u8>,
    /// The last write failed half-way: what follows must begin a line of its own.
    torn: bool,
}

impl Log<'_> {
    fn open(&self) -> io::Result<fs::File> {
        // Each time: what was closed to others may have been taken away, and made anew by somebody else.
        if self.path.parent() == Some(RuntimeDir::path_of_user().as_path()) {
            RuntimeDir::make()?;
        }
        append_to_ours(self.path)
    }

    /// Appends whole lines. The file is opened anew each time: once a second that costs nothing, and a
    /// file or folder that was taken away is noticed.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        let mut length = file.metadata()?.len();
        if length > 0 && length + lines.len() as u64 > ROTATE_AT {
            match fs::rename(self.path, rotated(self.path)) {
                Ok(()) => {
                    file = self.open()?;
                    length = 0;
                    self.torn = false;
                }
                // On Windows whoever reads it can keep it where it is: then it is set aside a little later.
                Err(_) if length < NEVER_BEYOND => {}
                Err(error) => return Err(error),
            }
        }
        let mut bytes = Vec::with_capacity(lines.len() + 256);
        if self.torn {
            bytes.push(b'\n');
        }
        if length == 0 {
            bytes.extend_from_slice(&self.header);
        }
        bytes.extend_from_slice(lines);
        let done = file.write_all(&bytes);
        self.torn = done.is_err();
        done
    }
}

/// The name under which a full file is set aside.
pub fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}
