//! Every interleaving of the lock-free parts, by loom: the sources themselves, on loom's atomics.
#![allow(dead_code, reason = "each model uses a part of what it includes")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod clock {
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Raw(pub u64);
}
mod sync {
    pub use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    pub use loom::sync::{Mutex, MutexGuard};
}
#[path = "../src/agent/posted.rs"]
mod posted;
#[path = "../src/agent/pulse.rs"]
mod pulse;

use clock::Raw;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use posted::Posted;
use pulse::Pulse;

/// A monitor that arms the bell and then looks must not sleep through the beats: it sees the first, or
/// hears it, or hears the second.
#[test]
fn a_beat_is_seen_or_heard_or_the_next_one_is() {
    loom::model(|| {
        let pulse = Arc::new(Pulse::default());
        let rung = Arc::new(AtomicUsize::new(0));
        let beater = {
            let (pulse, rung) = (Arc::clone(&pulse), Arc::clone(&rung));
            thread::spawn(move || {
                rung.fetch_add(usize::from(pulse.sign(Raw(7)).1), Ordering::SeqCst);
            })
        };
        pulse.arm(true);
        let seen = pulse.newest().is_some();
        beater.join().unwrap();
        let heard = rung.load(Ordering::SeqCst) == 1;
        assert!(
            seen || heard || pulse.is_armed(),
            "slept through it, with nobody to ring"
        );
        assert!(
            heard != pulse.is_armed(),
            "the bell rings once, and until it does it stays armed"
        );
        assert_eq!(
            pulse.sign(Raw(8)),
            (Some(Raw(7)), !heard),
            "the next frame makes up for it"
        );
        assert_eq!(pulse.newest(), Some(Raw(8)));
    });
}

/// Beats of two threads at once, which the loop's are not meant to be: still the bell rings once.
#[test]
fn of_two_beats_at_once_exactly_one_rings_the_bell() {
    loom::model(|| {
        let pulse = Arc::new(Pulse::default());
        let rung = Arc::new(AtomicUsize::new(0));
        pulse.arm(true);
        let beaters = [1, 2].map(|now| {
            let (pulse, rung) = (Arc::clone(&pulse), Arc::clone(&rung));
            thread::spawn(move || {
                rung.fetch_add(usize::from(pulse.sign(Raw(now)).1), Ordering::SeqCst);
            })
        });
        for beater in beaters {
            beater.join().unwrap();
        }
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(pulse.newest().is_some());
    });
}

/// A reader that saw a number sees at least what was posted under it: a long poll that is woken for a
/// change shows that change.
#[test]
fn whoever_sees_a_number_sees_what_was_posted_under_it() {
    loom::model(|| {
        let posted = Arc::new(Posted::new(1_u64, 1));
        let poster = {
            let posted = Arc::clone(&posted);
            thread::spawn(move || posted.post(2, 2))
        };
        let seq = posted.seq();
        assert!(*posted.value() >= seq);
        poster.join().unwrap();
        assert_eq!((posted.seq(), *posted.value()), (2, 2));
    });
}

/// The end: what is posted before the stop flag is set is there for whoever sees the flag.
#[test]
fn the_last_news_come_before_the_stop() {
    loom::model(|| {
        let posted = Arc::new(Posted::new(1_u64, 1));
        let stop = Arc::new(AtomicBool::new(false));
        let monitor = {
            let (posted, stop) = (Arc::clone(&posted), Arc::clone(&stop));
            thread::spawn(move || {
                posted.post(2, 2);
                stop.store(true, Ordering::Release);
            })
        };
        if stop.load(Ordering::Acquire) {
            assert_eq!((posted.seq(), *posted.value()), (2, 2));
        }
        monitor.join().unwrap();
    });
}
