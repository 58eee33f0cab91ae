//! Threads inside a host process: they have names, block all signals, and never let a panic out.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

/// A thread of the agent that can be joined with a time limit.
#[derive(Debug)]
pub struct Worker {
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

impl Worker {
    /// Starts `livegui-<role>`. If `body` panics, `died` is called with the panic's message.
    ///
    /// # Errors
    /// What the operating system reports if it cannot start the thread.
    pub fn start(
        name: &str,
        body: impl FnOnce() + Send + 'static,
        died: impl FnOnce(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let (end, ended) = crossbeam_channel::bounded::<()>(0);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Dropped at the very end, which is what `join_within` waits for.
            let _end = end;
            ignore_signals();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                let _ = catch_unwind(AssertUnwindSafe(|| died(said(&*panic))));
            }
        })?;
        Ok(Self { thread, ended })
    }

    /// Waits for its end, for at most `limit`. A thread that takes longer is left alone.
    pub fn join_within(self, limit: Duration) {
        if self.ended.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected) {
            // It has dropped its sender, so only its last instructions remain, and it cannot have panicked.
            let _ = self.thread.join();
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it panicked")
}

/// Signals of the host must go to threads of the host: one delivered to a thread of ours would leave the main
/// thread asleep.
#[cfg(unix)]
fn ignore_signals() {
    // It fails only for an invalid argument, and this one is valid.
    let _ = nix::sys::signal::SigSet::all().thread_block();
}

#[cfg(not(unix))]
fn ignore_signals() {}
