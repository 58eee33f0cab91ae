//! What the machine shows: the status of the app, and the state of each part.

use super::{Awake, Caught, Episode, Watched};

/// The status of the whole app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No beat yet.
    Starting,
    /// It beats, and no reason holds.
    Ok,
    /// At least one reason holds.
    Degraded,
    /// The app announced its end.
    Stopping,
}

/// The state of one watched thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// Nothing is known yet.
    Waiting,
    /// Its beats cannot be seen, so nothing is known about it.
    NotWatched,
    /// All is well.
    Ok,
    /// The app declared that it waits on purpose.
    Paused,
    /// The loop does not beat.
    Stalled,
    /// Native code holds the interpreter.
    Held,
    /// An exception ended the loop.
    Crashed,
    /// The loop returned, or a thread ended.
    Ended,
    /// An executor was shut down.
    Shutdown,
    /// An executor broke.
    Broken,
    /// An executor was garbage-collected.
    Gone,
}

impl CheckState {
    /// Whether all is well.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// A wait that the app declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// What it waits for.
    pub what: String,
    /// Whether users can use the app meanwhile.
    pub usable: bool,
}

/// Everything the machine knows, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The status of the whole app.
    pub status: Status,
    /// Since when it has this status.
    pub since: Awake,
    /// Counts changes of anything below. A reader who has this number has seen everything up to it.
    pub seq: u64,
    /// Reasons that hold, oldest first.
    pub open: Vec<Episode>,
    /// Reasons that held, latest last.
    pub history: Vec<Episode>,
    /// The state of the main loop.
    pub main_loop: CheckState,
    /// The declared wait that the app is in. If there are several, the first that is not usable.
    pub paused: Option<Paused>,
    /// What is open on top of the main window, as far as its toolkit reports it.
    pub left_open: Vec<String>,
    /// Where the main thread is, while its loop is silent.
    pub stands_at: Option<String>,
    /// The state of the interpreter.
    pub interpreter: CheckState,
    /// Watched executors, in the order in which they were named.
    pub executors: Vec<Watched>,
    /// Watched threads, in the order in which they were named.
    pub threads: Vec<Watched>,
    /// Exceptions that a toolkit caught, latest last.
    pub exceptions: Vec<Caught>,
}
