//! `livegui report`: what happened in a run, as a page and as a trace.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use super::serve::{parse_port, serve};
use super::{Exit, Host};
use crate::command_error::Result;
use crate::io_error::cannot;
use crate::report::{self, REPORT_FILE};
use crate::text::{Print, line};

/// What to show, and how.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The folder of a run, or its name; without it, the newest run in .livegui and .livegui/batches
    run: Option<PathBuf>,
    /// The folder that contains .livegui
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Write the page into this file [default: report.html in the folder of the run]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a trace for <https://ui.perfetto.dev> and <chrome://tracing>
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Serve the page on 127.0.0.1 while the run goes on; on this port, or on any free one
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", value_parser = parse_port, conflicts_with_all = ["html", "trace"])]
    serve: Option<u16>,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
}

/// Writes what the user asks for.
pub fn run(arguments: &ReportArgs, out: &mut dyn Print, host: &mut Host<'_>) -> Result<Exit> {
    let folder = report::find(arguments.run.as_deref(), &arguments.root)?;
    if let Some(port) = arguments.serve {
        let python = host.python.clone();
        let mut began = |url: &str| {
            if arguments.open {
                open(url, &python)
            } else {
                Ok(())
            }
        };
        serve(&folder, port, out, &mut began, host.go_on)?;
        return Ok(Exit::Interrupted);
    }
    let records = report::read(&folder)?;
    let report = report::build(&records);
    if let Some(file) = &arguments.trace {
        let text = serde_json::to_string(&report::trace(&report)).map_err(io::Error::from)?;
        report::write_whole(file, &text).map_err(cannot(format!("write {}", file.display())))?;
        writeln!(out, "{}", file.display())?;
    }
    if arguments.trace.is_none() || arguments.html.is_some() || arguments.open {
        let file = arguments.html.clone().unwrap_or_else(|| folder.join(REPORT_FILE));
        report::write(&report, &records, &file).map_err(cannot(format!("write {}", file.display())))?;
        writeln!(out, "{}", file.display())?;
        if arguments.open {
            open(&url(&file)?, &host.python)?;
        }
    }
    writeln!(out, "{}", line(&report.sentence))?;
    Ok(Exit::Ok)
}

fn url(file: &Path) -> io::Result<String> {
    Ok(crate::file_url::file_url(&std::path::absolute(file)?))
}

/// Opens the page with Python's `webbrowser`, which knows the browser of every system.
fn open(url: &str, python: &str) -> io::Result<()> {
    let mut command = Command::new(python);
    command
        .args(["-m", "webbrowser", "-t", url])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let done = command
        .status()
        .map_err(|error| io::Error::other(format!("no browser could be started: {error}")))?;
    if done.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "no browser could be started: open {url} by hand"
    )))
}
