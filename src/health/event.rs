//! What happened in the app, in the past tense.
#![allow(missing_docs, reason = "the doc of each variant speaks of its fields")]

use std::time::Duration;

use super::{Awake, Code, Source};

/// Why an executor accepts no more work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutorEnd {
    /// `shutdown()` was called; by what, as `function at file:line`, if known.
    ShutDown { by: Option<String> },
    /// An initializer or a worker died; `why` is what the executor says.
    Broken { why: String },
    /// It was garbage-collected.
    Collected,
}

/// How busy an executor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Work items that no worker has taken yet.
    pub queued: u64,
    /// Worker threads or processes.
    pub workers: u64,
    /// Work items finished since watching began; counted only if stalls are watched for.
    pub finished: u64,
}

/// Something that happened, passed to [`super::Machine::handle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The app announced a main loop.
    MainLoopEntered,
    /// The latest beat of the main loop came at this instant (not after `now`).
    BeatReceived(Awake),
    /// The Python canary last ran at this instant.
    CanaryTicked(Awake),
    /// An exception left the main loop. `message` is `Type: text`.
    MainLoopCrashed {
        message: String,
        traceback: Option<String>,
    },
    /// There probably is a main loop, but its beats cannot be seen.
    MainLoopUnseen,
    /// The main loop returned. `how` adds detail, if there is any.
    MainLoopExited { how: Option<String> },
    /// The app began to wait on purpose, for a limited time. `usable` says whether users can use it meanwhile, for
    /// example because it waits for their events.
    PauseBegan {
        id: u64,
        what: String,
        max: Duration,
        usable: bool,
    },
    /// The wait ended.
    PauseEnded { id: u64 },
    /// What is open on top of the main window now: dialogs, grabs, nested loops.
    OpenChanged { things: Vec<String> },
    /// Where the main thread is while its loop is silent; `None` once it is not.
    MainThreadSeen { at: Option<String> },
    /// Watch an executor from now on.
    ExecutorWatched { name: String, kind: String },
    /// How busy the executor is.
    ExecutorObserved { name: String, load: Load },
    /// The executor's owner announced that it will shut it down on purpose.
    ExecutorEndExpected { name: String },
    /// The executor accepts no more work.
    ExecutorEnded { name: String, end: ExecutorEnd },
    /// The executor refused work. `by` submitted the work, `end` is why it was refused, and `ago` is when the
    /// executor ended, if known. The executor need not be watched.
    ExecutorRefused {
        name: String,
        kind: String,
        by: String,
        end: ExecutorEnd,
        ago: Option<Duration>,
    },
    /// Watch a thread from now on.
    ThreadWatched { name: String },
    /// The thread ended; `why` is its exception, if it had one.
    ThreadEnded {
        name: String,
        why: Option<String>,
        traceback: Option<String>,
    },
    /// The app reports a problem.
    Reported {
        code: Code,
        message: String,
        traceback: Option<String>,
        recoverable: bool,
    },
    /// A toolkit caught an exception, and the app goes on.
    ExceptionSwallowed {
        source: Source,
        place: String,
        message: String,
        traceback: Option<String>,
    },
    /// The app clears its report.
    Cleared { code: Code },
    /// The main thread ended; `left` names the threads that keep the process alive.
    MainThreadEnded { left: String },
    /// The app announced that it is about to end.
    StopAnnounced,
    /// A thread of the agent died.
    AgentThreadDied { thread: String, message: String },
    /// Nothing but time passed.
    TimePassed,
}
