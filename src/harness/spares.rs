//! Apps that are started before they are needed, so that a fresh process needs no start-up time.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::app::App;
use super::error::{Error, Result};
use super::launcher::{Launcher, When};
use super::ledger::{Ledger, lock};
use super::start::{STEP, Step};

/// After this many failures in a row, no more spares are started. The next start, in the foreground, reports why.
const TRIES: u32 = 3;

/// The spares of one run.
pub struct Spares {
    count: usize,
    launcher: Arc<Launcher>,
    shelf: Arc<SparePool>,
    ledger: Ledger,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// Apps that are being ended in the background.
    leaving: Mutex<Vec<JoinHandle<()>>>,
}

/// The waiting spares.
#[derive(Default)]
struct SparePool {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    /// How many there should be; 0 until the run's first app is ready, whose start they must not slow down.
    wanted: usize,
    /// Oldest first: they are handed over in the order of their numbers.
    ready: VecDeque<App>,
    failures: u32,
    ended: bool,
}

impl Content {
    /// Whether the worker is starting a spare, or is about to.
    fn is_one_to_come(&self) -> bool {
        !self.ended && self.failures < TRIES && self.ready.len() < self.wanted
    }

    fn find(&self, fit: bool) -> Option<usize> {
        self.ready.iter().position(|app| app.watch.is_fit() == fit)
    }
}

impl Spares {
    /// Keeps `count` spares waiting, from [`Spares::begin`] on.
    ///
    /// # Errors
    /// What the operating system reports if it cannot start the thread.
    pub fn start(count: u32, launcher: Arc<Launcher>, ledger: Ledger) -> std::io::Result<Self> {
        let shelf = Arc::new(SparePool::default());
        let keeper = SpareWorker {
            launcher: Arc::clone(&launcher),
            ledger: ledger.clone(),
            shelf: Arc::clone(&shelf),
        };
        let keeper = thread::Builder::new()
            .name("livegui-spares".to_owned())
            .spawn(move || keeper.run())?;
        Ok(Self {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            launcher,
            shelf,
            ledger,
            keeper: Mutex::new(Some(keeper)),
            leaving: Mutex::default(),
        })
    }

    /// Begins to start spares. Returns at once.
    pub fn begin(&self) {
        lock(&self.shelf.content).wanted = self.count;
        self.shelf.changed.notify_all();
    }

    /// Takes a spare that is fit, and lets the worker replace it; `None` if there is none. Waits for a spare that
    /// is starting.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if `step` ends the wait.
    pub fn take(&self, step: Step<'_>) -> Result<Option<App>> {
        let mut content = lock(&self.shelf.content);
        loop {
            if let Some(app) = content.find(true).and_then(|fit| content.ready.remove(fit)) {
                self.shelf.changed.notify_all();
                return Ok(Some(app));
            }
            if !content.is_one_to_come() && content.ready.is_empty() {
                return Ok(None);
            }
            drop(content);
            if !step() {
                return Err(Error::Interrupted);
            }
            content = self.shelf.wait(lock(&self.shelf.content));
        }
    }

    /// The spare that was taken is used.
    pub fn accept(&self) {
        lock(&self.shelf.content).failures = 0;
    }

    /// The spare that was taken cannot be used.
    pub fn reject(&self, app: App, why: &str) {
        self.ledger.spare_rejected(&app, why);
        self.retire(app);
        self.shelf.failed(&self.ledger, &why);
    }

    /// Ends an app in the background, so that the next one, which is ready, need not wait.
    pub fn retire(&self, app: App) {
        let launcher = Arc::clone(&self.launcher);
        let app = Arc::new(app);
        let leaving = Arc::clone(&app);
        let thread = thread::Builder::new()
            .name("livegui-retire".to_owned())
            .spawn(move || launcher.retire(&leaving));
        match thread {
            Ok(thread) => {
                let mut threads = lock(&self.leaving);
                threads.retain(|thread| !thread.is_finished());
                threads.push(thread);
            }
            Err(_) => self.launcher.retire(&app),
        }
    }

    /// Ends every spare, and waits until the apps that are being ended are gone.
    pub fn close(&self) {
        lock(&self.shelf.content).ended = true;
        self.shelf.changed.notify_all();
        let keeper = lock(&self.keeper).take();
        let leaving = std::mem::take(&mut *lock(&self.leaving));
        for thread in leaving.into_iter().chain(keeper) {
            let _ = thread.join();
        }
    }
}

impl SparePool {
    /// Waits for a change, or a moment.
    fn wait<'a>(&self, content: std::sync::MutexGuard<'a, Content>) -> std::sync::MutexGuard<'a, Content> {
        let waited = self.changed.wait_timeout(content, STEP);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn failed(&self, ledger: &Ledger, why: &dyn std::fmt::Display) {
        let mut content = lock(&self.content);
        content.failures += 1;
        let given_up = content.failures == TRIES;
        drop(content);
        self.changed.notify_all();
        if given_up {
            let remark = format!("no more spares: {TRIES} in a row failed, the last one: {why}");
            ledger.state().run.remark(remark);
        }
    }
}

/// The thread that starts spares and ends them.
struct SpareWorker {
    launcher: Arc<Launcher>,
    ledger: Ledger,
    shelf: Arc<SparePool>,
}

impl SpareWorker {
    fn run(&self) {
        loop {
            let mut content = lock(&self.shelf.content);
            if content.ended {
                break;
            }
            if let Some(unfit) = content.find(false).and_then(|unfit| content.ready.remove(unfit)) {
                drop(content);
                self.launcher.retire(&unfit);
                self.shelf.failed(&self.ledger, &"it was no longer fit");
            } else if content.is_one_to_come() {
                drop(content);
                self.bring_up();
            } else {
                let waited = self.shelf.changed.wait(content);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
        let left = std::mem::take(&mut lock(&self.shelf.content).ready);
        for app in left {
            self.launcher.retire(&app);
        }
    }

    fn bring_up(&self) {
        let generation = self.ledger.state().next_generation();
        let shelf = Arc::clone(&self.shelf);
        let changed = move || {
            // Not between the worker's check of the spares and its wait.
            drop(lock(&shelf.content));
            shelf.changed.notify_all();
        };
        let mut step = || !lock(&self.shelf.content).ended;
        match self.launcher.launch(generation, When::Ahead, changed, &mut step) {
            Ok(app) => {
                lock(&self.shelf.content).ready.push_back(app);
                self.shelf.changed.notify_all();
            }
            Err(Error::Interrupted) => {}
            Err(error) => {
                self.ledger.spare_not_started(generation, &error);
                self.shelf.failed(&self.ledger, &error);
            }
        }
    }
}
