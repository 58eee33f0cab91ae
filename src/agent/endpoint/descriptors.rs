//! The descriptors that the endpoint holds. The child of a fork inherits them and must close them, or a client
//! would wait for an answer from a process that knows of no request.

use std::sync::atomic::{AtomicI32, Ordering};

const NONE: i32 = -1;

/// A table that the endpoint's thread keeps and the child of a fork reads. It has no lock, because nothing could
/// release that in the child.
#[derive(Debug)]
pub struct Descriptors<const N: usize>([AtomicI32; N]);

impl<const N: usize> Default for Descriptors<N> {
    fn default() -> Self {
        Self([const { AtomicI32::new(NONE) }; N])
    }
}

impl<const N: usize> Descriptors<N> {
    /// Records the descriptor that is open in a place.
    #[cfg(unix)]
    pub fn set(&self, place: usize, open: &impl std::os::fd::AsRawFd) {
        if let Some(entry) = self.0.get(place) {
            entry.store(open.as_raw_fd(), Ordering::SeqCst);
        }
    }

    /// Without fork there is nothing to record.
    #[cfg(not(unix))]
    pub fn set<T>(&self, _place: usize, _open: &T) {}

    /// Records that a place is about to be closed.
    pub fn clear(&self, place: usize) {
        if let Some(entry) = self.0.get(place) {
            entry.store(NONE, Ordering::SeqCst);
        }
    }

    /// Closes everything that is recorded. Only for the child of a fork, where nothing else closes it.
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
