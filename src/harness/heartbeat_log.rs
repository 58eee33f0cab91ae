//! Reads the end of an app's heartbeat log, for what the app said last and nobody heard.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::wire::{JournalLine, Reason};

/// How many bytes at the end of a heartbeat log are read.
const TAIL: u64 = 128 * 1024;

/// The last lines of a heartbeat log, and when the last one was written. Lines that cannot be read are left out.
pub fn last_lines(log: &Path) -> Option<(Vec<JournalLine>, SystemTime)> {
    // Opening anything else could block.
    let about = fs::metadata(log).ok().filter(fs::Metadata::is_file)?;
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(about.len().saturating_sub(TAIL)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    Some((lines, about.modified().ok()?))
}

/// The last line of a heartbeat log in words, and its age.
pub fn last_seen(log: &Path) -> Option<String> {
    let (lines, written) = last_lines(log)?;
    let age = SystemTime::now()
        .duration_since(written)
        .unwrap_or(Duration::ZERO);
    Some(format!(
        "{:.1} s ago: {}",
        age.as_secs_f64(),
        in_words(lines.last()?)
    ))
}

/// The reasons that still held at the end of these lines, oldest first.
pub fn open_reasons(lines: Vec<JournalLine>) -> Vec<Reason> {
    let mut open: Vec<Reason> = Vec::new();
    for line in lines {
        match line {
            // The app started again, with episodes of its own.
            JournalLine::Header(_) => open.clear(),
            JournalLine::Transition(change) => {
                let Some(reason) = change.reason else { continue };
                open.retain(|known| known.episode != reason.episode);
                if change.event == "opened" {
                    open.push(reason);
                }
            }
            JournalLine::Beats(_) | JournalLine::End(_) => {}
        }
    }
    open
}

fn in_words(line: &JournalLine) -> String {
    match line {
        JournalLine::Header(_) => "it had just started".to_owned(),
        JournalLine::Beats(beats) => match &beats.frame_ms {
            Some(frame) => format!(
                "{}, {} beats since the line before, {:.0} ms apart at most",
                beats.status, beats.beats, frame.max
            ),
            None => format!("{}, no beat since the line before", beats.status),
        },
        JournalLine::Transition(change) => match (&change.reason, &change.exception) {
            (Some(reason), _) => format!("{}, {} {}", change.status, change.event, reason.line()),
            (None, Some(caught)) => format!("{}, caught {}", change.status, caught.message),
            (None, None) => format!("its status became {}", change.status),
        },
        JournalLine::End(end) => format!("the agent ended: {}", end.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_that_hold_at_the_end_are_those_that_were_not_closed_since_the_last_start() {
        let header =
            r#"{"schema": "livegui/journal/1", "pid": 7, "app": "a", "instance": "i", "started_at": ""}"#;
        let change = |event: &str, episode: u64| {
            format!(
                r#"{{"t_ms": 9, "event": "{event}", "status": "degraded", "reason": {{"code": "c{episode}",
                "component": "main_loop", "recoverable": false, "episode": {episode}, "since_ms": 0,
                "message": ""}}}}"#
            )
            .replace('\n', "")
        };
        let open_after = |lines: &[String]| {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("log");
            std::fs::write(&log, lines.join("\n")).unwrap();
            let reasons = open_reasons(last_lines(&log).unwrap().0);
            reasons.into_iter().map(|reason| reason.code).collect::<Vec<_>>()
        };
        let end = r#"{"t_ms": 10, "end": "clean"}"#;
        let two = [header.to_owned(), change("opened", 1), change("opened", 2)];
        assert_eq!(open_after(&two), ["c1", "c2"]);
        let one = [
            &two[..],
            &[change("closed", 1), end.to_owned(), "torn {".to_owned()],
        ]
        .concat();
        assert_eq!(open_after(&one), ["c2"]);
        let anew = [&two[..], &[header.to_owned()]].concat();
        assert_eq!(open_after(&anew), [""; 0]);
    }
}
