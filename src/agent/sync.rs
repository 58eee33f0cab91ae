//! The atomics and locks of what is tested with loom, which replaces them by its own.

pub use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub use std::sync::{Mutex, MutexGuard};
