//! One attempt to start the app: what can go wrong, and the error for it.

use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::app::App;
use super::client::Client;
use super::error::{AppError, AppErrorKind, Error, Failure, Result};
use super::launcher::Say;
use super::previous_runs::PreviousRun;
use super::process::{Launch, ProcessTree};
use super::run_record::now_ms;
use super::stacks;
use super::watch::{AppState, RUNS_ANOTHER};
use crate::file_url::path_text;
use crate::injection::{Mode, obstacle, with_interpreter};
use crate::process::port::{self, Holder};
use crate::process::{Exit, environment};
use crate::wire::{DISCOVERY_FILE, GenerationRecord, GenerationState, INJECTION_FILE, env};

/// How many lines about watching, from the app's Pythons, an error shows.
const TOLD: usize = 8;
/// If an app has no agent after this long, the user learns what is known about that before the wait is over.
const SAID_AFTER: Duration = Duration::from_secs(3);
/// What stands in each line on a process that is not watched, with the reason after it.
const NOT_WATCHED: &str = ": not watched: ";
/// How often a wait lets the caller check its signals.
pub const STEP: Duration = Duration::from_millis(20);

/// Called during a wait; `false` ends the wait.
pub type Step<'a> = &'a mut dyn FnMut() -> bool;

/// A port that is not free.
pub struct HeldPort {
    port: u16,
    /// The process that holds it; `None` if that cannot be seen.
    pub holder: Option<Holder>,
    /// The run that this process belongs to; `None` if it is foreign.
    pub run: Option<PreviousRun>,
}

/// One attempt to start the app.
pub struct Start<'a> {
    /// The number of the generation that this starts.
    pub generation: u32,
    /// How to start it.
    pub launch: &'a Launch,
    /// The interpreter beside which py-spy would be installed.
    pub python: &'a Path,
    /// Whether the command line contains a place for a free port, and got one.
    pub free_port_used: bool,
    /// Whether it is watched even if it starts no agent.
    pub inject: Mode,
    /// Shows the user what is known about an app that is not ready yet; `None` if nobody waits for it.
    pub say: Option<&'a Say>,
    /// When it began.
    pub began: Instant,
}

