//! What happened in the app, in the past tense.
#![allow(missing_docs, reason = "the doc of each variant speaks of its fields")]

use std::time::Duration;

use super::{Awake, Code, Source};

/// Why an executor takes no more work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutorEnd {
    /// `shutdown()` was called; by whom, as `function at file:line`, if that is known.
    ShutDown { by: Option<String> },
    /// An initializer or a worker died; what the executor says of it.
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
    /// Work items that were finished since it is watched; counted only if stalls are looked for.
    pub finished: u64,
}

/// One thing that happened, as told to [`super::Machine::handle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The app announced a main loop.
    MainLoopEntered,
    /// The newest beat of the main loop was given at this instant (not after `now`).
    BeatReceived(Awake),
    /// The Python canary last ran at this instant.
    CanaryTicked(Awake),
    /// An exception left the main loop. `message` is `Type: text`.
    MainLoopCrashed {
        message: String,
        traceback: Option<String>,
    },
    /// There is a main loop, as far as can be told, and its beats cannot be seen.
    MainLoopUnseen,
    /// The main loop returned. `how` says more, if there is more to say.
    MainLoopExited { how: Option<String> },
    /// The app began to wait on purpose, for at most so long. `usable` says that it serves its users
    /// meanwhile: it waits for their events, say.
    PauseBegan {
        id: u64,
        what: String,
        max: Duration,
        usable: bool,
    },
    /// That wait ended.
    PauseEnded { id: u64 },
    /// What is open on top of the main window now: dialogs, grabs, nested loops.
    OpenChanged { things: Vec<String> },
    /// An executor is to be watched.
    ExecutorWatched { name: String, kind: String },
    /// How busy it is.
    ExecutorObserved { name: String, load: Load },
    /// Its owner announced that it will be shut down on purpose.
    ExecutorEndExpected { name: String },
    /// It takes no more work.
    ExecutorEnded { name: String, end: ExecutorEnd },
    /// It was given work and refused it. `by` gave it, `end` is why and `ago` when that was, if that is known. It need not
    /// be watched.
    ExecutorRefused {
        name: String,
        kind: String,
        by: String,
        end: ExecutorEnd,
        ago: Option<Duration>,
    },
    /// A thread is to be watched.
    ThreadWatched { name: String },
    /// It ended; `why` is its exception, if it had one.
    ThreadEnded {
        name: String,
        why: Option<String>,
        traceback: Option<String>,
    },
    /// The app reports trouble of its own.
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
    /// The app takes that report back.
    Cleared { code: Code },
    /// The main thread ended; `left` names the threads that keep the process alive.
    MainThreadEnded { left: String },
    /// The app announced that it is going to end.
    StopAnnounced,
    /// A thread of the agent died.
    AgentThreadDied { thread: String, message: String },
    /// Nothing but time.
    TimePassed,
}
