//! What a run left behind: the processes in its record, and whether they still run.

use std::ffi::OsString;
use std::path::Path;

use super::process::end_left_over;
use super::run_record;
use crate::file_url::text_path;
use crate::process::{Liveness, liveness};
use crate::wire::{GenerationRecord, GenerationState, ProcessId, env};

/// The state in which a process was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverState {
    /// It no longer runs, and was not ended in good health.
    Dead,
    /// It runs, but is not fit to be tested.
    Degraded,
    /// It runs.
    Running,
}

/// A process that a run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its process id.
    pub pid: u32,
    /// The state in which it was left.
    pub state: LeftoverState,
    /// Why it is in that state, as far as the record says.
    pub why: Option<String>,
    process: Option<ProcessId>,
    folder: OsString,
}

impl Leftover {
    /// Ends it and everything that it started, if it runs. Returns the pids that still exist; there should be none.
    #[must_use]
    pub fn end(&self) -> Vec<u32> {
        end_left_over(self.process.as_ref(), (env::RUN_DIR, &self.folder))
    }
}

/// What the run in `folder` left behind: everything that still runs, and the last process under test if that ended
/// badly. A pid that now belongs to another process does not count.
#[must_use]
pub fn leftovers_of(folder: &Path) -> Vec<Leftover> {
    let generations = run_record::read(folder).unwrap_or_default().generations;
    let tested = |record: &&GenerationRecord| record.state.was_tested();
    let last = generations.iter().rfind(tested).map(|record| record.generation);
    generations
        .iter()
        .filter_map(|record| how_left(record, Some(record.generation) == last))
        .collect()
}

fn how_left(record: &GenerationRecord, is_last: bool) -> Option<Leftover> {
    let runs = liveness(record.process.as_ref()) == Liveness::Alive;
    let state = match record.state {
        GenerationState::Degraded | GenerationState::Unreachable if runs => LeftoverState::Degraded,
        _ if runs => LeftoverState::Running,
        GenerationState::Ended | GenerationState::Starting | GenerationState::Ready => return None,
        _ if is_last => LeftoverState::Dead,
        _ => return None,
    };
    Some(Leftover {
        pid: record.pid,
        state,
        why: record.why.clone(),
        process: record.process.clone(),
        folder: text_path(&record.folder).into_os_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::harness::write_record;
    use crate::wire::{RUN_FILE, RUN_SCHEMA, RunRecord};

    fn sleeper(folder: &str) -> Child {
        let mut command = Command::new(if cfg!(windows) { "ping" } else { "sleep" });
        command.args(if cfg!(windows) {
            vec!["-n", "60", "127.0.0.1"]
        } else {
            vec!["60"]
        });
        command.env(env::RUN_DIR, folder).spawn().unwrap()
    }

    fn generation(pid: u32, process: Option<ProcessId>, state: GenerationState) -> GenerationRecord {
        GenerationRecord {
            generation: 1,
            pid,
            process,
            folder: "of this test".to_owned(),
            state,
            why: Some("main_loop_crashed: boom".to_owned()),
            ..GenerationRecord::default()
        }
    }

    fn left_of(generations: Vec<GenerationRecord>) -> Vec<Leftover> {
        let folder = tempfile::tempdir().unwrap();
        let record = RunRecord {
            schema: RUN_SCHEMA.to_owned(),
            generations,
            ..RunRecord::default()
        };
        write_record(folder.path(), RUN_FILE, &record).unwrap();
        leftovers_of(folder.path())
    }

    #[test]
    fn a_process_that_still_runs_is_seen_and_ended() {
        let mut child = sleeper("of this test");
        let process = ProcessId::of(child.id());
        let left = left_of(vec![generation(
            child.id(),
            process.clone(),
            GenerationState::Degraded,
        )]);
        assert_eq!(left[0].state, LeftoverState::Degraded);
        assert!(left[0].end().is_empty());
        child.wait().unwrap();
        let left = left_of(vec![generation(child.id(), process, GenerationState::Degraded)]);
        assert_eq!((left.len(), left[0].state), (1, LeftoverState::Dead));
    }

    #[test]
    fn somebody_else_who_was_given_the_pid_is_left_alone() {
        let mut child = sleeper("of somebody else");
        let mut another = ProcessId::of(child.id()).unwrap();
        another.start = another.start.map(|start| start - 1);
        let left = left_of(vec![generation(child.id(), Some(another), GenerationState::Ok)]);
        assert_eq!(left[0].state, LeftoverState::Dead);
        assert!(left[0].end().is_empty());
        assert!(child.try_wait().unwrap().is_none(), "it was ended");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_record_of_an_older_version_or_an_empty_folder_ends_nobody() {
        let mut child = sleeper("");
        let older = GenerationRecord {
            folder: String::new(),
            ..generation(child.id(), None, GenerationState::Ok)
        };
        let left = left_of(vec![older]);
        assert!(left[0].end().is_empty());
        assert!(child.try_wait().unwrap().is_none(), "it was ended");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_was_ended_in_good_health_is_not_left() {
        assert!(left_of(vec![generation(u32::MAX - 1, None, GenerationState::Ended)]).is_empty());
        assert!(leftovers_of(Path::new("no such folder")).is_empty());
    }
}
