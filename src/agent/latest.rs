//! The latest version of something, for any number of readers.
//!
//! `tests/loom.rs` compiles this very file with loom and tries every interleaving.

use std::sync::{Arc, PoisonError};

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

/// A value and its number. A reader who reads the number first, and then the value, gets that value or a later one.
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

    /// Replaces the value by a later one.
    pub fn set(&self, value: T, seq: u64) {
        *self.lock() = Arc::new(value);
        self.seq.store(seq, Ordering::Release);
    }

    /// The number of the latest value.
    pub fn seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    /// Increases the number without a new value, because something changed that the value does not contain.
    pub fn touch(&self) {
        self.seq.fetch_add(1, Ordering::AcqRel);
    }

    /// The latest value.
    pub fn value(&self) -> Arc<T> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<T>> {
        // A writer that panicked left a complete value behind, because values are swapped in one step.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
