//! Queries before and after the experiments: pytest for the tests, Python for the places of marks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::marks::Outline;
use super::setup::Setup;
use crate::command_error::{Error, Result};
use crate::file_url::text_path;
use crate::harness::{CommandLine, Exit, PytestLaunch, PytestProcess};
use crate::io_error::cannot;
use crate::wire::Event;

/// How often to check for an answer.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many lines of a pytest's output an error shows.
const TAIL_LINES: usize = 15;
/// Tells the plugin in the probing pytest which file to write.
const PROBE: &str = "LIVEGUI_AUDIT_PROBE";

/// The answer of the plugin in a probing pytest.
#[derive(Debug, Deserialize)]
pub struct Probe {
    /// Node ids of the live tests, in the suite's order.
    pub tests: Vec<String>,
    /// The app's command line; empty if a fixture computes it.
    pub command: String,
    options: Vec<String>,
}

impl Probe {
    /// Whether two instances of the app can run at the same time, which is also the condition for spares.
    pub fn beside_itself(&self) -> bool {
        CommandLine::parse(&self.command).is_ok_and(|command| command.uses("hook_port"))
    }

    /// Options against plugins that would run tests elsewhere, or repeat them.
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

/// What the audit must know about the suite before it runs, from a pytest that only collects.
pub fn probe(setup: &Setup, folder: &Path, go_on: &mut dyn FnMut() -> bool) -> Result<Probe> {
    let answer = folder.join("probe.json");
    let mut command = setup.pytest();
    command.push("--collect-only".into());
    command.extend(setup.arguments.iter().chain(&setup.paths).map(Into::into));
    let mut suite = PytestProcess::start(&PytestLaunch {
        command,
        environment: vec![(PROBE.into(), answer.clone().into_os_string())],
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
    let root = suite.events().into_iter().find_map(|line| match line.event {
        Event::SessionStarted { root, .. } => Some(text_path(&root)),
        _ => None,
    });
    let probe = fs::read(&answer)
        .ok()
        .and_then(|text| serde_json::from_slice::<Probe>(&text).ok());
    // 5 means that it found no tests, or that we deselected them all.
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
    if let Some(root) = root.filter(|root| fs::canonicalize(root).ok() != fs::canonicalize(&setup.root).ok())
    {
        return Err(Error::BadValue(format!(
            "the suite's root is {}, not {}: give it with --root",
            root.display(),
            setup.root.display()
        )));
    }
    Ok(probe)
}

/// The outline of each of these files, which shows where marks go.
///
/// # Errors
/// [`Error::Io`] if Python cannot be run, [`Error::Program`] if it gives no answer.
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

/// The last lines of a file, if there are any.
pub fn tail(path: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
    let lines: Vec<_> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    (!lines.is_empty()).then(|| lines[from..].join("\n"))
}
