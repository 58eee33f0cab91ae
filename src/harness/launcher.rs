//! Starts one app, in the foreground or as a spare, and ends one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use once_cell::sync::OnceCell;

use super::app::App;
use super::command::CommandLine;
use super::error::Result;
use super::guard::Guard;
use super::hook_port::HookPort;
use super::ledger::Ledger;
use super::priority::{self, Lowered};
use super::process::{GRACE, Launch, ProcessTree};
use super::stacks;
use super::start::{Start, Step};
use super::watch::{AppState, News, Watch};
use crate::injection::{Injection, Mode, pythonpath};
use crate::io_error::cannot;
use crate::process::{ProcessId, port};
use crate::wire::{GenerationRecord, env};

/// Makes Python write the stacks of its threads to stderr when a signal ends it.
const FAULT_HANDLER: &str = "PYTHONFAULTHANDLER";

/// How long an agent that is ready may take to report how its main loop is.
const SAYS_WITHIN: Duration = Duration::from_millis(250);
/// How long an app that is `ok` may take to listen on the port that its command line names. It need not be a server.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// The remark about an app that has its own kind of loop.
const NOT_WATCHED: &str = "the app's main loop is not watched: livegui does not know its kind, so a hang is not \
    noticed (wire it with livegui.start() and beat(), see docs/injection.md)";

/// How to start the app.
#[derive(Debug, Clone)]
pub struct LaunchSettings {
    /// Its name among several apps of the same tests; empty if it is the only one.
    pub name: String,
    /// The app's command line.
    pub command: CommandLine,
    /// Variables to add to the app's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The app's working folder.
    pub cwd: PathBuf,
    /// The replacement for `{python}`.
    pub python: PathBuf,
    /// How long it may take from start to `ok`.
    pub ready_timeout: Duration,
    /// How many bytes to keep of each of an app's outputs.
    pub output_limit: u64,
    /// Whether to end an app of an earlier run that holds our port. Never a foreign process.
    pub kill_stale: bool,
    /// Which apps that start no agent are watched all the same.
    pub inject: Mode,
    /// Whether the work that packages of these apps give to pools counts too.
    pub library_pools: bool,
    /// The folder that makes a Python do so even if livegui is not installed in it.
    pub carrier: PathBuf,
    /// Whether a callback that raises degrades the app.
    pub callback_errors_degrade: bool,
    /// What to call with a line for the user while a test waits for an app that may never be ready.
    pub say: Say,
}

/// Shows a line to the user at once.
#[derive(Clone)]
pub struct Say(pub Arc<dyn Fn(&str) + Send + Sync>);

impl fmt::Debug for Say {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Say")
    }
}

/// When an app is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A test waits for it.
    Now,
    /// Later, so it must not slow down what runs now.
    Ahead,
}

/// Starts apps.
pub struct Launcher {
    settings: LaunchSettings,
    ledger: Ledger,
    /// The guard of this process, started with its first app.
    guard: OnceCell<Option<Guard>>,
    /// An app of this kind did not listen on the port that its command line names.
    is_silent: AtomicBool,
}

impl Launcher {
    /// A launcher for apps of this kind, whose watches write into this ledger.
    pub const fn new(settings: LaunchSettings, ledger: Ledger) -> Self {
        Self {
            settings,
            ledger,
            guard: OnceCell::new(),
            is_silent: AtomicBool::new(false),
        }
    }

    /// Whether every app gets its own port, so that two can run at the same time.
    pub fn gives_each_a_port(&self) -> bool {
        self.settings.command.uses("hook_port")
    }

    /// Starts an app and waits until it is `ok`. `changed` is called, on the watch's thread, after each new verdict
    /// is recorded. No lock is held meanwhile, so signal handlers run and may use the handle.
    ///
    /// # Errors
    /// [`Error::App`](super::error::Error::App) says why it could not be started;
    /// [`Error::Interrupted`](super::error::Error::Interrupted) if `step` ended the wait.
    pub fn launch(
        &self,
        generation: u32,
        when: When,
        changed: impl Fn() + Send + Sync + 'static,
        step: Step<'_>,
    ) -> Result<App> {
        let (launch, hook_port) = self.prepare(generation)?;
        let start = Start {
            generation,
            launch: &launch,
            python: &self.settings.python,
            free_port_used: self.gives_each_a_port(),
            inject: self.settings.inject,
            say: (when == When::Now).then_some(&self.settings.say),
            began: Instant::now(),
        };
        self.free_the_port(&start)?;
        if let Some(guard) = self.guard.get_or_init(|| Guard::start(&self.settings.python)) {
            guard.watch((launch.mark.0, &launch.mark.1));
        }
        let lowered = (when == When::Ahead).then(Lowered::this_thread).flatten();
        let process = ProcessTree::start(&launch).map_err(|error| start.not_started(&error))?;
        let is_lowered = lowered.is_some();
        drop(lowered); // the watch is as urgent as any other
        let process = Arc::new(process);
        self.ledger.state().run.add(start.record(&process));

        let (tell, told) = crossbeam_channel::unbounded();
        let ledger = self.ledger.clone();
        let (python, watched) = (self.settings.python.clone(), Arc::clone(&process));
        let watch = Watch::start(Arc::clone(&process), self.settings.ready_timeout, move |news| {
            match news {
                News::AppState(verdict, ago) => {
                    if verdict.is_silence() {
                        stacks::take(&python, &watched);
                    }
                    ledger.record(generation, verdict, ago);
                    // Nothing receives this any more once the app is ready.
                    let _ = tell.send(verdict.clone());
                }
                News::Survived(caught) => ledger.record_exceptions(generation, caught),
                News::BeganAnew => ledger.began_anew(generation, &watched.id()),
            }
            changed();
        });
        let watch = watch.map_err(|error| {
            process.end_tree(None);
            cannot("start the watch thread")(error)
        })?;
        let app = App {
            name: self.settings.name.clone(),
            generation,
            process,
            watch,
            hook_port: Arc::new(HookPort::new(start.fixed_port().unwrap_or(hook_port))),
        };
        if let Err(error) = self.wait_until_up(&start, &app, &told, step) {
            self.retire(&app);
            let mut state = self.ledger.state();
            let why = |record: &mut GenerationRecord| record.why = record.why.take().or(Some(error.cause()));
            state.run.update(generation, why);
            return Err(error);
        }
        if is_lowered {
            app.process.pids().into_iter().for_each(priority::restore);
        }
        let ready_ms = u64::try_from(start.began.elapsed().as_millis()).ok();
        self.remark_if_not_watched(&app);
        let mut state = self.ledger.state();
        state.run.update(generation, |record| {
            record.ready_ms = ready_ms;
            // What was started may have been a script, or a launcher.
            let process = app.process.id();
            record.pid = process.pid;
            record.process = Some(process);
        });
        drop(state);
        Ok(app)
    }

