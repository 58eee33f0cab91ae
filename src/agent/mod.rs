//! Inside the app: the agent that watches its main loop.
//!
//! ```text
//! app threads ─ beat() ─▶ Heartbeat (atomics) ─┐
//!             ─ tell(event) ─▶ inbox ─▶ monitor thread (owns health::Machine) ─▶ Published (snapshot)
//!                                                                                   │
//!                                        HTTP client ◀─ endpoint thread ◀───────────┤
//!                                   heartbeat.jsonl ◀─ journal thread ◀────────────┘
//! ```
//! No code here attaches to a Python interpreter or owns a Python object. Python pushes, and Rust judges.

mod canary;
mod clock;
mod discovery;
mod endpoint;
mod error;
mod heartbeat;
mod journal;
mod last_sign;
mod latest;
mod monitor;
mod published;
#[cfg(unix)]
mod qt_messages;
mod report;
mod settings;
mod sync;
mod threads;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use crate::file_url::path_text;
use crate::health::{Code, Config, Event, Source, Status};
use crate::io_error::cannot;
use crate::process::{Parent, ProcessId, program};
use crate::wire::{DISCOVERY_SCHEMA, Discovery, Health, JOURNAL_SCHEMA, JournalHeader};
pub use discovery::agent_in;
use discovery::{DiscoveryFile, Place};
use endpoint::{Endpoint, EndpointWaker, OpenDescriptors};
pub use error::{Error, Result};
use journal::Journal;
use monitor::Message;
use published::Published;
use report::Identity;
use threads::Worker;

#[cfg(unix)]
pub use qt_messages::{come_back, step_aside};
pub use settings::{Arguments, Settings, name_of_script};

#[cfg(fuzzing)]
pub use endpoint::fuzz;

const MONITOR_THREAD: &str = "livegui-monitor";
const ENDPOINT_THREAD: &str = "livegui-endpoint";
const JOURNAL_THREAD: &str = "livegui-journal";
/// How long a push waits for room in the inbox before it is dropped and counted.
const PUSH_WITHIN: Duration = Duration::from_millis(100);
/// How long `health()` waits until everything pushed before it is judged.
const SYNC_WITHIN: Duration = Duration::from_millis(100);
/// How long `stop()` waits for each thread.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How many executors and threads together can be watched at once.
const MAX_WATCHED: usize = 256;
/// After how many quarters of `stall_after` without a beat a loop is woken for the first time, and for the last.
const FIRST_WAKE: u32 = 2;
const LAST_WAKE: u32 = 3;
/// The longest name of something watched, in characters.
const MAX_NAME: usize = 200;
/// The longest description of where the main thread is, in characters.
const MAX_AT: usize = 500;
/// How many open dialogs and the like are reported.
const MAX_OPEN: usize = 16;
/// The longest name of each, in characters.
const MAX_OPEN_NAME: usize = 200;

/// The agent of one app. Every method can be called from any thread, at any time.
pub struct Agent {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
    /// The endpoint's address and token; `None` for an inert agent.
    access: Option<Access>,
    /// The descriptors that the child of a fork must close.
    descriptors: Option<Arc<OpenDescriptors>>,
    executor_stall: bool,
    stall_after: Duration,
    pauses: AtomicU64,
    /// Names that are watched. Watching the same name again replaces the earlier one.
    watched: Mutex<BTreeSet<String>>,
}

struct Access {
    url: String,
    token: String,
}

struct Shared {
    published: Published,
    identity: Identity,
    inbox: Sender<Message>,
    /// This is the child of a fork: none of our threads exist here, and locks may be held for ever.
    forked: AtomicBool,
}

/// What must be stopped.
struct Running {
    monitor: Option<Worker>,
    endpoint: Option<Worker>,
    journal: Option<(Journal, Worker)>,
    waker: EndpointWaker,
    discovery: Option<DiscoveryFile>,
}

