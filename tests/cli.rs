//! The command line: what it prints, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use livegui::agent::{Agent, Arguments, Settings};
use livegui::cli::{self, Exit, Host};

const JOURNAL: &str = r#"{"schema":"livegui/journal/1","pid":42,"app":"sloppy","instance":"a","started_at":"2026-06-08T06:00:00.000Z"}
{"t_ms":1000,"status":"ok","beats":60,"frame_ms":{"p50":16.6,"p99":18.1,"max":40.2},"dropped":0}
{"t_ms":1500,"event":"opened","status":"degraded","reason":{"code":"main_loop_crashed","component":"main_loop","recoverable":false,"episode":1,"since_ms":0,"message":"RuntimeError: IM_ASSERT( x )","detail":{}}}
{"t_ms":2000,"status":"degraded","beats":0,"frame_ms":null,"dropped":3}
"#;
const END: &str = "{\"t_ms\":2500,\"end\":\"clean\"}\n";

fn run(words: &[&str]) -> (Exit, String, String) {
    run_while(words, &mut || false)
}

fn run_while(words: &[&str], go_on: &mut dyn FnMut() -> bool) -> (Exit, String, String) {
    let words: Vec<_> = ["livegui"].iter().chain(words).map(OsString::from).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut host = Host {
        python: String::new(),
        carrier: None,
        accepts: |_, _| Ok(()),
        go_on,
    };
    let exit = cli::run(&words, &mut out, &mut err, &mut host);
    (
        exit,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn log_shows_a_journal_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("heartbeat.jsonl"), JOURNAL.to_owned() + END).unwrap();
    let (exit, out, _) = run(&["log", text(folder.path())]);
    assert_eq!(exit, Exit::Ok);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0], "sloppy (pid 42), started 2026-06-08T06:00:00.000Z");
    assert!(lines[1].contains("60 beats") && lines[1].contains("p99    18.1 ms"));
    assert!(lines[2].contains("opened  main_loop_crashed [main_loop]: RuntimeError: IM_ASSERT( x )"));
    assert!(lines[3].contains("3 lines lost"));
    assert!(lines[4].ends_with("clean end"));
}

#[test]
fn log_passes_over_a_line_that_is_torn_or_from_a_newer_agent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heartbeat.jsonl");
    fs::write(
        &path,
        format!("{JOURNAL}{{\"something\":\"new\"}}\n{{\"t_ms\":2100,\"sta"),
    )
    .unwrap();
    let (exit, out, _) = run(&["log", text(&path)]);
    assert_eq!((exit, out.lines().count()), (Exit::Ok, 4));
}

#[test]
fn log_follows_to_the_clean_end_and_finishes_a_line_that_came_in_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heartbeat.jsonl");
    fs::write(&path, JOURNAL).unwrap();
    let mut parts = [&END[..10], &END[10..]].into_iter();
    let (exit, out, _) = run_while(&["log", "-f", text(&path)], &mut || {
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(parts.next().unwrap().as_bytes()).unwrap();
        true
    });
    assert_eq!(exit, Exit::Ok);
    assert_eq!(out.lines().count(), 5);
}

#[test]
fn log_that_follows_can_be_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("heartbeat.jsonl"), JOURNAL).unwrap();
    assert_eq!(run(&["log", "-f", text(folder.path())]).0, Exit::Interrupted);
}

#[test]
fn log_draws_frame_times_and_episodes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("heartbeat.jsonl"), JOURNAL).unwrap();
    let picture = folder.path().join("picture.svg");
    let (exit, out, err) = run(&["log", text(folder.path()), "--svg", text(&picture)]);
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
    assert_eq!(out.trim(), text(&picture));
    let svg = fs::read_to_string(picture).unwrap();
    assert!(svg.starts_with("<svg"));
    for word in [
        "sloppy (pid 42)",
        "main_loop_crashed",
        "p99",
        "seconds since the agent started",
    ] {
        assert!(svg.contains(word), "{word}");
    }
}