    /// Waits until the app is `ok` and its server listens. If one process does not listen, the next need not be
    /// waited for.
    fn wait_until_up(
        &self,
        start: &Start<'_>,
        app: &App,
        told: &Receiver<AppState>,
        step: Step<'_>,
    ) -> Result<()> {
        start.wait_until_ready(app, told, self.settings.ready_timeout, step)?;
        if self.is_silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        let within = LISTENS_WITHIN.min(self.settings.ready_timeout);
        if let Some(port) = start.wait_until_listening(app, told, within, step)? {
            self.is_silent.store(true, Ordering::Relaxed);
            self.ledger.state().run.remark(format!(
                "nothing listens on port {port}, which the command line names; livegui waited for it for {:.0} s",
                within.as_secs_f64()
            ));
        }
        Ok(())
    }

    /// Adds a remark, once a run, about an app that is `ok` although nothing is known about its loop.
    fn remark_if_not_watched(&self, app: &App) {
        let health = app
            .watch
            .client()
            .and_then(|agent| agent.health(SAYS_WITHIN).ok());
        let is_unseen = health.is_some_and(|health| !health.checks.main_loop.is_watched());
        if self.settings.inject != Mode::False && is_unseen {
            self.ledger.state().run.remark(NOT_WATCHED.to_owned());
        }
    }

    /// Ends an app that is no longer needed, and everything that it started.
    pub fn retire(&self, app: &App) {
        let fit = self.ledger.retire(app);
        // An app that is not fit would not react to a request to end either.
        let left = app.process.end_tree(fit.then_some(GRACE));
        let mut state = self.ledger.state();
        state.run.ended(app.generation);
        state.left.extend(left);
    }

    fn free_the_port(&self, start: &Start<'_>) -> Result<()> {
        let Some(held) = start.held_port() else {
            return Ok(());
        };
        let Some((stale, holder)) = held.run.as_ref().zip(held.holder.as_ref()) else {
            return Err(start.refuse(&held).into());
        };
        if stale.goes_on || !self.settings.kill_stale {
            return Err(start.refuse(&held).into());
        }
        let left = stale.end();
        if !left.is_empty() {
            return Err(start.refuse(&held).into());
        }
        let remark = format!("ended what run {} had left: {}", stale.run, holder.description);
        self.ledger.state().run.remark(remark);
        start
            .held_port()
            .map_or(Ok(()), |held| Err(start.refuse(&held).into()))
    }

    fn prepare(&self, generation: u32) -> Result<(Launch, u16)> {
        let (folder, state) = self.ledger.state().run.generation_folder(generation)?;
        let hook_port = port::free_port().map_err(cannot("find a free port"))?;
        let settings = &self.settings;
        let values = BTreeMap::from([
            ("hook_port", hook_port.to_string().into()),
            ("python", settings.python.clone().into_os_string()),
            ("state_dir", state.clone().into_os_string()),
        ]);
        let mut environment = settings.environment.clone();
        // If the agent were switched off here, it would never report that it is ready.
        environment.push((env::SWITCH.into(), "1".into()));
        // Makes a segfault say where it happened, unless the user has set this variable.
        let settled = |(name, _): &(OsString, OsString)| name == FAULT_HANDLER;
        if !environment.iter().any(settled) && std::env::var_os(FAULT_HANDLER).is_none() {
            environment.push((FAULT_HANDLER.into(), "1".into()));
        }
        if settings.callback_errors_degrade {
            environment.push((env::CALLBACK_ERRORS.into(), "degrade".into()));
        }
        environment.push((
            env::PARENT.into(),
            serde_json::to_string(&ProcessId::current())
                .unwrap_or_default()
                .into(),
        ));
        environment.push((env::HOOK_PORT.into(), hook_port.to_string().into()));
        environment.push((env::STATE_DIR.into(), state.into_os_string()));
        let injection = Injection {
            mode: settings.inject,
            name: None,
            explain: false,
            library_pools: settings.library_pools,
            pid: None, // LIVEGUI_PARENT says as much
            carrier: &settings.carrier,
        };
        let path = pythonpath(&environment);
        environment.extend(injection.environment(path.as_deref()));
        let launch = Launch {
            command: settings.command.fill(&values),
            environment,
            mark: (env::RUN_DIR, folder.clone().into_os_string()),
            cwd: settings.cwd.clone(),
            folder,
            output_limit: settings.output_limit,
        };
        Ok((launch, hook_port))
    }
}