impl Running {
    const fn new(waker: EndpointWaker) -> Self {
        Self {
            monitor: None,
            endpoint: None,
            journal: None,
            waker,
            discovery: None,
        }
    }
}

impl Agent {
    /// Starts the threads, binds the endpoint, writes the discovery file.
    ///
    /// # Errors
    /// [`Error::Io`] if the port is in use, the run folder cannot be written, or a thread cannot be started.
    /// Nothing is left running then.
    pub fn start(settings: &Settings) -> Result<Self> {
        let (inbox, messages) = monitor::inbox();
        let endpoint = Endpoint::bind(settings.port).map_err(cannot(format!(
            "bind the health endpoint to 127.0.0.1:{}",
            settings.port
        )))?;
        let token = settings.token.clone().map_or_else(random_hex, Ok)?;
        let place = match &settings.run_dir {
            None => Place::find(),
            Some(_) => Place::default(),
        };
        let settings = &Settings {
            journal: settings.journal.as_ref().map(|path| place.moved(path)),
            ..settings.clone()
        };
        let shared = Arc::new(Shared {
            published: Published::new(settings.thresholds),
            identity: Identity {
                app: settings.app.clone(),
                pid: std::process::id(),
                parent: watch_over(settings.parent.as_ref()),
                runtime_dir: place.remark.clone(),
                instance: random_hex()?,
            },
            inbox,
            forked: AtomicBool::new(false),
        });
        let mut agent = Self::new(shared);
        agent.access = Some(Access {
            url: format!("http://127.0.0.1:{}", endpoint.port()),
            token,
        });
        agent.stall_after = settings.thresholds.stall_after;
        agent.executor_stall = settings.thresholds.executor_stall.is_some();
        agent.descriptors = Some(endpoint.descriptors());
        agent.running = Mutex::new(Some(Running::new(endpoint.waker())));
        // If anything fails from here on, dropping `agent` stops what has been started by then.
        agent.start_threads(settings, endpoint, messages)?;
        agent.announce(settings, &place)?;
        Ok(agent)
    }

    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            running: Mutex::new(None),
            access: None,
            descriptors: None,
            executor_stall: false,
            stall_after: Config::default().stall_after,
            pauses: AtomicU64::new(0),
            watched: Mutex::default(),
        }
    }

    fn start_threads(
        &self,
        settings: &Settings,
        endpoint: Endpoint,
        messages: Receiver<Message>,
    ) -> Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(running), Some(access)) = (running.as_mut(), &self.access) else {
            return Ok(());
        };
        let mut journal = None;
        if let Some(path) = settings.journal.clone() {
            let (sender, entries) = Journal::new();
            let header = JournalHeader {
                schema: JOURNAL_SCHEMA.to_owned(),
                pid: self.shared.identity.pid,
                app: self.shared.identity.app.clone(),
                instance: self.shared.identity.instance.clone(),
                started_at: report::started_at(&self.shared.published),
                parent: self.shared.identity.parent.clone(),
                runtime_dir: self.shared.identity.runtime_dir.clone(),
            };
            let (shared, dead) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
            let body = move || journal::run(&path, &header, &entries, &shared.published);
            let worker = Worker::start(JOURNAL_THREAD, body, move |what| {
                dead.thread_died(JOURNAL_THREAD, what);
            });
            running.journal = Some((
                sender.clone(),
                worker.map_err(cannot("start the journal thread"))?,
            ));
            journal = Some(sender);
        }

        let parent = settings.parent.clone();
        let (shared, dead) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let (waker, dead_waker, thresholds) =
            (running.waker.clone(), running.waker.clone(), settings.thresholds);
        let body = move || {
            monitor::run(
                &shared.published,
                &messages,
                thresholds,
                journal.as_ref(),
                parent.as_ref(),
                || {
                    waker.wake();
                },
            );
        };
        let monitor = Worker::start(MONITOR_THREAD, body, move |_| {
            dead.published.report_monitor_dead();
            dead_waker.wake();
        });
        running.monitor = Some(monitor.map_err(cannot("start the monitor thread"))?);

        let (shared, dead, token) = (
            Arc::clone(&self.shared),
            Arc::clone(&self.shared),
            access.token.clone(),
        );
        let body = move || {
            let clock = *shared.published.clock();
            if let Err(error) = endpoint.serve(token, clock, &*shared) {
                shared.thread_died(ENDPOINT_THREAD, &error.to_string());
            }
        };
        let served = Worker::start(ENDPOINT_THREAD, body, move |what| {
            dead.thread_died(ENDPOINT_THREAD, what);
        });
        running.endpoint = Some(served.map_err(cannot("start the endpoint thread"))?);
        Ok(())
    }

    /// An agent that does nothing: it accepts every call and is `starting` for ever.
    #[must_use]
    pub fn inert(app: &str) -> Self {
        let (inbox, _) = monitor::inbox();
        let identity = Identity {
            app: app.to_owned(),
            pid: std::process::id(),
            parent: watch_over(None),
            runtime_dir: String::new(),
            instance: "inert".to_owned(),
        };
        let published = Published::new(Config::default());
        Self::new(Arc::new(Shared {
            published,
            identity,
            inbox,
            forked: AtomicBool::new(false),
        }))
    }

    fn announce(&self, settings: &Settings, place: &Place) -> Result<()> {
        let Some(access) = &self.access else {
            return Ok(());
        };
        let file = DiscoveryFile::write(
            &Discovery {
                schema: DISCOVERY_SCHEMA.to_owned(),
                pid: self.shared.identity.pid,
                process: Some(ProcessId::current()),
                program: program(self.shared.identity.pid),
                instance: self.shared.identity.instance.clone(),
                url: access.url.clone(),
                token: access.token.clone(),
                journal: settings.journal.as_deref().map(path_text),
            },
            settings.run_dir.as_deref(),
            place,
        )?;
        if let Some(running) = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            running.discovery = file;
        }
        Ok(())
    }

    /// Records that the main loop runs. Takes tens of nanoseconds and never waits.
    pub fn beat(&self) {
        let published = &self.shared.published;
        if published.heart.beat(published.clock().raw()) {
            self.wake();
        }
    }

    /// The same, unless another question than `known` waits by now. Then what the loop has reported may be older than
    /// the question, which this beat would answer.
    pub fn beat_unless_asked(&self, known: Option<u64>) {
        if self.question() == known {
            self.beat();
        }
    }

    /// Records that the Python canary ran, so the interpreter is free, and begins to check what is watched. Returns
    /// how long the canary should wait until its next tick.
    pub fn tick(&self) -> Duration {
        let published = &self.shared.published;
        let (wait, wake) = published
            .canary
            .tick(published.clock().raw(), published.is_proof_awaited());
        if wake {
            self.wake();
        }
        wait
    }

    /// Records that the canary has completed the check that began with its last tick. What it found must have been
    /// reported before.
    pub fn looked(&self) {
        let published = &self.shared.published;
        if published.is_proof_awaited() && !self.is_forked() {
            // If the inbox is full, the next check comes in a moment.
            let _ = self
                .shared
                .inbox
                .try_send(Message::Looked(published.canary.looks()));
        }
    }

    /// The canary waits here for its next tick, which a question makes due at once. Must not be called with the GIL
    /// held.
    pub fn wait_for_question(&self, at_most: Duration) {
        self.shared.published.canary.wait(at_most);
    }

    /// Ends the canary's wait.
    pub fn end_wait(&self) {
        self.shared.ring();
    }

    /// The number of the question that waits for a proof that the app lives, if there is one right now. A loop that
    /// sleeps until something happens must be woken then.
    #[must_use]
    pub fn question(&self) -> Option<u64> {
        self.shared.published.question()
    }

    /// Whether no beat has come for so long that a loop which sleeps until something happens must be woken, because
    /// it would soon count as hung. Returns which silence it is and which attempt; `None` if there is none.
    #[must_use]
    pub fn silence(&self) -> Option<(u64, u32)> {
        let published = &self.shared.published;
        let newest = published.heart.last_sign().newest()?;
        let awake = published.shown().awake;
        let silent = awake.awake(published.clock().raw()).since(awake.awake(newest));
        let quarters = silent.as_millis() * 4 / self.stall_after.as_millis().max(1);
        let quarters = u32::try_from(quarters).unwrap_or(u32::MAX).min(LAST_WAKE);
        (quarters >= FIRST_WAKE).then(|| (published.heart.beats(), quarters))
    }

    /// Records what is open on top of the main window now: dialogs, grabs, nested loops. The number and the length
    /// of names are limited.
    pub fn tell_open(&self, things: impl IntoIterator<Item = String>) {
        let shorten = |thing: String| thing.chars().take(MAX_OPEN_NAME).collect();
        let things = things.into_iter().take(MAX_OPEN).map(shorten).collect();
        self.tell(Event::OpenChanged { things });
    }

    /// Records where the main thread is while its loop is silent; `None` once it is not.
    pub fn main_thread_seen(&self, at: Option<String>) {
        let at = at.map(|at| at.chars().take(MAX_AT).collect());
        self.tell(Event::MainThreadSeen { at });
    }

    /// Hears Qt's critical and fatal messages from now on, until [`Agent::stop`]. `module` is the extension module of
    /// a Qt binding that the app has loaded. Returns whether that is possible.
    #[cfg(unix)]
    pub fn hear_qt(&self, module: &std::path::Path) -> bool {
        let weak = Arc::downgrade(&self.shared);
        let sink = move |message: qt_messages::QtMessage| {
            if let Some(shared) = weak.upgrade() {
                shared.hear_qt(message);
            }
        };
        self.access.is_some() && qt_messages::hear(module, Arc::new(sink))
    }

    /// Reports an event to the monitor. Waits at most 0.1 s, and only if the monitor is flooded.
    pub fn tell(&self, event: Event) {
        if self.is_forked() {
            return;
        }
        // Nothing more will come from what has ended, so its place is free for another.
        let ended = match &event {
            Event::ExecutorEnded { name, .. } => Some(format!("executor {name}")),
            Event::ThreadEnded { name, .. } => Some(format!("thread {name}")),
            _ => None,
        };
        if let Some(name) = ended {
            self.watched
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&name);
        }
        // Otherwise the event was accepted, or the agent has stopped and nothing matters any more.
        let Err(TrySendError::Full(message)) = self.shared.inbox.try_send(Message::Happened(event)) else {
            return;
        };
        if self.shared.inbox.send_timeout(message, PUSH_WITHIN).is_err() {
            self.shared.published.count_dropped();
        }
    }

    /// Reports something new to watch to the monitor.
    ///
    /// # Errors
    /// [`Error::BadValue`] if too many things are watched already.
    pub fn watch(&self, event: Event) -> Result<()> {
        let (kind, name) = match &event {
            Event::ExecutorWatched { name, .. } => ("executor", name),
            Event::ThreadWatched { name } => ("thread", name),
            _ => return Ok(()),
        };
        if name.chars().count() > MAX_NAME {
            return Err(Error::BadValue(format!(
                "name={name:.40}…: expected at most {MAX_NAME} characters"
            )));
        }
        let name = format!("{kind} {name}");
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.len() >= MAX_WATCHED && !watched.contains(&name) {
            return Err(Error::BadValue(format!(
                "at most {MAX_WATCHED} executors and threads can be watched at once"
            )));
        }
        watched.insert(name);
        drop(watched);
        self.tell(event);
        Ok(())
    }

    /// Reports a problem that the app found.
    ///
    /// # Errors
    /// [`Error::BadValue`] if `code` is not a plain word or is one of livegui's own.
    pub fn degrade(&self, code: &str, message: &str, recoverable: bool) -> Result<()> {
        self.report(code, message, None, recoverable)
    }

    /// Does the same, with the traceback of the cause.
    ///
    /// # Errors
    /// As [`Agent::degrade`].
    pub fn report(
        &self,
        code: &str,
        message: &str,
        traceback: Option<String>,
        recoverable: bool,
    ) -> Result<()> {
        let code = own_code(code)?;
        self.tell(Event::Reported {
            code,
            message: message.to_owned(),
            traceback,
            recoverable,
        });
        Ok(())
    }

    /// Records an exception that a toolkit caught while the app goes on.
    ///
    /// # Errors
    /// [`Error::BadValue`] if `source` is not a source.
    pub fn exception_swallowed(
        &self,
        source: &str,
        place: String,
        message: String,
        traceback: Option<String>,
    ) -> Result<()> {
        let source = Source::parse(source).ok_or_else(|| {
            Error::BadValue(format!(
                "source={source:.40}: expected gui, asyncio, thread, task, unraisable, toolkit or wake"
            ))
        })?;
        self.tell(Event::ExceptionSwallowed {
            source,
            place,
            message,
            traceback,
        });
        Ok(())
    }

    /// Clears what the app reported.
    ///
    /// # Errors
    /// As [`Agent::degrade`].
    pub fn clear(&self, code: &str) -> Result<()> {
        let code = own_code(code)?;
        self.tell(Event::Cleared { code });
        Ok(())
    }

    /// Records that the app waits on purpose, for at most `max`; `usable` if users can use it meanwhile. Returns
    /// the argument for [`Agent::resume`].
    pub fn pause(&self, what: &str, max: Duration, usable: bool) -> u64 {
        let id = self.pauses.fetch_add(1, Ordering::Relaxed);
        self.tell(Event::PauseBegan {
            id,
            what: what.to_owned(),
            max,
            usable,
        });
        id
    }

    /// Records that the wait ended.
    pub fn resume(&self, id: u64) {
        self.tell(Event::PauseEnded { id });
    }

    /// Whether stalls of executors are watched for.
    #[must_use]
    pub const fn looks_for_executor_stalls(&self) -> bool {
        self.executor_stall
    }

    /// Everything that is known, including everything reported before this call.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.is_forked() {
            // The lock of what the parent published may be held by a thread that does not exist here.
            return report::health(&self.shared.identity, &Published::new(Config::default()));
        }
        let (done, judged) = crossbeam_channel::bounded(1);
        if self.shared.inbox.try_send(Message::Sync(done)).is_ok() {
            // If it takes longer, answer with what was known before.
            let _ = judged.recv_timeout(SYNC_WITHIN);
        }
        report::health(&self.shared.identity, &self.shared.published)
    }

    /// `http://127.0.0.1:PORT`; `None` for an inert agent.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.access.as_ref().map(|access| access.url.as_str())
    }

    /// The token for `/health`; `None` for an inert agent.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.access.as_ref().map(|access| access.token.as_str())
    }

    /// Ends the threads, frees the port, deletes the discovery file. Takes a few seconds at most. A second call
    /// does nothing. Must not be called with the GIL held.
    pub fn stop(&self) {
        if self.is_forked() {
            return;
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        #[cfg(unix)]
        qt_messages::leave();
        self.tell(Event::StopAnnounced);
        let _ = self.shared.inbox.send_timeout(Message::Stop, PUSH_WITHIN);
        if let Some(worker) = running.monitor {
            worker.join_within(STOP_WITHIN);
        }
        running.waker.stop();
        if let Some(worker) = running.endpoint {
            worker.join_within(STOP_WITHIN);
        }
        // The journal is last, so that it gets the monitor's last lines.
        if let Some((journal, worker)) = running.journal {
            journal.end();
            worker.join_within(STOP_WITHIN);
        }
        drop(running.discovery);
    }

    /// Makes this agent inert in the child of a fork.
    pub fn after_fork_in_child(&self) {
        self.shared.forked.store(true, Ordering::SeqCst);
        if let Some(descriptors) = &self.descriptors {
            descriptors.close_all();
        }
    }

    fn is_forked(&self) -> bool {
        self.shared.forked.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if !self.is_forked() {
            // A full inbox wakes the monitor just as well.
            let _ = self.shared.inbox.try_send(Message::Wake);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Makes the canary check now.
    fn ring(&self) {
        // In the child of a fork there is no canary, and its lock may be held for ever.
        if !self.forked.load(Ordering::Relaxed) {
            self.published.canary.ring(self.published.clock().raw());
        }
    }

    fn thread_died(&self, thread: &str, what: &str) {
        let event = Event::AgentThreadDied {
            thread: thread.to_owned(),
            message: what.to_owned(),
        };
        let _ = self.inbox.try_send(Message::Happened(event));
    }

    /// A message of Qt's, on any thread. Waits only before the process ends.
    #[cfg(unix)]
    fn hear_qt(&self, message: qt_messages::QtMessage) {
        if self.forked.load(Ordering::Relaxed) {
            return;
        }
        if !message.is_fatal {
            let _ = self.inbox.try_send(Message::Happened(Event::ExceptionSwallowed {
                source: Source::Toolkit,
                place: message.place,
                message: format!("qCritical: {}", message.text),
                traceback: None,
            }));
            return;
        }
        let event = Event::MainLoopCrashed {
            message: format!("qFatal: {}", message.text),
            traceback: None,
        };
        let _ = self.inbox.send_timeout(Message::Happened(event), PUSH_WITHIN);
        let (done, judged) = crossbeam_channel::bounded(1);
        if self.inbox.try_send(Message::Sync(done)).is_ok() {
            let _ = judged.recv_timeout(SYNC_WITHIN);
        }
    }
}

impl endpoint::HealthSource for Shared {
    fn is_alive(&self) -> bool {
        self.published.is_alive()
    }

    fn status(&self) -> Status {
        report::status(&self.published)
    }

    fn health(&self) -> Health {
        report::health(&self.identity, &self.published)
    }

    fn seq(&self) -> u64 {
        self.published.seq()
    }

    fn beats(&self) -> u64 {
        self.published.heart.beats()
    }

    fn looked(&self) -> u64 {
        self.published.shown().looked
    }

    fn await_proof(&self, awaited: bool) {
        if self.published.await_proof(awaited) && awaited {
            // Makes the monitor ask for the next beat. A full inbox wakes it just as well.
            let _ = self.inbox.try_send(Message::Wake);
            self.ring();
        }
    }
}

fn own_code(code: &str) -> Result<Code> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if code.is_empty() || code.len() > 64 || !code.chars().all(plain) {
        return Err(Error::BadValue(format!(
            "code={code:?}: expected 1 to 64 characters out of a-z 0-9 _"
        )));
    }
    if code == Code::CallbackException.as_str() {
        return Ok(Code::CallbackException); // this code is livegui's own, but the app may report and clear it
    }
    if Code::is_reserved(code) {
        return Err(Error::BadValue(format!(
            "code={code:?} is livegui's own; give another, or none"
        )));
    }
    Ok(Code::App(code.to_owned()))
}

/// Describes how this app watches the test run that it must end with.
fn watch_over(parent: Option<&Parent>) -> String {
    match parent.map(Parent::unseen_because) {
        None => "none".to_owned(),
        Some(None) => "watched".to_owned(),
        Some(Some(why)) => format!("not watched: {why}"),
    }
}

/// 128 random bits.
fn random_hex() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(std::io::Error::from)
        .map_err(cannot("get random bytes for the token"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
