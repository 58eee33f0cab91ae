//! The Python thread that proves that the interpreter is free: when it ran, and how late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Raw;
use super::last_sign::LastSign;

/// How long it waits between two ticks.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long it waits while somebody checks whether the main loop runs. How late it is shows for how much of the
/// check the loop could not have run either.
const INTERVAL_WHILE_ASKED: Duration = Duration::from_millis(10);

/// The ticks of one thread, the only one that may call [`Canary::tick`].
#[derive(Debug, Default)]
pub struct Canary {
    last_sign: LastSign,
    /// The instant of the next tick plus one; zero before the first.
    due: AtomicU64,
    /// The sum of the nanoseconds by which ticks came late.
    late: AtomicU64,
}

impl Canary {
    /// Records a tick. Returns how long to wait until the next one, and whether somebody waits for this one.
    pub fn tick(&self, now: Raw, asked: bool) -> (Duration, bool) {
        let wait = if asked { INTERVAL_WHILE_ASKED } else { INTERVAL };
        self.late.fetch_add(self.overdue(now), Ordering::Relaxed);
        let next = now.0 + u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX / 2);
        self.due.store(next + 1, Ordering::Relaxed);
        (wait, self.last_sign.record(now).1)
    }

    /// When it last ticked.
    pub const fn last_sign(&self) -> &LastSign {
        &self.last_sign
    }

    /// The total time for which it has waited to run so far.
    pub fn starved(&self, now: Raw) -> Duration {
        Duration::from_nanos(self.late.load(Ordering::Relaxed) + self.overdue(now))
    }

    fn overdue(&self, now: Raw) -> u64 {
        let due = self.due.load(Ordering::Relaxed);
        due.checked_sub(1).map_or(0, |due| now.0.saturating_sub(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Raw {
        Raw(n * 1_000_000)
    }

    #[test]
    fn what_counts_as_starved_is_how_late_each_tick_was() {
        let canary = Canary::default();
        assert_eq!(canary.starved(ms(900)), Duration::ZERO, "it has not been due yet");
        assert_eq!(canary.tick(ms(1000), false).0, INTERVAL);
        assert_eq!(canary.starved(ms(1200)), Duration::ZERO);
        assert_eq!(canary.starved(ms(1300)), Duration::from_millis(50));
        assert_eq!(canary.tick(ms(1330), true).0, INTERVAL_WHILE_ASKED);
        assert_eq!(canary.starved(ms(1340)), Duration::from_millis(80));
        assert_eq!(canary.starved(ms(1440)), Duration::from_millis(180));
    }
}
