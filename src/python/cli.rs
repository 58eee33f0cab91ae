//! The command line, called by the wheel's script.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use pyo3::prelude::*;

use super::check_signals;

use crate::agent::{Arguments, Settings};
use crate::cli::{self, Host, Variables};

/// Runs `livegui` with these words, the first of which is its name. Returns the exit status.
#[pyfunction]
#[pyo3(signature = (words, carrier=None))]
pub fn run_cli(py: Python<'_>, words: Vec<OsString>, carrier: Option<PathBuf>) -> PyResult<i32> {
    let python = py
        .import("sys")?
        .getattr("executable")?
        .extract::<Option<String>>()?;
    let mut interrupted = None;
    let exit = py.detach(|| {
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        let mut host = Host {
            python: python.unwrap_or_default(),
            carrier,
            accepts,
            go_on: &mut || match check_signals() {
                Ok(()) => true,
                Err(error) => {
                    interrupted = Some(error);
                    false
                }
            },
        };
        let exit = cli::run(&words, &mut out, &mut err, &mut host);
        let _ = out.flush();
        exit
    });
    match interrupted {
        Some(error) if !error.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) => Err(error),
        _ => Ok(exit.code()),
    }
}

/// Whether an agent would start with these.
fn accepts(app: &str, variable: &Variables<'_>) -> Result<(), String> {
    let settings = Settings::resolve(app, Arguments::default(), variable);
    settings.map(drop).map_err(|error| error.to_string())
}
