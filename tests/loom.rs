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
#[path = "../src/agent/last_sign.rs"]
mod last_sign;
#[path = "../src/agent/latest.rs"]
mod latest;

use clock::Raw;
use last_sign::LastSign;
use latest::Latest;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

/// A monitor that asks to be told and then looks must not sleep through the beats: it sees the first, or
/// hears it, or hears the second.
#[test]
fn a_beat_is_seen_or_heard_or_the_next_one_is() {
    loom::model(|| {
        let last_sign = Arc::new(LastSign::default());
        let told = Arc::new(AtomicUsize::new(0));
        let beater = {
            let (last_sign, told) = (Arc::clone(&last_sign), Arc::clone(&told));
            thread::spawn(move || {
                told.fetch_add(usize::from(last_sign.record(Raw(7)).1), Ordering::SeqCst);
            })
        };
        last_sign.arm(true);
        let seen = last_sign.newest().is_some();
        beater.join().unwrap();
        let heard = told.load(Ordering::SeqCst) == 1;
        assert!(
            seen || heard || last_sign.is_armed(),
            "slept through it, with nobody told"
        );
        assert!(
            heard != last_sign.is_armed(),
            "it tells once, and until it does it stays armed"
        );
        assert_eq!(
            last_sign.record(Raw(8)),
            (Some(Raw(7)), !heard),
            "the next frame makes up for it"
        );
        assert_eq!(last_sign.newest(), Some(Raw(8)));
    });
}

/// Beats of two threads at once, which the loop's are not meant to be: still somebody is told once.
#[test]
fn of_two_beats_at_once_exactly_one_rings_the_bell() {
    loom::model(|| {
        let last_sign = Arc::new(LastSign::default());
        let told = Arc::new(AtomicUsize::new(0));
        last_sign.arm(true);
        let beaters = [1, 2].map(|now| {
            let (last_sign, told) = (Arc::clone(&last_sign), Arc::clone(&told));
            thread::spawn(move || {
                told.fetch_add(usize::from(last_sign.record(Raw(now)).1), Ordering::SeqCst);
            })
        });
        for beater in beaters {
            beater.join().unwrap();
        }
        assert_eq!(told.load(Ordering::SeqCst), 1);
        assert!(last_sign.newest().is_some());
    });
}

/// A reader that saw a number sees at least what was set under it: a long poll that is woken for a
/// change shows that change.
#[test]
fn whoever_sees_a_number_sees_what_was_posted_under_it() {
    loom::model(|| {
        let latest = Arc::new(Latest::new(1_u64, 1));
        let poster = {
            let latest = Arc::clone(&latest);
            thread::spawn(move || latest.set(2, 2))
        };
        let seq = latest.seq();
        assert!(*latest.value() >= seq);
        poster.join().unwrap();
        assert_eq!((latest.seq(), *latest.value()), (2, 2));
    });
}

/// The end: what is set before the stop flag is set is there for whoever sees the flag.
#[test]
fn the_last_news_come_before_the_stop() {
    loom::model(|| {
        let latest = Arc::new(Latest::new(1_u64, 1));
        let stop = Arc::new(AtomicBool::new(false));
        let monitor = {
            let (latest, stop) = (Arc::clone(&latest), Arc::clone(&stop));
            thread::spawn(move || {
                latest.set(2, 2);
                stop.store(true, Ordering::Release);
            })
        };
        if stop.load(Ordering::Acquire) {
            assert_eq!((latest.seq(), *latest.value()), (2, 2));
        }
        monitor.join().unwrap();
    });
}
