//! The heartbeat log: what was known, second by second, for people who look after a crash.
//!
//! A separate thread writes it. The others hand over lines without waiting. If the disk is slow, full or gone,
//! lines are lost and counted, but nothing goes undetected.

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

/// How many lines may wait for the disk.
const QUEUE: usize = 1024;
/// A file that would grow beyond this is renamed to `.1`, replacing the one before.
pub const ROTATE_AT: u64 = 4 * 1024 * 1024;
/// A file that cannot be renamed takes lines up to this size.
const NEVER_BEYOND: u64 = 2 * ROTATE_AT;
/// How often beats are logged.
const EVERY: Duration = Duration::from_secs(1);

/// How many watched parts of each kind are named on a line.
const MAX_PARTS: usize = 32;
/// After this many lines of beats, parts are named again even if they did not change.
const NAME_PARTS_EVERY: u32 = 60;
/// How long to wait for the last words to be written.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);

/// What the journal's thread receives.
#[derive(Debug)]
pub enum Entry {
    /// Something changed.
    Transition(Box<JournalTransition>),
    /// The agent stops normally.
    End,
    /// The app is about to end itself, for this reason. The sender is notified when it is written.
    LastWords(String, Sender<()>),
}

/// Accepts lines for a journal.
#[derive(Debug, Clone)]
pub struct Journal {
    entries: Sender<Entry>,
}

impl Journal {
    /// A journal, and the receiver for its thread.
    pub fn new() -> (Self, Receiver<Entry>) {
        let (entries, receiver) = crossbeam_channel::bounded(QUEUE);
        (Self { entries }, receiver)
    }

    /// Adds a transition. If too many are waiting, drops and counts it.
    pub fn add(&self, transition: JournalTransition, gauge: &JournalStats) {
        if self
            .entries
            .try_send(Entry::Transition(Box::new(transition)))
            .is_err()
        {
            gauge.drop(1);
        }
    }

    /// Logs why the app ends itself, and waits a moment until that is written.
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

    /// Ends the journal, with a line that says so.
    pub fn end(&self) {
        // If the queue is full, the disk is stuck, and the thread is left behind.
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
    // Write the header at once, so that it is there even if the app dies in its first second.
    published.journal.wrote(0, &log.write(&[]));
    loop {
        let mut batch = Vec::new();
        let mut lines = 0;
        let mut end = false;
        let mut told = None;
        let now = published.clock().raw();
        if now >= due {
            due = Raw(now.0 + u64::try_from(EVERY.as_nanos()).unwrap_or(u64::MAX));
            // Write the first line at once, so that an app that is killed loses at most its last second.
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
    /// Makes a line name them if they changed, and once a minute, so that a new file has them too.
    fn add_to(&mut self, beats: &mut JournalBeats, published: &Published) {
        let (mut executors, mut threads) = report::parts(published);
        executors.truncate(MAX_PARTS);
        threads.truncate(MAX_PARTS);
        // How long work has waited changes with every line, but tells nothing new.
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

/// One value as one line. Plain structs always serialise.
fn line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

struct Log<'a> {
    path: &'a Path,
    header: Vec<u8>,
    /// The last write failed half-way, so the next one must begin a new line.
    torn: bool,
}

impl Log<'_> {
    fn open(&self) -> io::Result<fs::File> {
        // Check each time: another user may have deleted and recreated what was private.
        if self.path.parent() == Some(RuntimeDir::path_of_user().as_path()) {
            RuntimeDir::make()?;
        }
        append_to_ours(self.path)
    }

    /// Appends whole lines. The file is opened again each time: once a second that costs nothing, and a file or
    /// folder that was deleted is noticed.
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
                // On Windows a reader can prevent the renaming. It is tried again later.
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

/// The name that a full file is renamed to.
pub fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}
