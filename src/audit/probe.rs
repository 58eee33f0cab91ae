//! What is asked before and after the experiments: pytest what tests there are, Python where marks go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::marks::Outline;
use super::setup::Setup;
use crate::command_error::{Error, Result};
use crate::harness::{CommandLine, Exit, PytestLaunch, PytestProcess};
use crate::io_error::cannot;

/// How often an answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of a pytest's output that an error shows.
const TAIL_LINES: usize = 15;
/// Tells the plugin in the probing pytest where to write to.
const PROBE: &str = "LIVEGUI_AUDIT_PROBE";

/// What the plugin in a probing pytest tells.
#[derive(Debug, Deserialize)]
pub struct Probe {
    /// Node ids of the live tests, in the suite's order.
    pub tests: Vec<String>,
    rootdir: PathBuf,
    /// The app's command line; empty if a fixture makes it up.
    pub command: String,
    options: Vec<String>,
}

impl Probe {
    /// Whether the app can run beside another of its kind: what the test side asks for before it keeps spares.
    pub fn beside_itself(&self) -> bool {
        CommandLine::parse(&self.command).is_ok_and(|command| command.uses("hook_port"))
    }

    /// Options against plugins that would run tests elsewhere, or again.
    pub fn options(&self) -> Vec<String> {
        let against = [
            ("numprocesses", "--numprocesses=0"),
            ("reruns", "--reruns=0"),
            ("no_cov", "--no-cov"),
        ];
        let known = against
            .iter()
            .filter(|(name, _)| self.options.iter().any(|option| option == name));
        known.map(|(_, option)| (*option).to_owned()).collect()
    }
}

/// What is to be known of the suite before it is run, from a pytest that only collects.
pub fn probe(setup: &Setup, folder: &Path, go_on: &mut dyn FnMut() -> bool) -> Result<Probe> {
    let answer = folder.join("probe.json");
    let mut command = setup.pytest();
    command.push("--collect-only".to_owned());
    command.extend(setup.arguments.iter().chain(&setup.paths).cloned());
    let suite = PytestProcess::start(&PytestLaunch {
        command,
        environment: vec![(PROBE.to_owned(), answer.display().to_string())],
        cwd: setup.root.clone(),
        folder: folder.to_owned(),
    })?;
    let began = Instant::now();
    while suite.wait(LOOK_EVERY).is_none() {
        if !go_on() {
            suite.end();
            return Err(Error::Interrupted);
        }
        if began.elapsed() > setup.timeout {
            break;
        }
    }
    let status = suite.wait(Duration::ZERO);
    suite.end();
    let probe = fs::read(&answer)
        .ok()
        .and_then(|text| serde_json::from_slice::<Probe>(&text).ok());
    // 5: it found none, or we deselected them all.
    let collected = status
        .and_then(Exit::code)
        .is_some_and(|code| code == 0 || code == 5);
    let Some(probe) = probe.filter(|_| collected) else {
        let said = tail(&suite.stdout()).or_else(|| tail(&suite.stderr()));
        return Err(Error::Program(format!(
            "pytest cannot collect the tests; it says:\n{}",
            said.unwrap_or_default()
        )));
    };
    if probe.tests.is_empty() {
        return Err(Error::NotFound(format!(
            "no test in {} uses live_gui: there is nothing to audit",
            if setup.paths.is_empty() {
                setup.root.display().to_string()
            } else {
                setup.paths.join(", ")
            }
        )));
    }
    if fs::canonicalize(&probe.rootdir).ok() != fs::canonicalize(&setup.root).ok() {
        return Err(Error::BadValue(format!(
            "the suite's root is {}, not {}: give it with --root",
            probe.rootdir.display(),
            setup.root.display()
        )));
    }
    Ok(probe)
}

/// Where marks go in these files: an outline each, by file.
///
/// # Errors
/// [`Error::Io`] if Python cannot be asked, [`Error::Program`] if it gives no answer.
pub fn outlines(python: &Path, root: &Path, files: &[&str]) -> Result<BTreeMap<String, Outline>> {
    let asked = Command::new(python)
        .args(["-m", "livegui._outline"])
        .args(files)
        .current_dir(root)
        .output();
    let output = asked.map_err(cannot(format!("start {}", python.display())))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Error::Program(format!("could not parse the test files: {said}"))
    })
}

/// The last lines of a file, if it has any.
pub fn tail(path: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
    let lines: Vec<_> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    (!lines.is_empty()).then(|| lines[from..].join("\n"))
}
