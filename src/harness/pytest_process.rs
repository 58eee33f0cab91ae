//! One pytest process, followed from outside, for the batch runner and the audit.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Result;
use super::events::{EventReader, ask_to_stop};
use super::guard::Guard;
use super::output::DEFAULT_LIMIT;
use super::process::{GRACE, Launch, ProcessTree, STDERR, STDOUT};
use crate::io_error::cannot;
use crate::process::{Exit, ProcessId};
use crate::wire::{EVENTS_FILE, EventLine, env};

/// The variable for the encoding of a Python's standard streams.
const ENCODING: &str = "PYTHONIOENCODING";

/// How to start a pytest.
#[derive(Debug, Clone)]
pub struct PytestLaunch {
    /// The command line: a Python, `-m pytest`, and what to run.
    pub command: Vec<OsString>,
    /// Variables to add to the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The working folder.
    pub cwd: PathBuf,
    /// The folder for its output and its events. It must exist, be empty, and belong to this pytest alone.
    pub folder: PathBuf,
}

/// A pytest that was started.
#[derive(Debug)]
pub struct PytestProcess {
    process: ProcessTree,
    /// The guard of this process, for a pytest that does not get to watch this process itself.
    _guard: Option<Guard>,
    events: EventReader,
    events_file: PathBuf,
}

impl PytestProcess {
    /// Starts it. Its output goes to files in its folder, so nothing waits for a reader.
    ///
    /// # Errors
    /// [`Error::Io`](super::error::Error::Io) if it cannot be started.
    pub fn start(launch: &PytestLaunch) -> Result<Self> {
        let folder = std::path::absolute(&launch.folder).map_err(cannot("find the folder"))?;
        let events_file = folder.join(EVENTS_FILE);
        let what = launch.command.first().cloned().unwrap_or_default();
        // We may be running in a test of a pytest that is itself followed.
        let inherited = [env::FOLLOWED, env::ONLY].map(|name| (name.into(), OsString::new()));
        let mut environment = inherited.to_vec();
        environment.extend(launch.environment.iter().cloned());
        // Its output is read as UTF-8, but into a file Windows' Python writes the code page of the system.
        let settled =
            std::env::var_os(ENCODING).is_some() || environment.iter().any(|(name, _)| name == ENCODING);
        if cfg!(windows) && !settled {
            environment.push((ENCODING.into(), "utf-8".into()));
        }
        // It ends itself if the process that follows it is killed.
        environment.push((
            env::PARENT.into(),
            serde_json::to_string(&ProcessId::current())
                .unwrap_or_default()
                .into(),
        ));
        let mark = (env::EVENTS, events_file.clone().into_os_string());
        let guard = Guard::start(Path::new(&what));
        if let Some(guard) = &guard {
            guard.watch((mark.0, &mark.1));
        }
        let process = ProcessTree::start(&Launch {
            command: launch.command.clone(),
            environment,
            // Its apps and their helpers have it as well.
            mark,
            cwd: launch.cwd.clone(),
            folder,
            output_limit: DEFAULT_LIMIT,
        });
        Ok(Self {
            process: process.map_err(cannot(format!("start {}", what.display())))?,
            _guard: guard,
            events: EventReader::new(events_file.clone()),
            events_file,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.process.id()
    }

    /// The events since the last call. A line that is not complete yet comes with the next call.
    pub fn events(&mut self) -> Vec<EventLine> {
        self.events.read().unwrap_or_default()
    }

    /// Its exit status, once it has one. Waits at most `limit` for it.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Exit> {
        self.process.wait(limit)
    }

    /// Asks it to end after the running test.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn ask_to_stop(&self) -> io::Result<()> {
        ask_to_stop(&self.events_file)
    }

    /// Asks it to end now, as Ctrl-C does. pytest then cleans up and reports what it has.
    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    /// Ends it and everything that it started, and makes sure that they are gone. Returns the pids that still
    /// exist; there should be none.
    pub fn end(&self) -> Vec<u32> {
        let runs = self.process.exit().is_none();
        self.process.end_tree(runs.then_some(GRACE))
    }

    /// The file with its standard output.
    #[must_use]
    pub fn stdout(&self) -> PathBuf {
        self.folder().join(STDOUT)
    }

    /// The file with its standard error.
    #[must_use]
    pub fn stderr(&self) -> PathBuf {
        self.folder().join(STDERR)
    }

    /// The last lines that it wrote to standard error.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.process.stderr_tail()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.process.folder()
    }
}
