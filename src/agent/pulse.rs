//! A sign of life, and a bell for whoever waits for the next one.
//!
//! `tests/loom.rs` compiles this very file against loom and tries every interleaving.

use super::clock::Raw;
use super::sync::{AtomicU64, Ordering};

/// When something last gave a sign of life, and whether somebody waits for the next one.
///
/// Both in one word, so that they change together: either a sign finds the bell armed, or whoever arms
/// it finds the sign.
#[derive(Debug, Default)]
pub struct Pulse {
    /// The instant of the newest sign plus one, so that zero means never, above the armed bit. 63 bits
    /// of nanoseconds last for 292 years.
    word: AtomicU64,
}

const ARMED: u64 = 1;

impl Pulse {
    /// Records a sign of life and disarms the bell. Returns the sign before, and whether somebody waits
    /// to be told of this one.
    pub fn sign(&self, now: Raw) -> (Option<Raw>, bool) {
        let before = self.word.swap((now.0 + 1) << 1, Ordering::AcqRel);
        (instant(before), before & ARMED != 0)
    }

    /// The newest sign of life.
    pub fn newest(&self) -> Option<Raw> {
        instant(self.word.load(Ordering::Acquire))
    }

    /// Arms or disarms the bell. Look at [`Pulse::newest`] afterwards: a sign that came just before
    /// rings no bell.
    pub fn arm(&self, armed: bool) {
        if armed {
            self.word.fetch_or(ARMED, Ordering::AcqRel);
        } else {
            self.word.fetch_and(!ARMED, Ordering::AcqRel);
        }
    }
}

const fn instant(word: u64) -> Option<Raw> {
    match (word >> 1).checked_sub(1) {
        Some(nanos) => Some(Raw(nanos)),
        None => None,
    }
}
