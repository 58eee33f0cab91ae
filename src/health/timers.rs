//! When to check again: one entry for each thing that only time can bring.

use super::Awake;

/// What the machine waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// When a start without a beat counts as timed out.
    Startup,
    /// When a main loop without a beat counts as stalled.
    Stall,
    /// When an interpreter in which no Python code runs counts as held.
    Hold,
    /// When the main loop counts as stalled although the interpreter, which was held, is free again.
    Release,
    /// When to check whether beats after a stall have continued for long enough.
    Recovery,
    /// When an executor that finishes none of its queued work counts as stalled.
    Executor,
    /// When to report that a process lives on without its main thread.
    Exit,
}

impl Timer {
    const COUNT: usize = Self::Exit as usize + 1;
}

/// When each timer expires. Timers that are not set never do.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Awake>; Timer::COUNT]);

impl Timers {
    /// Sets this timer to expire at `when`.
    pub(super) const fn set(&mut self, timer: Timer, when: Awake) {
        self.0[timer as usize] = Some(when);
    }

    /// Sets this timer to expire at `when`, unless it expires earlier.
    pub(super) fn set_earlier(&mut self, timer: Timer, when: Awake) {
        let set = self.0[timer as usize].map_or(when, |before| before.min(when));
        self.set(timer, set);
    }

    /// Stops this timer.
    pub(super) const fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Stops all of these timers.
    pub(super) fn stop_all(&mut self, timers: &[Timer]) {
        for timer in timers {
            self.stop(*timer);
        }
    }

    /// When the next one expires.
    pub(super) fn next_timeout(&self) -> Option<Awake> {
        self.0.iter().flatten().min().copied()
    }

    /// Whether this timer has expired.
    pub(super) fn is_expired(&self, timer: Timer, now: Awake) -> bool {
        self.0[timer as usize].is_some_and(|when| when <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_next_timeout_is_the_earliest_of_those_that_are_set() {
        let at = |seconds| Awake::at(Duration::from_secs(seconds));
        let mut timers = Timers::default();
        assert_eq!(timers.next_timeout(), None);
        timers.set(Timer::Stall, at(5));
        timers.set(Timer::Exit, at(3));
        assert_eq!(timers.next_timeout(), Some(at(3)));
        assert!(timers.is_expired(Timer::Exit, at(3)) && !timers.is_expired(Timer::Stall, at(3)));
        timers.stop(Timer::Exit);
        assert_eq!(timers.next_timeout(), Some(at(5)));
        assert!(!timers.is_expired(Timer::Exit, at(9)), "it is not set");
    }
}
