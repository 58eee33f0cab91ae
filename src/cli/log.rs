//! `livegui log`: the heartbeat log for a person.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Exit, LogArgs, plot};
use crate::runtime_dir::open_to_read;
use crate::text::Print;
use crate::wire::{JOURNAL_FILE, JournalLine};

/// How often to check a followed file for new lines.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shows the log, follows it, draws it.
pub fn run(arguments: &LogArgs, out: &mut dyn Print, go_on: &mut dyn FnMut() -> bool) -> io::Result<Exit> {
    let path = if arguments.path.is_dir() {
        arguments.path.join(JOURNAL_FILE)
    } else {
        arguments.path.clone()
    };
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if let Some(picture) = &arguments.svg {
        let lines = read_all(&path).map_err(named)?;
        fs::write(picture, plot::draw(&lines)?).map_err(|error| {
            let shown = picture.display();
            io::Error::new(error.kind(), format!("--svg {shown} cannot be written: {error}"))
        })?;
        writeln!(out, "{}", picture.display())?;
        return Ok(Exit::Ok);
    }
    let mut reader = Tail::open(&path).map_err(named)?;
    loop {
        let mut ended = false;
        for line in reader.new_lines().map_err(named)? {
            ended = matches!(line, JournalLine::End(_));
            out.one_line(&shown(&line))?;
        }
        out.flush()?;
        if !arguments.follow || ended {
            return Ok(Exit::Ok);
        }
        if out.is_broken() {
            return Ok(Exit::Ok);
        }
        if !go_on() {
            return Ok(Exit::Interrupted);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Every line of a journal, beginning with the part that was rotated out. Skips lines that are torn, and kinds of
/// lines that only a newer agent knows.
fn read_all(path: &Path) -> io::Result<Vec<JournalLine>> {
    let mut lines = Vec::new();
    let mut old = path.as_os_str().to_owned();
    old.push(".1");
    if let Ok(old) = open_to_read(&PathBuf::from(old)) {
        lines.extend(
            BufReader::new(old)
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| parse(&line)),
        );
    }
    lines.extend(
        BufReader::new(open_to_read(path)?)
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| parse(&line)),
    );
    Ok(lines)
}

fn parse(line: &str) -> Option<JournalLine> {
    serde_json::from_str(line).ok()
}

/// Reads the lines added since the last call, even across a rotation.
struct Tail {
    path: PathBuf,
    at: u64,
    rest: String,
}

impl Tail {
    fn open(path: &Path) -> io::Result<Self> {
        open_to_read(path)?;
        Ok(Self {
            path: path.to_owned(),
            at: 0,
            rest: String::new(),
        })
    }

    fn new_lines(&mut self) -> io::Result<Vec<JournalLine>> {
        let mut file = match open_to_read(&self.path) {
            // The file was rotated just now; the new one is about to appear.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.at > 0 => return Ok(Vec::new()),
            opened => opened?,
        };
        if file.metadata()?.len() < self.at {
            self.at = 0;
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = Vec::new();
        self.at += file.read_to_end(&mut bytes)? as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        let Some((whole, torn)) = self.rest.rsplit_once('\n') else {
            return Ok(Vec::new());
        };
        let lines = whole.lines().filter_map(parse).collect();
        self.rest = torn.to_owned();
        Ok(lines)
    }
}

/// As one line, whatever its text contains.
fn shown(line: &JournalLine) -> String {
    match line {
        JournalLine::Header(header) => {
            format!(
                "{} (pid {}), started {}",
                header.app, header.pid, header.started_at
            )
        }
        JournalLine::Beats(beats) => {
            let mut text = format!(
                "{}  {:<9} {:>5} beats",
                time(beats.t_ms),
                beats.status,
                beats.beats
            );
            if let Some(frames) = &beats.frame_ms {
                let _ = write!(
                    text,
                    "  p50 {:7.1} ms  p99 {:7.1} ms  max {:7.1} ms",
                    frames.p50, frames.p99, frames.max
                );
            }
            if beats.dropped > 0 {
                let _ = write!(text, "  ({} lines lost)", beats.dropped);
            }
            text
        }
        JournalLine::Transition(transition) => {
            let mut text = format!(
                "{}  {:<9} {}",
                time(transition.t_ms),
                transition.status,
                transition.event
            );
            if let Some(caught) = &transition.exception {
                let _ = write!(
                    text,
                    "  {} [{}]: {} at {}",
                    caught.count, caught.source, caught.message, caught.place
                );
            }
            if let Some(reason) = &transition.reason {
                let _ = write!(
                    text,
                    "  {} [{}]: {}",
                    reason.code, reason.component, reason.message
                );
            }
            text
        }
        JournalLine::End(end) if end.end == "clean" => format!("{}  clean end", time(end.t_ms)),
        JournalLine::End(end) => format!("{}  {}", time(end.t_ms), end.end),
    }
}

fn time(t_ms: u64) -> String {
    format!("{:>10.3} s", Duration::from_millis(t_ms).as_secs_f64())
}
