//! Reaches into a running test: a thread that interrupts it until somebody answers.
//!
//! The verdict is made without the interpreter; only its delivery needs it. So this thread does
//! nothing but have the operating system interrupt the test's thread, over and over, until the test
//! side says that it heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

/// Milliseconds between two interrupts, in turn. Of many lengths: a test that waits in steps as long as these, in
/// an event loop where it cannot be ended, would be found in there each time.
const PAUSES_MS: [u64; 5] = [20, 13, 23, 17, 29];

/// Somebody who can interrupt the test's thread. Does nothing while it is not armed.
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
    /// An alarm that calls `interrupt` on a thread of its own.
    ///
    /// # Errors
    /// What the operating system says if it starts no thread.
    pub fn start(interrupt: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        // One place is enough: whoever finds it taken is heard all the same.
        let (bell, heard) = crossbeam_channel::bounded(1);
        let inside = Arc::clone(&shared);
        let run = move || run(&inside, &heard, interrupt);
        thread::Builder::new()
            .name("livegui-alarm".to_owned())
            .spawn(run)?;
        Ok(Self { shared, bell })
    }

    /// From here on the test may be interrupted.
    pub fn arm(&self) {
        self.shared.armed.store(true, Ordering::SeqCst);
        if self.shared.ringing.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// From here on it must not be.
    pub fn disarm(&self) {
        self.shared.armed.store(false, Ordering::SeqCst);
    }

    /// There is something that a running test has to know.
    pub fn ring(&self) {
        self.shared.ringing.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether there is.
    pub fn is_ringing(&self) -> bool {
        self.shared.ringing.load(Ordering::SeqCst)
    }

    /// There no longer is.
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
