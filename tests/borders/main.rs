//! Who may import whom, and who alone may touch what: the borders of ARCHITECTURE.md.

#![allow(clippy::unwrap_used, reason = "a test")]

mod sources;

use sources::{Kind, Named, Source, read, sources};

fn assert_none_uses(below: &str, forbidden: &[&str]) {
    for source in sources(below) {
        for named in &source.named {
            for path in forbidden {
                assert!(
                    !named.goes_through(path),
                    "{} must not use {path}: {}",
                    source.at(named),
                    named.name
                );
            }
        }
    }
}

/// What only some files may do.
fn assert_only_in(may: impl Fn(&Source) -> bool, does: impl Fn(&Named) -> bool, what: &str) {
    let around = sources("")
        .into_iter()
        .filter(|source| !may(source))
        .flat_map(|source| {
            let named = source.named.iter().filter(|named| does(named));
            named.map(|named| format!("{} {what}: {}", source.at(named), named.name))
        });
    assert_eq!(around.collect::<Vec<_>>(), Vec::<String>::new());
}

const CLOCKS: [&str; 3] = ["Instant", "SystemTime", "Timestamp"];
/// What touches the world outside of this process.
const WORLD: [&str; 5] = ["std::fs", "std::net", "std::process", "std::thread", "std::env"];

