//! The lock-free beat.
//!
//! A beat is one clock read and a few plain loads and stores. It never locks, allocates or waits. It wakes no
//! thread, unless the monitor asked to be woken because the very next beat matters.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Raw;
use super::last_sign::LastSign;

/// The main loop's beats and a histogram of the time between them.
#[derive(Debug)]
pub struct Heartbeat {
    last_sign: LastSign,
    frames: [AtomicU32; BUCKETS],
    /// The longest frame, in units.
    longest: AtomicU64,
}

/// Durations are counted in units of 1,024 ns, because a shift is cheaper than a division.
const UNIT_BITS: u32 = 10;
/// Eight buckets an octave: a quantile is at most 12.5 % too high, and the whole histogram is 1 KiB.
const SUB_BITS: u32 = 3;
const SUB_MASK: u64 = (1 << SUB_BITS) - 1;
const OCTAVES: usize = 32;
const BUCKETS: usize = OCTAVES << SUB_BITS;

/// Statistics of the time between beats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameTimes {
    /// Half of the frames were at most this long.
    pub p50: Duration,
    /// Of a hundred frames, 99 were at most this long.
    pub p99: Duration,
    /// The longest frame.
    pub max: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            last_sign: LastSign::default(),
            frames: [const { AtomicU32::new(0) }; BUCKETS],
            longest: AtomicU64::new(0),
        }
    }
}

impl Heartbeat {
    /// Records a beat. Returns whether the monitor waits to be woken by it.
    ///
    /// Counts are exact if one thread beats at a time, as a main loop does. If several do at once, some beats may
    /// count as one.
    pub fn beat(&self, now: Raw) -> bool {
        let (before, wake) = self.last_sign.record(now);
        if let Some(before) = before {
            let units = now.0.saturating_sub(before.0) >> UNIT_BITS;
            let count = &self.frames[bucket(units)];
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            if units > self.longest.load(Ordering::Relaxed) {
                self.longest.store(units, Ordering::Relaxed);
            }
        }
        wake
    }

    /// When the last beat came.
    pub const fn last_sign(&self) -> &LastSign {
        &self.last_sign
    }

    /// The durations of all frames so far.
    pub fn histogram(&self) -> Histogram {
        Histogram {
            counts: self
                .frames
                .each_ref()
                .map(|count| u64::from(count.load(Ordering::Relaxed))),
            longest: self.longest.load(Ordering::Relaxed),
        }
    }

    /// The number of beats, including the first.
    pub fn beats(&self) -> u64 {
        self.histogram().frames() + u64::from(self.last_sign.newest().is_some())
    }
}

/// How many frames took how long.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    /// The longest frame, in units.
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            longest: 0,
        }
    }
}

impl Histogram {
    /// The frames since `earlier`, an older histogram of the same heartbeat.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.wrapping_sub(before) & u64::from(u32::MAX); // each wraps as a u32 does
        }
        Self {
            counts,
            longest: self.longest,
        }
    }

    /// The number of frames.
    pub fn frames(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their statistics. For a part of the time, the longest frame is known only up to its bucket.
    pub fn times(&self) -> FrameTimes {
        let frames = self.frames();
        let quantile = |percent: u64| {
            let mut left = (frames * percent).div_ceil(100);
            let within = |count: &u64| {
                left = left.saturating_sub(*count);
                left == 0
            };
            let bucket = self.counts.iter().position(within).filter(|_| frames > 0);
            Duration::from_nanos(bucket.map_or(0, upper_bound).min(self.longest) << UNIT_BITS)
        };
        FrameTimes {
            p50: quantile(50),
            p99: quantile(99),
            max: quantile(100),
        }
    }
}

/// The bucket of a duration in units: the position of its highest bit, then three more bits.
fn bucket(units: u64) -> usize {
    let octave = (units | 1).ilog2();
    if octave < SUB_BITS {
        return usize::try_from(units).unwrap_or(0);
    }
    let index = u64::from((octave - SUB_BITS + 1) << SUB_BITS) + ((units >> (octave - SUB_BITS)) & SUB_MASK);
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The longest duration, in units, that falls into this bucket.
fn upper_bound(index: usize) -> u64 {
    let (octave, sub) = ((index as u64) >> SUB_BITS, (index as u64) & SUB_MASK);
    if octave == 0 {
        sub
    } else {
        ((SUB_MASK + 1 + sub + 1) << (octave - 1)) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_span_falls_into_a_bucket_whose_bound_is_at_most_an_eighth_above_it() {
        for micros in (0..2000).chain((1..44).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]))
        {
            let index = bucket(micros);
            if index < BUCKETS - 1 {
                let bound = upper_bound(index);
                assert!(
                    bound >= micros && bound <= micros + micros / 8,
                    "{micros} µs in bucket {index} up to {bound}"
                );
            }
        }
    }

    #[test]
    fn frame_times_are_the_spans_between_beats() {
        let heart = Heartbeat::default();
        assert_eq!(heart.beats(), 0);
        assert_eq!(heart.histogram().times(), FrameTimes::default());
        let mut now = 0;
        for _ in 0..=99 {
            heart.beat(Raw(now));
            now += 16_000_000;
        }
        heart.beat(Raw(now + 384_000_000));
        let times = heart.histogram().times();
        assert_eq!(heart.beats(), 101);
        assert!(times.p50 >= Duration::from_millis(16) && times.p50 < Duration::from_millis(20));
        assert!(times.p99 < Duration::from_millis(20));
        assert!(times.max > Duration::from_millis(399) && times.max <= Duration::from_millis(400));
    }

    #[test]
    fn a_part_of_the_time_has_figures_of_its_own() {
        let heart = Heartbeat::default();
        for frame in 0..100 {
            heart.beat(Raw(frame * 100_000_000));
        }
        let before = heart.histogram();
        for frame in 0..10 {
            heart.beat(Raw(9_901_000_000 + frame * 1_000_000));
        }
        let part = heart.histogram().since(&before);
        assert_eq!(part.frames(), 10);
        assert!(
            part.times().max < Duration::from_millis(2),
            "the slow frames came before"
        );
    }

    #[test]
    fn the_bell_rings_once_and_only_when_armed() {
        let last_sign = LastSign::default();
        assert_eq!(last_sign.newest(), None);
        assert_eq!(last_sign.record(Raw(0)), (None, false));
        last_sign.arm(true);
        assert_eq!(last_sign.newest(), Some(Raw(0)), "arming is no sign");
        assert_eq!(last_sign.record(Raw(5)), (Some(Raw(0)), true));
        assert_eq!(last_sign.record(Raw(6)), (Some(Raw(5)), false));
        last_sign.arm(true);
        last_sign.arm(false);
        assert_eq!(last_sign.record(Raw(7)), (Some(Raw(6)), false));
    }
}
