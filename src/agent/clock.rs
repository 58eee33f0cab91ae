//! The only place that reads time.
//!
//! There are three kinds of time, separated by type: [`Raw`] is the reading of the monotonic clock. [`Awake`] is
//! raw time minus every span in which the monitor itself did not run (suspend, SIGSTOP, an overloaded machine); all
//! judging uses it. Wall time is only for people.

use std::time::Duration;

use jiff::Timestamp;

use crate::health::Awake;

/// Nanoseconds on the monotonic clock since the agent started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Raw(pub u64);

impl Raw {
    /// The span from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// One start for monotonic and wall time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: u64,
    started_at: Timestamp,
}

impl Clock {
    /// A clock that starts at zero now.
    pub fn start() -> Self {
        Self {
            origin: monotonic_nanos(),
            started_at: Timestamp::now(),
        }
    }

    /// The reading of the monotonic clock.
    pub fn raw(&self) -> Raw {
        Raw(monotonic_nanos().saturating_sub(self.origin))
    }

    /// The wall time of the agent's start, in UTC.
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }
}

/// On Linux this reads the same clock as `Instant` does, but directly, because what `Instant` adds costs a tenth of
/// a whole beat. On macOS this clock continues while the machine sleeps, so a sleep is seen as a gap. 64 bits last
/// for 584 years.
#[cfg(unix)]
fn monotonic_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec
        .cast_unsigned()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(now.tv_nsec.cast_unsigned())
}

#[cfg(not(unix))]
fn monotonic_nanos() -> u64 {
    use once_cell::sync::Lazy;
    static FIRST: Lazy<std::time::Instant> = Lazy::new(std::time::Instant::now);
    u64::try_from(FIRST.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Turns raw time into observed-awake time. Pure: the monitor reports how each of its waits went.
#[derive(Debug, Clone, Copy, Default)]
pub struct AwakeClock {
    /// The sum of the raw time lost to gaps.
    lost: Duration,
    /// The last gap. Nothing ages during a gap.
    gap: Option<Gap>,
    /// How many gaps there were.
    pub gaps: u64,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    began: Raw,
    ended: Raw,
    lost_before: Duration,
}

impl AwakeClock {
    /// Records a wait that began at `began`, should have ended at `due` at the latest, and ended at `now`. If that
    /// is later than `tolerance` allows, the whole wait ages nothing, because nobody knows what the app did, or
    /// could do, during it. Returns whether that is the case.
    pub fn waited(&mut self, began: Raw, due: Raw, now: Raw, tolerance: Duration) -> bool {
        if now.since(due) <= tolerance {
            return false;
        }
        self.gap = Some(Gap {
            began,
            ended: now,
            lost_before: self.lost,
        });
        self.lost += now.since(began);
        self.gaps += 1;
        true
    }

    /// The awake instant of a raw one, which must not be before the last gap but one.
    pub fn awake(&self, raw: Raw) -> Awake {
        let nanos = Duration::from_nanos(raw.0);
        match self.gap {
            Some(gap) if raw < gap.ended => {
                let in_gap = raw.min(gap.began);
                Awake::at(Duration::from_nanos(in_gap.0).saturating_sub(gap.lost_before))
            }
            _ => Awake::at(nanos.saturating_sub(self.lost)),
        }
    }

    /// The raw instant at which `awake` will be reached if there are no more gaps.
    pub fn raw(&self, awake: Awake) -> Raw {
        let raw = awake.since_start().saturating_add(self.lost);
        Raw(u64::try_from(raw.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long the last gap was; zero if there was none.
    pub fn last_gap(&self) -> Duration {
        self.gap.map_or(Duration::ZERO, |gap| gap.ended.since(gap.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Raw {
        Raw(n * 1_000_000)
    }

    const fn awake_ms(n: u64) -> Awake {
        Awake::at(Duration::from_millis(n))
    }

    const TOLERANCE: Duration = Duration::from_millis(500);

    #[test]
    fn a_wait_that_ends_on_time_ages_everything() {
        let mut clock = AwakeClock::default();
        clock.waited(ms(0), ms(1000), ms(1300), TOLERANCE);
        assert_eq!(clock.awake(ms(1300)), awake_ms(1300));
        assert_eq!(clock.gaps, 0);
    }

    #[test]
    fn an_hour_of_suspend_ages_nothing_and_time_goes_on_from_where_it_stood() {
        let mut clock = AwakeClock::default();
        clock.waited(ms(4000), ms(5000), ms(3_604_000), TOLERANCE);
        assert_eq!(clock.gaps, 1);
        assert_eq!(clock.last_gap(), Duration::from_hours(1));
        assert_eq!(clock.awake(ms(3_604_000)), awake_ms(4000));
        assert_eq!(clock.awake(ms(3_604_700)), awake_ms(4700));
        assert_eq!(clock.raw(awake_ms(4700)), ms(3_604_700));
    }

    #[test]
    fn a_beat_from_before_a_gap_keeps_its_age_and_one_within_it_has_the_age_of_its_beginning() {
        let mut clock = AwakeClock::default();
        clock.waited(ms(4000), ms(5000), ms(60_000), TOLERANCE);
        assert_eq!(clock.awake(ms(1500)), awake_ms(1500));
        assert_eq!(clock.awake(ms(4100)), awake_ms(4000));
        assert_eq!(clock.awake(ms(59_999)), awake_ms(4000));
    }
}
