//! When something last gave a sign of life, and whether the next one is to wake somebody.
//!
//! `tests/loom.rs` compiles this very file against loom and tries every interleaving.

use super::clock::Raw;
use super::sync::{AtomicBool, AtomicU64, Ordering};

/// When something last gave a sign of life, and whether somebody waits for the next one.
///
/// A sign is a plain store and a plain load: no locked instruction, which would cost as much as the rest
/// of a beat together. The price is that a sign given in the very instant in which somebody arms this may
/// neither wake them nor be seen by them. But then it stays armed, and the next sign, a frame later, wakes
/// them. It is meant for one thread at a time; signs of several at once are harmless, and may count as one.
#[derive(Debug, Default)]
pub struct LastSign {
    /// The instant of the newest sign plus one, so that zero means never.
    newest: AtomicU64,
    armed: AtomicBool,
}

impl LastSign {
    /// Records a sign of life. Returns the one before, and whether somebody waits to be told of this
    /// one, who is not told of those that follow.
    pub fn record(&self, now: Raw) -> (Option<Raw>, bool) {
        let before = self.newest.load(Ordering::Relaxed);
        self.newest.store(now.0 + 1, Ordering::Release);
        let wake = self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel);
        (before.checked_sub(1).map(Raw), wake)
    }

    /// The newest sign of life.
    pub fn newest(&self) -> Option<Raw> {
        self.newest.load(Ordering::Acquire).checked_sub(1).map(Raw)
    }

    /// Asks to be told of the next sign, or no longer. Look at [`LastSign::newest`] afterwards: of a sign that
    /// came just before nobody is told.
    pub fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::SeqCst);
    }

    /// Whether somebody is told of the next sign; for tests.
    #[allow(dead_code, reason = "`tests/loom.rs` asks")]
    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }
}