#[test]
fn the_reader_sees_what_a_line_would_hide() {
    let text = "
        use super::{
            alpha::{self, Beta as Gamma},
            *,
        };
        fn f() { println!(\"{}\", crate :: delta::epsilon(x.zeta())); self::eta(); }
        #[cfg(test)] mod tests { use crate::theta; }
    ";
    let source = read("one/two.rs".into(), text);
    let has = |kind: Kind, name: &str| {
        source
            .named
            .iter()
            .any(|named| named.kind == kind && named.name == name)
    };
    for path in [
        "crate::one::alpha::self",
        "crate::one::alpha::Beta",
        "crate::one",
        "crate::delta::epsilon",
        "crate::one::two::eta",
    ] {
        assert!(has(Kind::Path, path), "{path}: {:?}", source.named);
    }
    assert!(has(Kind::Macro, "println") && has(Kind::Method, "zeta") && has(Kind::Text, "{}"));
    let theta = source.named.iter().find(|named| named.name == "crate::theta");
    assert!(theta.unwrap().in_test);
}

#[test]
fn health_is_pure_std_without_a_clock() {
    assert_none_uses("health", &CLOCKS);
    assert_none_uses("health", &WORLD);
    let modules: Vec<_> = sources("health")
        .iter()
        .filter_map(|source| source.file.file_stem()?.to_str())
        .collect();
    for source in sources("health") {
        for named in source.named.iter().filter(|named| named.kind == Kind::Path) {
            let ours = named.goes_through("crate") || named.goes_through("super");
            let inside = named.goes_through("crate::health");
            assert!(!ours || inside, "{}: {}", source.at(named), named.name);
            let first = named.name.split("::").next().unwrap_or_default();
            let known = inside || first == "std" || modules.contains(&first);
            assert!(!named.imported || known, "{}: {}", source.at(named), named.name);
        }
    }
}

#[test]
fn agent_and_harness_do_not_know_each_other() {
    assert_none_uses("agent", &["crate::harness", "crate::audit", "crate::batch"]);
    assert_none_uses(
        "harness",
        &["crate::agent", "crate::audit", "crate::batch", "crate::cli"],
    );
    assert_none_uses("process", &["crate::agent", "crate::harness"]);
}

#[test]
fn whoever_looks_from_outside_knows_no_agent() {
    for below in ["cli", "cli.rs", "batch", "audit", "report", "top"] {
        assert_none_uses(below, &["crate::agent", "crate::health"]);
    }
    for below in ["batch", "audit", "report", "top"] {
        assert_none_uses(below, &["crate::cli"]);
    }
    for below in ["audit", "report", "top"] {
        assert_none_uses(below, &["crate::batch"]);
    }
}

#[test]
fn the_wire_knows_nobody() {
    for source in sources("wire") {
        for named in source.named.iter().filter(|named| !named.in_test) {
            let outside = named.goes_through("crate") && !named.goes_through("crate::wire");
            assert!(!outside, "{}: {}", source.at(named), named.name);
        }
    }
}

#[test]
fn only_the_python_face_names_pyo3() {
    assert_only_in(
        |source| source.is_in("python"),
        |named| named.goes_through("pyo3") || (named.kind == Kind::Macro && named.name.starts_with("py")),
        "names pyo3",
    );
}

#[test]
fn what_only_decides_touches_nothing() {
    let pure = [
        "harness/policy.rs",
        "audit/test_index.rs",
        "audit/experiment_result.rs",
        "audit/evidence.rs",
        "audit/search.rs",
        "audit/finding.rs",
        "audit/plan.rs",
        "audit/report.rs",
        "audit/marks.rs",
        "batch/results.rs",
        "batch/recovery.rs",
        "batch/verdict.rs",
        "batch/config.rs",
        "batch/plan.rs",
        "batch/summary.rs",
        "batch/github.rs",
        "report/build.rs",
        "report/journal.rs",
        "report/model.rs",
        "report/page.rs",
        "report/sentence.rs",
        "report/trace.rs",
        "top/state.rs",
    ];
    for file in pure {
        for source in sources(file) {
            for named in source.named.iter().filter(|named| !named.in_test) {
                let mut forbidden = WORLD.iter().chain(&CLOCKS[..2]).chain(&["ratatui"]);
                assert!(
                    !forbidden.any(|path| named.goes_through(path)),
                    "{} only decides: {}",
                    source.at(named),
                    named.name
                );
            }
        }
    }
    for file in pure.iter().filter(|file| file.starts_with("audit/")) {
        assert_none_uses(file, &["crate::harness"]);
    }
}

#[test]
fn only_process_asks_the_system_about_processes() {
    let calls = [
        "sysinfo",
        "listeners",
        "waitid",
        "waitpid",
        "killpg",
        "pidfd_open",
        "proc_pidinfo",
    ];
    assert_only_in(
        // What the second asks is about the threads of a process that is already known.
        |source| source.is_in("process") || source.is_in("harness/priority.rs"),
        |named| {
            let reads = named.kind == Kind::Text && named.name.starts_with("/proc/");
            !named.in_test && (reads || calls.iter().any(|call| named.goes_through(call)))
        },
        "asks about processes by itself",
    );
}

#[test]
fn only_runtime_dir_goes_into_shared_folders() {
    assert_only_in(
        |source| source.is_in("runtime_dir.rs"),
        |named| {
            let goes = named.goes_through("temp_dir");
            let reads = named.kind == Kind::Text && named.name == "XDG_RUNTIME_DIR";
            !named.in_test && (goes || reads)
        },
        "goes into a shared folder",
    );
}

#[test]
fn nothing_prints_around_what_makes_text_printable() {
    let macros = ["print", "println", "eprint", "eprintln", "dbg"];
    assert_only_in(
        // There the real ones are handed over, and a screen is put before them at once; and a parent's watch
        // says its own words, and a number.
        |source| source.is_in("python/cli.rs") || source.is_in("process/parent.rs"),
        |named| {
            let outputs = ["io::stdout", "io::stderr"];
            let takes = named.kind == Kind::Path && outputs.iter().any(|output| named.name.ends_with(output));
            let prints = named.kind == Kind::Macro && macros.contains(&&*named.name);
            !named.in_test && (prints || takes)
        },
        "prints",
    );
    let on_a_bar = ["println", "set_message", "set_prefix", "finish_with_message"];
    assert_only_in(
        // There it is the message of a failed test case.
        |source| source.is_in("batch/junit.rs"),
        |named| {
            let printable = ["", "line", "one_line"];
            let given = named.given.as_deref();
            let is_printable = given.is_some_and(|given| printable.contains(&given));
            named.kind == Kind::Method && on_a_bar.contains(&&*named.name) && !is_printable
        },
        "prints what may hold commands",
    );
    for source in sources("cli.rs") {
        let screens = source
            .named
            .iter()
            .filter(|named| named.name == "Screen::new")
            .count();
        assert_eq!(screens, 2, "one each for output and errors");
    }
}

#[test]
fn time_in_the_agent_is_read_in_one_place() {
    for source in sources("agent") {
        let reads = ["Instant::now", "SystemTime::now"];
        for named in source.named.iter().filter(|named| !named.in_test) {
            let reads = reads.iter().any(|read| named.name.ends_with(read));
            assert!(
                !reads || source.is_in("agent/clock.rs"),
                "{} reads a clock",
                source.at(named)
            );
        }
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
    assert_none_uses("injection.rs", &forbidden);
}
