//! Who may import whom. The borders of ARCHITECTURE.md, kept by reading the sources.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut found = Vec::new();
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!found.is_empty(), "nothing in {folder}: was it moved?");
    found
}

/// The code of a file without its comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn assert_none_mentions(folder: &str, forbidden: &[&str]) {
    for (path, text) in sources(folder) {
        for line in code(&text) {
            for word in forbidden {
                assert!(
                    !line.contains(word),
                    "{} must not use {word}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn health_is_pure_std_without_a_clock() {
    let forbidden = [
        "crate::agent",
        "crate::harness",
        "crate::wire",
        "crate::error",
        "Instant",
        "SystemTime",
    ];
    assert_none_mentions("health", &forbidden);
    for (path, text) in sources("health") {
        for line in code(&text).filter(|line| line.starts_with("use ")) {
            let inside = ["use std::", "use super::", "use crate::health"]
                .iter()
                .any(|start| line.starts_with(start));
            assert!(inside, "{}: {line}", path.display());
        }
    }
}

#[test]
fn agent_and_harness_do_not_know_each_other() {
    assert_none_mentions("agent", &["crate::harness"]);
    assert_none_mentions("harness", &["crate::agent"]);
    assert_none_mentions("process", &["crate::agent", "crate::harness"]);
}

#[test]
fn the_command_line_looks_from_outside() {
    assert_none_mentions("cli", &["crate::agent", "crate::health"]);
    assert_none_mentions("batch", &["crate::agent", "crate::health", "crate::cli"]);
    assert_none_mentions("harness", &["crate::batch", "crate::cli"]);
    assert_none_mentions("cli.rs", &["crate::agent", "crate::health"]);
}

#[test]
fn a_report_is_made_of_records_and_only_its_source_reads() {
    assert_none_mentions(
        "report",
        &["crate::agent", "crate::health", "crate::batch", "crate::cli"],
    );
    assert_none_mentions(
        "top",
        &["crate::agent", "crate::health", "crate::batch", "crate::cli"],
    );
    for name in [
        "build.rs",
        "journal.rs",
        "model.rs",
        "page.rs",
        "sentence.rs",
        "trace.rs",
    ] {
        assert_none_mentions(
            &format!("report/{name}"),
            &["std::fs", "File::", "Instant", "SystemTime"],
        );
    }
    assert_none_mentions("top/state.rs", &["std::fs", "Instant", "ratatui"]);
}

#[test]
fn the_wire_knows_nobody() {
    assert_none_mentions("wire", &["crate::"]);
}

#[test]
fn only_the_python_face_names_pyo3() {
    for (path, text) in sources("") {
        let python = path.components().any(|part| part.as_os_str() == "python");
        let names = code(&text).any(|line| line.contains("pyo3"));
        assert!(python || !names, "{} names pyo3", path.display());
    }
}

#[test]
fn the_policy_does_nothing_but_decide() {
    let forbidden = [
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "Instant",
        "SystemTime",
    ];
    assert_none_mentions("harness/policy.rs", &forbidden);
}

#[test]
fn the_audit_knows_the_harness_and_no_agent() {
    assert_none_mentions(
        "audit",
        &["crate::agent", "crate::health", "crate::cli", "crate::batch"],
    );
    assert_none_mentions("harness", &["crate::audit"]);
    assert_none_mentions("agent", &["crate::audit"]);
}

#[test]
fn what_the_audit_concludes_it_concludes_from_evidence_alone() {
    let forbidden = [
        "std::fs",
        "std::process",
        "std::thread",
        "std::env",
        "crate::harness",
        "Instant",
        "SystemTime",
        "Timestamp",
    ];
    for pure in [
        "test_index",
        "experiment_result",
        "evidence",
        "search",
        "finding",
        "plan",
        "report",
        "marks",
    ] {
        assert_none_mentions(&format!("audit/{pure}.rs"), &forbidden);
    }
}

#[test]
fn what_became_of_a_batch_follows_from_its_events_alone() {
    let forbidden = [
        "std::fs",
        "std::process",
        "std::thread",
        "std::env",
        "Instant",
        "SystemTime",
        "Timestamp",
    ];
    for file in [
        "batch/results.rs",
        "batch/recovery.rs",
        "batch/verdict.rs",
        "batch/config.rs",
        "batch/plan.rs",
        "batch/summary.rs",
        "batch/github.rs",
    ] {
        assert_none_mentions(file, &forbidden);
    }
}

#[test]
fn only_process_asks_the_system_about_processes() {
    let calls = [
        "sysinfo::",
        "listeners::",
        "pidfd",
        "waitid",
        "waitpid",
        "killpg",
        "proc_pidinfo",
        "/proc/{",
        "/proc/self",
    ];
    for (path, text) in sources("") {
        let inside = path.components().any(|part| part.as_os_str() == "process");
        // What is asked there is about the threads of a process that is already known.
        let threads = path.ends_with("harness/priority.rs");
        for line in code(&text).filter(|_| !inside && !threads) {
            for call in calls {
                assert!(!line.contains(call), "{} asks by itself: {line}", path.display());
            }
        }
    }
}

#[test]
fn only_runtime_dir_goes_into_shared_folders() {
    for (path, text) in sources("") {
        for line in code(&text).take_while(|line| !line.contains("#[cfg(test)]")) {
            let goes = line.contains("temp_dir()") || line.contains("XDG_RUNTIME_DIR");
            assert!(
                !goes || path.ends_with("runtime_dir.rs"),
                "{}: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn nothing_prints_around_what_makes_text_printable() {
    for (path, text) in sources("") {
        // There the real ones are handed over; a screen is put before them at once.
        let hands_over = path.ends_with("python/cli.rs");
        // Its own words, and a number.
        let own_words = path.ends_with("process/parent.rs");
        for line in code(&text).filter(|_| !hands_over && !own_words) {
            let prints = [
                "println!",
                "print!(",
                "eprint",
                "io::stdout()",
                "io::stderr()",
                "dbg!",
            ];
            let asks = line.contains("is_terminal()")
                || line.contains("sprint")
                || line.contains("ProgressDrawTarget");
            let prints = prints.iter().any(|word| line.contains(word)) && !asks;
            assert!(!prints, "{} prints: {line}", path.display());
            let bar = ["bar.set_message(", "bar.println(", "bar.set_prefix("];
            let on_bar = bar.iter().any(|call| line.contains(call));
            let plain = line.contains("line(") || line.contains("(\"");
            assert!(
                !on_bar || plain,
                "{} prints what may hold commands: {line}",
                path.display()
            );
        }
    }
    for (path, text) in sources("cli.rs") {
        let screens = text.matches("Screen::new(").count();
        assert_eq!(screens, 2, "{}: one each for output and errors", path.display());
    }
}

#[test]
fn time_in_the_agent_is_read_in_one_place() {
    for (path, text) in sources("agent") {
        let clock = path.ends_with("clock.rs");
        let reads = code(&text).any(|line| line.contains("Instant::now") || line.contains("SystemTime::now"));
        assert!(clock || !reads, "{} reads a clock", path.display());
    }
}

#[test]
fn injection_knows_the_names_of_variables_and_nobody_who_uses_them() {
    let forbidden = [
        "crate::agent",
        "crate::health",
        "crate::harness",
        "crate::cli",
        "crate::batch",
    ];
    assert_none_mentions("injection.rs", &forbidden);
}
