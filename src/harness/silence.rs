//! Explains why an agent does not answer although its process lives, and what the app was last seen doing.

use std::path::Path;

use super::heartbeat_log::last_seen;
use super::process::ProcessTree;
use crate::process::{Condition, State, condition};
use crate::wire::JOURNAL_FILE;

/// The beginning of the names of an agent's threads.
const AGENT_THREADS: &str = "livegui-";
/// The name of the thread that answers; Linux keeps 15 characters of a name.
const ANSWERS: &str = "livegui-endpoin";

/// Describes an app whose agent does not answer. The first line says why, if that can be seen; otherwise it is
/// `why`, the result of the query. The second line describes the state of its process.
pub fn describe(process: &ProcessTree, why: &str) -> String {
    let pid = process.pid();
    let Some(condition) = condition(pid) else {
        return why.to_owned();
    };
    let first = reason(&condition, pid).map_or_else(|| why.to_owned(), |reason| format!("{reason} ({why})"));
    format!(
        "{first}\n  its process is {}",
        doing(&condition, process.folder())
    )
}

/// Describes the process of an app whose agent answers but whose main loop hangs.
pub fn of_a_loop(process: &ProcessTree) -> Option<String> {
    let condition = condition(process.pid())?;
    Some(format!("its process is {}", doing(&condition, process.folder())))
}

/// Why nothing in the process can answer.
fn reason(condition: &Condition, pid: u32) -> Option<String> {
    match condition.state {
        State::Stopped => {
            return Some(format!(
                "its process is stopped; `kill -CONT {pid}` lets it go on"
            ));
        }
        State::Traced => {
            let by = condition.debugger.as_deref().unwrap_or("a debugger");
            return Some(format!("its process is held by a debugger: {by}"));
        }
        State::Ended => return Some("its process has ended".to_owned()),
        State::Running | State::Sleeping | State::Uninterruptible | State::Alive => {}
    }
    if let Some((resident, swapped)) = condition.memory.filter(|(resident, swapped)| swapped > resident) {
        let (swapped, all) = (megabytes(swapped), megabytes(resident + swapped));
        return Some(format!(
            "most of its memory is swapped out ({swapped} of {all} MB)"
        ));
    }
    let threads = condition.threads.as_ref()?;
    let has = |prefix: &str| threads.iter().any(|name| name.starts_with(prefix));
    if !has(AGENT_THREADS) {
        return Some("its agent's threads are gone, though the process lives".to_owned());
    }
    (!has(ANSWERS)).then(|| "the thread of its agent that answers has died".to_owned())
}

fn doing(condition: &Condition, folder: &Path) -> String {
    let mut doing = format!(
        "{}, {:.1} s of CPU time so far",
        condition.state.describe(),
        condition.cpu.as_secs_f64()
    );
    if let Some(by) = &condition.debugger {
        doing = format!("{doing}, debugged by {by}");
    }
    match last_seen(&folder.join(JOURNAL_FILE)) {
        Some(seen) => format!("{doing}\n  last heartbeat log line, {seen}"),
        None => doing,
    }
}

const fn megabytes(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(state: State) -> Condition {
        Condition {
            state,
            cpu: Duration::from_millis(1230),
            debugger: None,
            memory: Some((200 << 20, 0)),
            threads: Some(vec![
                "python".to_owned(),
                "livegui-monitor".to_owned(),
                ANSWERS.to_owned(),
            ]),
        }
    }

    #[test]
    fn what_keeps_an_agent_from_answering_is_said_in_words() {
        let says = |condition: &Condition| reason(condition, 7).unwrap_or_default();
        assert_eq!(says(&seen(State::Sleeping)), "");
        assert!(says(&seen(State::Stopped)).contains("`kill -CONT 7`"));
        let mut traced = seen(State::Traced);
        traced.debugger = Some("gdb, pid 9".to_owned());
        assert_eq!(says(&traced), "its process is held by a debugger: gdb, pid 9");
        let mut swapped = seen(State::Uninterruptible);
        swapped.memory = Some((10 << 20, 990 << 20));
        assert_eq!(
            says(&swapped),
            "most of its memory is swapped out (990 of 1000 MB)"
        );
        let mut dead = seen(State::Sleeping);
        dead.threads = Some(vec!["python".to_owned(), "livegui-monitor".to_owned()]);
        assert_eq!(says(&dead), "the thread of its agent that answers has died");
        dead.threads = Some(vec!["python".to_owned()]);
        assert!(says(&dead).starts_with("its agent's threads are gone"));
    }

    #[test]
    fn what_an_app_was_last_seen_doing_is_the_last_whole_line_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            doing(&seen(State::Sleeping), folder.path()),
            "sleeping (state S), 1.2 s of CPU time so far"
        );
        let beats = r#"{"t_ms": 9, "status": "ok", "beats": 58, "frame_ms": {"p50": 16.0, "p99": 17.0, "max": 40.2}, "dropped": 0}"#;
        std::fs::write(
            folder.path().join(JOURNAL_FILE),
            format!("x\n{beats}\n{{\"t_ms\": 1"),
        )
        .unwrap();
        let told = doing(&seen(State::Stopped), folder.path());
        assert!(
            told.ends_with("ago: ok, 58 beats since the line before, 40 ms apart at most"),
            "{told}"
        );
    }
}
