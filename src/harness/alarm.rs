//! Interrupts a running test: a thread that does so until the test answers.
//!
//! The verdict is made without the interpreter; only its delivery needs it. So this thread only makes the operating
//! system interrupt the test's thread, over and over, until the test side confirms that it received the interrupt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

/// Milliseconds between two interrupts, in turn. The lengths vary because of tests that wait in equal steps in an
/// event loop, where they cannot be ended: an interrupt at the same rhythm would always find them there.
const PAUSES_MS: [u64; 5] = [20, 13, 23, 17, 29];

/// Interrupts the test's thread. Does nothing while it is not armed.
#[derive(Debug, Clone)]
pub struct Alarm {
    shared: Arc<Shared>,
    bell: Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    armed: AtomicBool,
    ringing: AtomicBool,
}

impl Alarm {
    /// Starts an alarm that calls `interrupt` on a separate thread.
    ///
    /// # Errors
    /// What the operating system reports if it cannot start the thread.
    pub fn start(interrupt: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        // One place is enough, because a ring that is already waiting serves the next one too.
        let (bell, heard) = crossbeam_channel::bounded(1);
        let inside = Arc::clone(&shared);
        let run = move || run(&inside, &heard, interrupt);
        thread::Builder::new()
            .name("livegui-alarm".to_owned())
            .spawn(run)?;
        Ok(Self { shared, bell })
    }

    /// Allows interrupting the test from now on.
    pub fn arm(&self) {
        self.shared.armed.store(true, Ordering::SeqCst);
        if self.shared.ringing.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Forbids interrupting the test from now on.
    pub fn disarm(&self) {
        self.shared.armed.store(false, Ordering::SeqCst);
    }

    /// Reports that there is something that a running test must know.
    pub fn ring(&self) {
        self.shared.ringing.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether the alarm rings.
    pub fn is_ringing(&self) -> bool {
        self.shared.ringing.load(Ordering::SeqCst)
    }

    /// Stops ringing.
    pub fn quiet(&self) {
        self.shared.ringing.store(false, Ordering::SeqCst);
    }

    fn wake(&self) {
        let _ = self.bell.try_send(());
    }
}

fn run(shared: &Shared, heard: &Receiver<()>, interrupt: impl Fn()) {
    let due = || shared.armed.load(Ordering::SeqCst) && shared.ringing.load(Ordering::SeqCst);
    while heard.recv().is_ok() {
        let mut pauses = PAUSES_MS.into_iter().cycle();
        while due() {
            interrupt();
            let pause = Duration::from_millis(pauses.next().unwrap_or_default());
            if heard.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }
}
