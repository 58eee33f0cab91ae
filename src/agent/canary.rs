//! The Python thread that proves that the interpreter is free: when it ran, and how late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
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
    /// How many ticks there were. Each begins a check of what is watched.
    looks: AtomicU64,
    bell: Bell,
}

/// Ends the wait of a thread, also one that is only about to begin.
#[derive(Debug, Default)]
struct Bell {
    is_rung: Mutex<bool>,
    changed: Condvar,
}

impl Canary {
    /// Records a tick. Returns how long to wait until the next one, and whether somebody waits for this one.
    pub fn tick(&self, now: Raw, asked: bool) -> (Duration, bool) {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let wait = if asked { INTERVAL_WHILE_ASKED } else { INTERVAL };
        self.late.fetch_add(self.overdue(now), Ordering::Relaxed);
        let next = now.0 + u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX / 2);
        self.due.store(next + 1, Ordering::Relaxed);
        (wait, self.last_sign.record(now).1)
    }

    /// The thread waits here for its next tick. [`Canary::ring`] ends the wait.
    pub fn wait(&self, at_most: Duration) {
        let is_rung = self.bell.is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .bell
            .changed
            .wait_timeout_while(is_rung, at_most, |is_rung| !*is_rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    /// Makes the next tick due now.
    pub fn ring(&self, now: Raw) {
        self.due.fetch_min(now.0 + 1, Ordering::Relaxed); // zero stays zero
        *self.bell.is_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.changed.notify_all();
    }

    /// How many ticks there were.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::SeqCst)
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

    #[test]
    fn from_the_question_on_the_next_tick_is_due() {
        let canary = Canary::default();
        canary.ring(ms(5));
        assert_eq!(canary.starved(ms(900)), Duration::ZERO, "it has not begun yet");
        canary.tick(ms(1000), false);
        canary.ring(ms(1100));
        assert_eq!(canary.starved(ms(1150)), Duration::from_millis(50));
        canary.tick(ms(1150), true);
        canary.ring(ms(1200));
        assert_eq!(
            canary.starved(ms(1200)),
            Duration::from_millis(90),
            "it was due at 1160"
        );
    }

    #[test]
    fn a_ring_ends_the_wait_that_it_finds_or_the_next_one() {
        let canary = Canary::default();
        let long = Duration::from_mins(1);
        canary.ring(ms(0));
        canary.wait(long);
        std::thread::scope(|scope| {
            scope.spawn(|| canary.wait(long));
            canary.ring(ms(1));
        });
        canary.wait(Duration::from_millis(1)); // no ring is left
    }
}
