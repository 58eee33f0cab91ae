//! The pure centre: what the app told us and what time it is, in; what is wrong with it, out.
//!
//! No I/O, no clock, no thread and no Python. `now` is an argument, and [`Machine::next_deadline`]
//! tells the driver when to come back, so a hang of an hour is tested in a microsecond. Time here is
//! [`Awake`]: only time during which the observer itself was running (see `agent::clock`).

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

/// An instant on the observed-awake time line: the time since the agent started, less every span
/// in which the observer itself did not run.
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
