//! A sign of life, and a bell for whoever waits for the next one.
//!
//! `tests/loom.rs` compiles this very file against loom and tries every interleaving.

use super::clock::Raw;
use super::sync::{AtomicBool, AtomicU64, Ordering};

/// When something last gave a sign of life, and whether somebody waits for the next one.
///
/// A sign is a plain store and a plain load: no locked instruction, which would cost as much as the rest
/// of a beat together. The price is that a sign given in the very instant in which the bell is armed may
/// neither ring it nor be seen by whoever arms it. But then the bell stays armed, and the next sign, a
/// frame later, rings it. It is meant for one thread at a time; signs of several at once are harmless,
/// and may count as one.
#[derive(Debug, Default)]
pub struct Pulse {
    /// The instant of the newest sign plus one, so that zero means never.
    newest: AtomicU64,
    armed: AtomicBool,
}

impl Pulse {
    /// Records a sign of life. Returns the one before, and whether somebody waits to be told of this
    /// one; who is told so disarms the bell.
    pub fn sign(&self, now: Raw) -> (Option<Raw>, bool) {
        let before = self.newest.load(Ordering::Relaxed);
        self.newest.store(now.0 + 1, Ordering::Release);
        let ring = self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel);
        (before.checked_sub(1).map(Raw), ring)
    }

    /// The newest sign of life.
    pub fn newest(&self) -> Option<Raw> {
        self.newest.load(Ordering::Acquire).checked_sub(1).map(Raw)
    }

    /// Arms or disarms the bell. Look at [`Pulse::newest`] afterwards: a sign that came just before
    /// rings no bell.
    pub fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::SeqCst);
    }

    /// Whether the next sign will ring; for tests.
    #[allow(dead_code, reason = "`tests/loom.rs` asks")]
    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }
}