impl Start<'_> {
    /// The port that the command line itself gives the hook server, as `--hook-port 8999` or `--port=8999`. Other
    /// options that name ports do not count, because the app may be a client there.
    pub fn fixed_port(&self) -> Option<u16> {
        (!self.free_port_used).then(|| self.named_port()).flatten()
    }

    /// The same, or the free port that took the place of `{hook_port}` there.
    fn named_port(&self) -> Option<u16> {
        let named = |option: &str| matches!(option, "--port" | "--hook-port" | "--hook_port");
        let words = self.words();
        let apart = words
            .windows(2)
            .filter(|pair| named(&pair[0]))
            .map(|pair| &*pair[1]);
        let joined = words
            .iter()
            .filter_map(|word| word.split_once('='))
            .filter(|(name, _)| named(name));
        let mut ports = apart
            .chain(joined.map(|(_, port)| port))
            .filter_map(|port| port.parse().ok());
        ports.find(|port| *port != 0)
    }

    /// The process that holds the port which the app should use.
    pub fn held_port(&self) -> Option<HeldPort> {
        let port = self.fixed_port().filter(|port| !port::is_free(*port))?;
        let holder = port::holder(port);
        // The folder of this generation is in that of this run, which is in the folder of all runs.
        let run_dir = self.launch.folder.ancestors().nth(2);
        let run = holder.as_ref().zip(run_dir);
        let run = run.and_then(|(holder, run_dir)| PreviousRun::of(holder, run_dir));
        Some(HeldPort { port, holder, run })
    }

    /// The command line for people.
    fn words(&self) -> Vec<String> {
        let words = self.launch.command.iter();
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// The error for a port that is in use.
    pub fn refuse(&self, held: &HeldPort) -> AppError {
        let port = held.port;
        let unseen = "a process that cannot be seen from here";
        let holder = held.holder.as_ref().map_or(unseen, |holder| &holder.description);
        let (whose, advice) = match &held.run {
            Some(of) if of.goes_on => (
                format!("ours, of run {}, which still goes on", of.run),
                "wait for the end of that run",
            ),
            Some(of) => (
                format!("ours, left over from run {}, whose pytest is gone", of.run),
                "end that process (live_gui_kill_stale = true does so)",
            ),
            None => (
                "foreign: no run of ours started it".to_owned(),
                "end that process",
            ),
        };
        let summary = format!(
            "the app was not started: its port {port} is held by {holder}\n  {whose}\n  {advice}, or let every \
                 app have a free port of its own: {{hook_port}} in live_gui_command"
        );
        self.error(summary, None)
    }

    /// The error if the operating system cannot start the process.
    pub fn not_started(&self, error: &std::io::Error) -> AppError {
        let folder = self.launch.cwd.display();
        self.error(
            format!("the app could not be started: {error}\n  working folder: {folder}"),
            None,
        )
    }

    /// Waits until the app is `ok`, and fails as soon as it cannot become `ok` any more.
    pub fn wait_until_ready(
        &self,
        app: &App,
        told: &Receiver<AppState>,
        within: Duration,
        step: Step<'_>,
    ) -> Result<()> {
        let deadline = self.began + within;
        let mut say = self.say;
        loop {
            if self.began.elapsed() >= SAID_AFTER
                && let Some(say) = say.take()
            {
                self.say_why_not_watched(app, within, say);
            }
            if self.hear(app, told)? {
                return Ok(());
            }
            if !step() {
                return Err(Error::Interrupted);
            }
            if Instant::now() >= deadline {
                stacks::take(self.python, &app.process);
                let missing = self.missing(app);
                let summary = format!(
                    "the app was not ready within {:.1} s (live_gui_ready_timeout): {missing}",
                    within.as_secs_f64()
                );
                return Err(self.error(summary, Some(app)).into());
            }
        }
    }

    /// Waits for the next word of the watch, and returns whether it is that the app is `ok`. Fails if the app cannot
    /// become `ok` any more.
    fn hear(&self, app: &App, told: &Receiver<AppState>) -> Result<bool> {
        match told.recv_timeout(STEP) {
            Ok(AppState::Ok) => Ok(true),
            Ok(AppState::Starting) | Err(RecvTimeoutError::Timeout) => Ok(false),
            // What may still clear itself, such as a late first beat, has until the deadline.
            Ok(verdict @ AppState::Degraded(_)) if !verdict.is_final() => Ok(false),
            Ok(AppState::Exited { how, .. }) => {
                let after = self.began.elapsed().as_secs_f64();
                let summary = format!("the app ended with {how} after {after:.2} s, before it was ready");
                let summary = match last_words(app) {
                    Some(words) => format!("{words}\n  {summary}"),
                    None => summary,
                };
                Err(self.error(summary, Some(app)).into())
            }
            Ok(verdict) => {
                let summary = format!("the app was {} before it was ready", verdict.state());
                Err(self.error(summary, Some(app)).into())
            }
            Err(RecvTimeoutError::Disconnected) => Err(self
                .error("the watch over the app ended".to_owned(), Some(app))
                .into()),
        }
    }

    /// Waits until an app that is `ok` accepts connections on the port that its command line names. A loop may run
    /// before the server does. Returns the port if nothing listens there in time, which is no error: an app need not.
    pub fn wait_until_listening(
        &self,
        app: &App,
        told: &Receiver<AppState>,
        within: Duration,
        step: Step<'_>,
    ) -> Result<Option<u16>> {
        let (port, since) = (self.named_port(), Instant::now());
        while port.is_some() && !app.hook_port.is_open() {
            self.hear(app, told)?;
            if !step() {
                return Err(Error::Interrupted);
            }
            if since.elapsed() >= within {
                return Ok(port);
            }
        }
        Ok(None)
    }

    /// What an app that is not ready in time has not done, as far as can be seen from here.
    fn missing(&self, app: &App) -> String {
        let folder = &self.launch.folder;
        let agents = Client::all(folder);
        if app.watch.client().is_none() && agents.is_empty() {
            let mut missing = format!(
                "it never called livegui.start(), or its agent could not say so\n  \
                 looked for: {} in {}, which is its LIVEGUI_RUN_DIR",
                DISCOVERY_FILE,
                folder.display()
            );
            if let Err(error) = is_writable(folder) {
                missing = format!(
                    "its agent cannot say anything: {} cannot be written: {error}",
                    folder.display()
                );
            } else if app.process.exit().is_none() {
                let given = environment(&app.process.id(), env::RUN_DIR);
                if given.as_ref().is_some_and(|given| given != folder.as_os_str()) {
                    missing.push_str("\n  its LIVEGUI_RUN_DIR is another one: something in between set it");
                }
                missing.push_str(&self.why_not_watched());
            }
            return missing;
        }
        if app.watch.client().is_some_and(|agent| agent.was_replaced()) {
            return RUNS_ANOTHER.to_owned();
        }
        let mut missing = "its agent answers, but the main loop has not called agent.beat()".to_owned();
        if agents.len() > 1 {
            let pids: Vec<_> = agents.iter().map(|agent| agent.pid().to_string()).collect();
            missing = format!(
                "{} processes of it have an agent (pid {}), and the main loop of none has called agent.beat()",
                pids.len(),
                pids.join(", ")
            );
        }
        missing
    }

    /// Shows why an app without an agent is not watched, unless that may still come.
    fn say_why_not_watched(&self, app: &App, within: Duration, say: &Say) {
        let folder = &self.launch.folder;
        if self.inject == Mode::False || app.watch.client().is_some() || !Client::all(folder).is_empty() {
            return;
        }
        let log = self.injection_log();
        if log
            .lines()
            .next_back()
            .is_none_or(|last| last.contains(NOT_WATCHED))
        {
            say.0(&format!(
                "the app has no agent yet, {:.0} s after its start (live_gui_ready_timeout = {:.0} s):{}",
                SAID_AFTER.as_secs_f64(),
                within.as_secs_f64(),
                self.why_not_watched()
            ));
        }
    }

    /// What the app's Pythons have said about being watched.
    fn injection_log(&self) -> String {
        std::fs::read_to_string(self.launch.folder.join(INJECTION_FILE)).unwrap_or_default()
    }

    /// Why an app that starts no agent itself is not watched either.
    fn why_not_watched(&self) -> String {
        if self.inject == Mode::False {
            return "\n  live_gui_inject = false: an app that does not start an agent is not watched"
                .to_owned();
        }
        let told = self.injection_log();
        if told.is_empty() {
            let why = obstacle(&with_interpreter(self.words(), &self.launch.cwd)).unwrap_or_else(|| {
                "no Python of it ran livegui's start-up code: it is no Python app, it is frozen, or something in between \
                 cleared its environment; call livegui.start() in the app"
                    .to_owned()
            });
            return format!("\n  live_gui_inject: {why}");
        }
        let told: Vec<_> = told.lines().take(TOLD).collect();
        format!("\n  live_gui_inject: {}", told.join("\n    "))
    }

    fn error(&self, summary: String, app: Option<&App>) -> AppError {
        let command = crate::shell::join(&self.words());
        let summary = format!("{summary}\n  command: {command}");
        let mut failure = app.map_or_else(Failure::default, |app| app.describe(None));
        failure.summary = summary;
        failure.generation = self.generation;
        failure.folder.clone_from(&self.launch.folder);
        failure.exit_status = None; // the summary says it
        AppError::new(AppErrorKind::Start, failure)
    }

    /// The entry in the run's record.
    pub fn record(&self, process: &ProcessTree) -> GenerationRecord {
        GenerationRecord {
            generation: self.generation,
            pid: process.pid(),
            process: Some(process.id()),
            command: self.words(),
            folder: path_text(&self.launch.folder),
            ready_ms: None,
            state: GenerationState::Starting,
            why: None,
            culprit: None,
            ended_by: None,
            started_at_ms: Some(now_ms()),
            ended_at_ms: None,
            states: Vec::new(),
        }
    }
}

/// Why an app ended by itself, taken from its last output on standard error. Usually that is an exception, or what
/// a program says if it is called in the wrong way.
fn last_words(app: &App) -> Option<String> {
    let failed = app
        .process
        .exit()
        .and_then(Exit::code)
        .is_some_and(|code| code != 0);
    let tail = failed.then(|| app.process.stderr_tail())?;
    let last = tail
        .lines()
        .next_back()
        .filter(|line| !line.starts_with(char::is_whitespace))?;
    last.contains(": ").then(|| last.to_owned())
}

/// Whether a file can be created there and filled, because a full disk still accepts an empty one.
fn is_writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join("probe.tmp");
    let written = std::fs::write(&probe, [0; 4096]);
    let _ = std::fs::remove_file(&probe);
    written
}
