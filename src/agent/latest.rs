//! The newest of something, for any number of readers.
//!
//! `tests/loom.rs` compiles this very file against loom and tries every interleaving.

use std::sync::{Arc, PoisonError};

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

/// A value and its number. Whoever reads a number and then the value gets that value or a newer one.
#[derive(Debug)]
pub struct Latest<T> {
    value: Mutex<Arc<T>>,
    seq: AtomicU64,
}

impl<T> Latest<T> {
    /// The first value.
    pub fn new(value: T, seq: u64) -> Self {
        Self {
            value: Mutex::new(Arc::new(value)),
            seq: AtomicU64::new(seq),
        }
    }

    /// Puts a newer value in its place.
    pub fn set(&self, value: T, seq: u64) {
        *self.lock() = Arc::new(value);
        self.seq.store(seq, Ordering::Release);
    }

    /// The number of the newest value.
    pub fn seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    /// Counts on without a new value: something about it changed that it does not say itself.
    pub fn touch(&self) {
        self.seq.fetch_add(1, Ordering::AcqRel);
    }

    /// The newest value.
    pub fn value(&self) -> Arc<T> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<T>> {
        // A writer that panicked left a whole value behind: it is swapped in one go.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
