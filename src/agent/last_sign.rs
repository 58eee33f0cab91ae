//! When something last gave a sign of life, and whether the next sign must wake somebody.
//!
//! `tests/loom.rs` compiles this very file with loom and tries every interleaving.

use super::clock::Raw;
use super::sync::{AtomicBool, AtomicU64, Ordering};

/// When something last gave a sign of life, and whether somebody waits for the next one.
///
/// A sign is a plain store and a plain load, without a locked instruction, which would cost as much as the rest of
/// a beat. The price is this: a sign given at the very instant in which somebody arms this may neither wake them
/// nor be seen by them. But then it stays armed, and the next sign, a frame later, wakes them. It is meant for one
/// thread at a time. Signs of several threads at once are harmless, but may count as one.
#[derive(Debug, Default)]
pub struct LastSign {
    /// The instant of the latest sign plus one, so that zero means never.
    newest: AtomicU64,
    armed: AtomicBool,
}

impl LastSign {
    /// Records a sign of life. Returns the one before, and whether somebody waits for this one. Waiting ends with
    /// it.
    pub fn record(&self, now: Raw) -> (Option<Raw>, bool) {
        let before = self.newest.load(Ordering::Relaxed);
        self.newest.store(now.0 + 1, Ordering::Release);
        let wake = self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel);
        (before.checked_sub(1).map(Raw), wake)
    }

    /// The latest sign of life.
    pub fn newest(&self) -> Option<Raw> {
        self.newest.load(Ordering::Acquire).checked_sub(1).map(Raw)
    }

    /// Asks to be woken by the next sign, or no longer. Check [`LastSign::newest`] afterwards, because a sign that
    /// came just before wakes nobody.
    pub fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::SeqCst);
    }

    /// Whether the next sign wakes somebody; for tests.
    #[allow(dead_code, reason = "`tests/loom.rs` asks")]
    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }
}
