//! The command line of `livegui`. In the wheel, a script of that name passes its arguments on to `run`.
//!
//! | exit status | of `run` | of `audit` | of `health` | of `log` |
//! |---|---|---|---|---|
//! | 0 | all tests passed | nothing was found | the app is `ok` | shown |
//! | 1 | tests failed, all that were to run did | a test depends on hidden state, is flaky or crashes the app | it is not | – |
//! | 2 | it cannot run: bad configuration, or no test is selected | pytest or the app cannot be run | it cannot be asked | there is no such journal, or the picture cannot be written |
//! | 3 | a batch or tests were lost: they did not run, or nobody knows how they ended | – | – | – |
//! | 64 | the command line is wrong | the same | the same | the same |
//! | 130 | interrupted | the same: what is known so far is shown and kept | the same | the same |
//!
//! If several are true of a run: 130, otherwise 3, otherwise 1. `targets`: 1 if apps were left out, 2 if it cannot
//! write. `exec`: the app's own exit status, or 2 if the app cannot be run.

mod audit;
mod console;
mod describe;
mod exec;
mod health;
mod log;
mod plot;
mod report;
mod run;
mod serve;
mod targets;
mod top;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command_error::Error;
use crate::harness::{GUARD, guard};
use crate::text::{Print, Screen};

/// A crashed GUI never poisons the next test file.
#[derive(Debug, Parser)]
#[command(name = "livegui", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask the agent of an app, or of all apps, for the app's health
    Health(HealthArgs),
    /// Run an unchanged app with an agent inside it
    Exec(exec::ExecArgs),
    /// Show the heartbeat log of an app, whether it still runs or not
    Log(LogArgs),
    /// Run batches of tests, each in its own pytest
    Run(run::RunArgs),
    /// Watch all apps of this user, in the terminal
    Top(top::TopArgs),
    /// Tell Prometheus where the agents of this user's apps are
    Targets(targets::TargetsArgs),
    /// Show what happened in a run: as a page for a browser, or as a trace for Perfetto
    Report(report::ReportArgs),
    /// Print the JSON Schema of a file that livegui writes
    Schema(describe::SchemaArgs),
    /// Print a shell's completion script for livegui
    Completions(describe::CompletionsArgs),
    /// Print the man page
    Man,
    /// Kill what the process that starts this leaves behind if it is killed; only livegui itself starts this
    #[command(name = GUARD, hide = true)]
    Guard,
    /// Find live test files that depend on state an earlier file left in the app
    Audit(audit::AuditArgs),
}

/// Which app to ask.
#[derive(Debug, Args)]
struct HealthArgs {
    /// A run folder, a discovery file, or http://127.0.0.1:PORT; without it, every app of this user
    target: Option<String>,
    /// The token for /health, if the target is a URL
    #[arg(long, env = "LIVEGUI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

/// What to show.
#[derive(Debug, Args)]
struct LogArgs {
    /// A journal (heartbeat.jsonl), or a folder that has one
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Keep printing new lines as they come, until the clean end
    #[arg(short, long)]
    follow: bool,
    /// Write a picture of frame times and episodes
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// The value of an environment variable, if it is set.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The program that runs the command line.
pub struct Host<'a> {
    /// The Python interpreter that runs livegui and pytest.
    pub python: String,
    /// The folder that makes a Python watch for a main loop even if livegui is not installed in it.
    pub carrier: Option<PathBuf>,
    /// Whether the agent of an app with this name and these variables would start; otherwise what it would refuse.
    pub accepts: fn(&str, &Variables<'_>) -> Result<(), String>,
    /// A command that waits asks this a few times a second whether to go on. It returns `false` once for each
    /// Ctrl-C.
    pub go_on: &'a mut dyn FnMut() -> bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok,
    /// The answer is that something is not well.
    Unwell,
    /// It could not be asked, found, written or started.
    Unreachable,
    /// Something did not run to its end.
    Lost,
    /// The command line is wrong.
    Usage,
    /// The user ended it.
    Interrupted,
    /// With the exit status of the app that was run.
    #[cfg(not(unix))]
    Of(i32),
}

impl Exit {
    /// Which end of a command an error means.
    const fn of(error: &Error) -> Self {
        match error {
            Error::Interrupted => Self::Interrupted,
            Error::BadValue(_) | Error::NotFound(_) | Error::Program(_) | Error::Io(_) | Error::System(_) => {
                Self::Unreachable
            }
        }
    }

    /// The exit status of the process.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::Unwell => 1,
            Self::Unreachable => 2,
            Self::Lost => 3,
            Self::Usage => 64,
            Self::Interrupted => 130,
            #[cfg(not(unix))]
            Self::Of(code) => code,
        }
    }
}

/// Runs the command line `words`; the first word is the program's name.
pub fn run(words: &[OsString], out: &mut dyn Write, err: &mut dyn Write, host: &mut Host<'_>) -> Exit {
    let (out, err) = (&mut Screen::new(out), &mut Screen::new(err));
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            let to: &mut dyn Print = if error.use_stderr() { err } else { out };
            let _ = write!(to, "{error}");
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    let done = match &cli.command {
        Command::Health(arguments) => health::run(arguments, out).map_err(Error::from),
        Command::Exec(arguments) => exec::run(arguments, err, host),
        Command::Log(arguments) => log::run(arguments, out, host.go_on).map_err(Error::from),
        Command::Run(arguments) => run::run(arguments, out, host),
        Command::Report(arguments) => report::run(arguments, out, host),
        Command::Targets(arguments) => targets::run(arguments, out, err, host).map_err(Error::from),
        Command::Top(arguments) => top::run(arguments, out, host).map_err(Error::from),
        Command::Schema(arguments) => describe::schema(arguments, out).map_err(Error::from),
        Command::Completions(arguments) => describe::completions(arguments, out).map_err(Error::from),
        Command::Man => describe::man(out).map_err(Error::from),
        Command::Guard => guard().map(|()| Exit::Ok).map_err(Error::from),
        Command::Audit(arguments) => audit::run(arguments, out, err, host),
    };
    done.unwrap_or_else(|error| {
        let exit = Exit::of(&error);
        if exit != Exit::Interrupted {
            let _ = writeln!(err, "livegui: {error}");
        }
        exit
    })
}
