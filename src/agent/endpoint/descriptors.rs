//! Which descriptors the endpoint holds, for the child of a fork: it has them too, and must let go of
//! them, or a client would wait for an answer from a process that knows of no question.

use std::sync::atomic::{AtomicI32, Ordering};

const NONE: i32 = -1;

/// A table that the endpoint's thread keeps and the child of a fork reads. No lock: in the child
/// nobody could release it.
#[derive(Debug)]
pub struct Descriptors<const N: usize>([AtomicI32; N]);

impl<const N: usize> Default for Descriptors<N> {
    fn default() -> Self {
        Self([const { AtomicI32::new(NONE) }; N])
    }
}

impl<const N: usize> Descriptors<N> {
    /// Notes what is open in a place.
    #[cfg(unix)]
    pub fn set(&self, place: usize, open: &impl std::os::fd::AsRawFd) {
        if let Some(entry) = self.0.get(place) {
            entry.store(open.as_raw_fd(), Ordering::SeqCst);
        }
    }

    /// Without fork there is nothing to note.
    #[cfg(not(unix))]
    pub fn set<T>(&self, _place: usize, _open: &T) {}

    /// Notes that a place is about to be closed.
    pub fn clear(&self, place: usize) {
        if let Some(entry) = self.0.get(place) {
            entry.store(NONE, Ordering::SeqCst);
        }
    }

    /// Closes everything that is noted. Only in the child of a fork, where nobody else will.
    pub fn close_all(&self) {
        for entry in &self.0 {
            let descriptor = entry.swap(NONE, Ordering::SeqCst);
            if descriptor != NONE {
                #[cfg(unix)]
                let _ = nix::unistd::close(descriptor);
            }
        }
    }
}
