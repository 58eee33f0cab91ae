//! The atomics and locks of what is tried out under loom, which puts its own in their place.

pub use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub use std::sync::{Mutex, MutexGuard};
