//! `livegui run`: its command line and its exit status.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::{Exit, Host, console};
use crate::batch::{self, OutputMode, Request, RunOutcome, StopRequest, Which, parse_timeout};
use crate::command_error::{Error, Result};
use crate::text::Print;

/// The table at the top of `cli.rs`, in short.
const EXIT_STATUS: &str = "Exit status: 0 all passed, 1 tests failed, 2 it cannot run, 3 a batch or tests were lost, \
    64 wrong command line, 130 interrupted";

/// What to run.
#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
#[allow(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct RunArgs {
    /// Names of batches ([tool.livegui.batches.*] in pyproject.toml), or paths; without any, every batch
    #[arg(value_name = "BATCH|PATH")]
    wanted: Vec<String>,
    /// The folder with pyproject.toml; pytest runs in it
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// How long one pytest may take, for example 90s or 20m; overrides the timeout of every batch
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    timeout: Option<Duration>,
    /// Run only tests that match, as with pytest's -k
    #[arg(short, value_name = "EXPRESSION")]
    keyword: Option<String>,
    /// Run only tests with these marks, as with pytest's -m
    #[arg(short, value_name = "MARKS")]
    marks: Option<String>,
    /// Continue the newest run, if it was interrupted
    #[arg(long, conflicts_with_all = ["wanted", "timeout", "keyword", "marks", "last_failed", "list", "python", "pytest"])]
    resume: bool,
    /// Rerun only tests that failed or were lost in the last run
    #[arg(long, conflicts_with = "list")]
    last_failed: bool,
    /// When a pytest dies in the middle of a file, do not run the files after it
    #[arg(long)]
    no_resume_lost: bool,
    /// Show batches, their files and numbers of tests, but run nothing
    #[arg(long)]
    list: bool,
    /// Where run folders go [default: .livegui/batches in the folder of -C]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// The Python that has pytest [default: the one that runs livegui]
    #[arg(long, value_name = "PYTHON")]
    python: Option<String>,
    /// Arguments for every pytest
    #[arg(last = true, value_name = "PYTEST ARGUMENTS")]
    pytest: Vec<String>,
}

/// Runs batches.
pub fn run(arguments: &RunArgs, out: &mut dyn Print, host: &mut Host<'_>) -> Result<Exit> {
    let python = arguments.python.as_ref().unwrap_or(&host.python);
    if python.is_empty() {
        let what = "which Python is to run pytest? Say so with --python";
        return Err(Error::BadValue(what.to_owned()));
    }
    let request = request(arguments, python);
    let mut signals = Signals::listen()?;
    let mut stop_request = || signals.stop_request(&mut *host.go_on);
    if arguments.list {
        let all = batch::list(&request, out, &mut stop_request)?;
        return Ok(if all { Exit::Ok } else { Exit::Lost });
    }
    batch::run(&request, out, &mut stop_request).map(exit)
}

fn request(arguments: &RunArgs, python: &str) -> Request {
    let selection = [("-k", &arguments.keyword), ("-m", &arguments.marks)];
    let selection = selection.into_iter().filter_map(|(option, text)| {
        let text = text.as_ref()?;
        Some([option.to_owned(), text.clone()])
    });
    Request {
        root: arguments.root.clone(),
        run_dir: arguments.run_dir.clone(),
        wanted: arguments.wanted.clone(),
        python: python.to_owned(),
        timeout: arguments.timeout,
        extra: selection
            .flatten()
            .chain(arguments.pytest.iter().cloned())
            .collect(),
        narrowed: arguments.keyword.is_some() || arguments.marks.is_some() || !arguments.pytest.is_empty(),
        which: match (arguments.resume, arguments.last_failed) {
            (true, _) => Which::Unfinished,
            (_, true) => Which::Failed,
            _ => Which::All,
        },
        resume_lost: !arguments.no_resume_lost,
        output: OutputMode {
            bar: io::stderr().is_terminal(),
            colour: console::takes_colour(),
        },
    }
}

const fn exit(outcome: RunOutcome) -> Exit {
    match outcome {
        RunOutcome::Passed => Exit::Ok,
        RunOutcome::Failed => Exit::Unwell,
        RunOutcome::NothingRan => Exit::Unreachable,
        RunOutcome::Lost => Exit::Lost,
        RunOutcome::Interrupted => Exit::Interrupted,
    }
}

/// Reports what asks the run to end: a signal, on Windows Ctrl-Break or a closing console. Ctrl-C comes from the
/// host, which has installed a handler for it. The host has no handler for the others: they would end this process
/// at once, and leave the pytests to clean up after themselves.
struct Signals {
    terminated: Arc<AtomicBool>,
    interrupts: u32,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let terminated = Arc::new(AtomicBool::new(false));
        console::on_end(&terminated)?;
        Ok(Self {
            terminated,
            interrupts: 0,
        })
    }

    fn stop_request(&mut self, go_on: &mut dyn FnMut() -> bool) -> StopRequest {
        self.interrupts += u32::from(!go_on());
        match self.interrupts {
            _ if self.terminated.load(Ordering::Relaxed) => StopRequest::Now,
            0 => StopRequest::None,
            1 => StopRequest::AfterTest,
            _ => StopRequest::Now,
        }
    }
}
