//! What the machine shows: the word for the whole app, and how each part is.

use super::{Awake, Caught, Episode, Watched};

/// The agent's word for the whole app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No beat yet.
    Starting,
    /// Beating, and no reason to think otherwise.
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
    /// Its beats cannot be seen, so that nothing is known of it.
    NotWatched,
    /// As it should be.
    Ok,
    /// The app said that it waits on purpose.
    Paused,
    /// The loop gives no beat.
    Stalled,
    /// Native code holds the interpreter.
    Held,
    /// The loop died of an exception.
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
    /// Whether it is as it should be.
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
    /// Whether it serves its users meanwhile.
    pub usable: bool,
}

/// Everything the machine knows, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The word for the whole app.
    pub status: Status,
    /// Since when.
    pub since: Awake,
    /// Counts changes of anything below; a reader who has it has seen everything up to it.
    pub seq: u64,
    /// Reasons that hold, the oldest first.
    pub open: Vec<Episode>,
    /// Reasons that held, the latest last.
    pub history: Vec<Episode>,
    /// How the main loop is.
    pub main_loop: CheckState,
    /// The declared wait that it is in. Of several the first that is not usable.
    pub paused: Option<Paused>,
    /// What is open on top of the main window, as far as its toolkit tells.
    pub left_open: Vec<String>,
    /// How the interpreter is.
    pub interpreter: CheckState,
    /// Watched executors, in the order they were named.
    pub executors: Vec<Watched>,
    /// Watched threads, in the order they were named.
    pub threads: Vec<Watched>,
    /// Exceptions that a toolkit caught, the newest last.
    pub exceptions: Vec<Caught>,
}
