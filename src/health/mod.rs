//! The pure centre. It takes what the app reported and the time, and decides what is wrong with the app.
//!
//! No I/O, no clock, no thread and no Python. `now` is an argument, and [`Machine::next_deadline`] says when to
//! call again, so a test of a one-hour hang takes a microsecond. Time here is [`Awake`]: only time during which the
//! observer itself was running (see `agent::clock`).

mod code;
mod episode;
mod episodes;
mod event;
mod exceptions;
mod liveness;
mod machine;
mod pauses;
mod snapshot;
mod timers;
mod watched;

pub use code::Code;
pub use episode::{Episode, Reason};
pub use event::{Event, ExecutorEnd, Load};
pub use exceptions::{Caught, Source};
pub use machine::{Config, Machine, Transition};
pub use snapshot::{CheckState, Paused, Snapshot, Status};
pub use watched::Watched;

use std::time::Duration;

/// An instant in observed-awake time: the time since the agent started, minus every span in which the observer
/// itself did not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Awake(Duration);

impl Awake {
    /// The instant `since_start` after the agent's start.
    #[must_use]
    pub const fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// Awake time since the agent started.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Awake time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Awake {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}