#[test]
fn a_picture_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("heartbeat.jsonl"), JOURNAL).unwrap();
    let picture = folder.path().join("no such folder").join("picture.svg");
    let (exit, _, err) = run(&["log", text(folder.path()), "--svg", text(&picture)]);
    assert_eq!(exit, Exit::Unreachable);
    assert!(
        err.contains(&format!("--svg {} cannot be written: ", picture.display())),
        "{err}"
    );
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // In this system's words, which are those of the same number on all of them.
    let no_such_file = std::io::Error::from_raw_os_error(2);
    let (exit, _, err) = run(&["log", text(folder.path())]);
    assert_eq!(exit, Exit::Unreachable);
    assert!(err.contains(&format!("heartbeat.jsonl: {no_such_file}")), "{err}");
    let (exit, _, err) = run(&["health", text(folder.path())]);
    assert_eq!(exit, Exit::Unreachable);
    assert!(err.contains(&format!("agent.json: {no_such_file}")), "{err}");
    let (exit, _, err) = run(&["health", "http://127.0.0.1:1"]);
    assert_eq!(exit, Exit::Unreachable);
    assert!(err.contains("no answer from http://127.0.0.1:1"), "{err}");
    let (exit, _, err) = run(&["helth"]);
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("'health'"), "{err}");
    assert_eq!(run(&["--help"]).0, Exit::Ok);
}

#[test]
fn health_tells_by_its_exit_how_the_app_is() {
    let folder = tempfile::tempdir().unwrap();
    let given = Arguments {
        run_dir: Some(folder.path().into()),
        ..Arguments::default()
    };
    let settings = Settings::resolve("sloppy", given, |_| None).unwrap().unwrap();
    let agent = Agent::start(&settings).unwrap();
    agent.beat();
    drop(agent.health());
    let (exit, out, _) = run(&["health", text(folder.path())]);
    assert_eq!(exit, Exit::Ok);
    assert!(out.starts_with("sloppy (pid "), "{out}");
    agent.degrade("disk_full", "no room", true).unwrap();
    drop(agent.health());
    let (exit, out, _) = run(&["health", "--token", agent.token().unwrap(), agent.url().unwrap()]);
    assert_eq!(exit, Exit::Unwell);
    assert!(out.contains("disk_full [app]: no room"), "{out}");
    let (_, out, _) = run(&["health", "--json", text(folder.path())]);
    assert!(out.starts_with("{\"schema\":\"livegui/health/1\""), "{out}");
}

#[test]
fn run_says_what_it_lacks() {
    let (exit, _, err) = run(&["run"]);
    assert_eq!(exit.code(), 2);
    assert!(
        err.contains("which Python is to run pytest? Say so with --python"),
        "{err}"
    );
    let (exit, _, err) = run(&["run", "--resume", "unit"]);
    assert_eq!(exit.code(), 64);
    assert!(err.contains("cannot be used with"), "{err}");
}

#[test]
fn schemas_are_listed_printed_and_those_that_are_published() {
    let (exit, out, _) = run(&["schema"]);
    assert_eq!(exit, Exit::Ok);
    let names: Vec<_> = out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["health", "run", "events", "journal", "agent"]);
    for name in names {
        let (_, printed, _) = run(&["schema", name]);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{name}.json"));
        if std::env::var_os("LIVEGUI_UPDATE_SCHEMAS").is_some() {
            fs::write(&file, &printed).unwrap();
        }
        let published = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            printed.trim(),
            published.trim(),
            "{} is old: LIVEGUI_UPDATE_SCHEMAS=1 cargo test --test cli writes it anew",
            file.display()
        );
    }
}

#[test]
fn completions_and_the_man_page_name_every_command() {
    let (exit, out, _) = run(&["completions", "bash"]);
    assert_eq!(exit, Exit::Ok);
    assert!(out.contains("complete -F _livegui"), "{out}");
    let (_, page, _) = run(&["man"]);
    assert!(page.starts_with(".ie"), "{page}");
    for command in [
        "health", "log", "run", "report", "top", "targets", "audit", "schema",
    ] {
        assert!(out.contains(command) && page.contains(command), "{command}");
    }
    assert!(!page.contains("guard"), "that is for livegui itself");
}
