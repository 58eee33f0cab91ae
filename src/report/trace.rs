//! The report as a trace in Chrome's format, for <https://ui.perfetto.dev> and <chrome://tracing>.

use serde_json::{Value, json};

use super::model::{Group, Process, Report};

/// The first row of a group is for tests. Each app follows with its own row.
const TESTS: u64 = 1;
const FIRST_APP: u64 = 100;
const FIRST_PART: u64 = 10_000;
const PARTS_OF_APP: u64 = 100;

/// A JSON object of the trace-event format: complete events (`X`) for tests, processes, their states and episodes,
/// counters (`C`) for frames, and flows (`s`, `f`) from each culprit to its process and its victims.
#[must_use]
pub fn trace(report: &Report) -> Value {
    let mut events = Vec::new();
    for (number, group) in report.groups.iter().enumerate() {
        of_group(report, number, group, &mut events);
    }
    flows(report, &mut events);
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"producer": "livegui", "run": report.run, "sentence": report.sentence},
    })
}

fn of_group(report: &Report, number: usize, group: &Group, events: &mut Vec<Value>) {
    let pid = pid(number);
    events
        .push(json!({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": group.name}}));
    events.push(json!({"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": number}}));
    name_row(events, pid, TESTS, "tests", 0);
    for test in report.tests.iter().filter(|test| test.group == Some(number)) {
        let Some(at) = test.at else { continue };
        let file = &report.files[test.file].name;
        let args = json!({
            "file": file, "outcome": test.outcome, "message": test.message, "reproduce": test.reproduce,
            "culprit": !test.took_down.is_empty(),
        });
        let name = if test.name.is_empty() { file } else { &test.name };
        events.push(span(
            pid,
            TESTS,
            (name, test.outcome.as_str()),
            (at, test.took.unwrap_or(report.span - at)),
            args,
        ));
    }
    for (index, process) in group.processes.iter().enumerate() {
        of_process(report, pid, index as u64, process, events);
    }
}

fn of_process(report: &Report, pid: u64, index: u64, process: &Process, events: &mut Vec<Value>) {
    let row = FIRST_APP + index;
    let end = process.end.unwrap_or(report.span).max(process.start);
    name_row(
        events,
        pid,
        row,
        &format!("generation {} (pid {})", process.generation, process.pid),
        row,
    );
    let args = json!({
        "state": process.state, "why": process.why, "because": process.because, "culprit": process.culprit_name,
        "command": process.command,
    });
    let name = format!("generation {}", process.generation);
    events.push(span(
        pid,
        row,
        (&name, "process"),
        (process.start, end - process.start),
        args,
    ));
    for (number, state) in process.states.iter().enumerate() {
        let until = process.states.get(number + 1).map_or(end, |next| next.at);
        // Keep it within the process's span, or it would not be shown as part of that.
        let (from, until) = (
            state.at.clamp(process.start, end),
            until.clamp(process.start, end),
        );
        let args = json!({"why": state.why});
        events.push(span(
            pid,
            row,
            (state.state.as_str(), "state"),
            (from, until - from),
            args,
        ));
    }
    for (number, episode) in process.episodes.iter().enumerate() {
        // Episodes overlap, so each has its own id, and is not part of another.
        let id = format!("{row}.{number}");
        let args = json!({"component": episode.component, "message": episode.message, "traceback": episode.traceback});
        let until = episode.end.unwrap_or(end).max(episode.at);
        for (phase, at) in [("b", episode.at), ("e", until)] {
            events.push(json!({
                "ph": phase, "cat": "episode", "name": episode.code, "id": id, "pid": pid, "tid": row,
                "ts": micros(at), "args": args,
            }));
        }
    }
    let counter = format!("frame ms, generation {}", process.generation);
    for (at, p50, p99, max, _) in &process.frames {
        let figures =
            json!({"p50": p50.unwrap_or(0.0), "p99": p99.unwrap_or(0.0), "max": max.unwrap_or(0.0)});
        events.push(
            json!({"ph": "C", "name": counter, "pid": pid, "tid": 0, "ts": micros(*at), "args": figures}),
        );
    }
    for (number, part) in process.parts.iter().enumerate() {
        let row = FIRST_PART + index * PARTS_OF_APP + number as u64;
        name_row(events, pid, row, &format!("{} ({})", part.name, part.kind), row);
        for (number, (at, state, queued)) in part.states.iter().enumerate() {
            let until = part.states.get(number + 1).map_or(end, |next| next.0);
            let args = json!({"queued": queued});
            events.push(span(
                pid,
                row,
                (state, "part"),
                (*at, (until - at).max(0.0)),
                args,
            ));
        }
    }
}

fn flows(report: &Report, events: &mut Vec<Value>) {
    let mut id = 0_u64;
    let mut tie = |pid: u64, from: (f64, u64), to: (f64, u64), name: &str| {
        id += 1;
        for (phase, (at, row)) in [("s", from), ("f", to)] {
            let mut event = json!({
                "ph": phase, "cat": "blame", "name": name, "id": id, "pid": pid, "tid": row, "ts": micros(at),
            });
            if phase == "f" {
                event["bp"] = json!("e");
            }
            events.push(event);
        }
    };
    for (index, test) in report.tests.iter().enumerate() {
        let (Some(group), Some(at)) = (test.group, test.at) else {
            continue;
        };
        let pid = pid(group);
        let end = at + test.took.unwrap_or_default();
        for process in &test.took_down {
            let down = &report.groups[group].processes[*process];
            let when = down.end.unwrap_or(end).min(end).max(down.start);
            tie(pid, (at, TESTS), (when, FIRST_APP + *process as u64), "took down");
        }
        for victim in report.tests.iter().filter(|victim| victim.culprit == Some(index)) {
            if let (Some(at_victim), Some(true)) = (victim.at, victim.group.map(|other| other == group)) {
                tie(pid, (at, TESTS), (at_victim, TESTS), "spoilt");
            }
        }
    }
}

fn span(pid: u64, row: u64, (name, kind): (&str, &str), (at, took): (f64, f64), args: Value) -> Value {
    json!({
        "ph": "X", "name": name, "cat": kind, "pid": pid, "tid": row, "ts": micros(at), "dur": micros(took.max(0.0)),
        "args": args,
    })
}

fn name_row(events: &mut Vec<Value>, pid: u64, row: u64, name: &str, index: u64) {
    events.push(json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": row, "args": {"name": name}}));
    events.push(json!({"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": row, "args": {"sort_index": index}}));
}

/// Pid 0 belongs to the kernel.
const fn pid(group: usize) -> u64 {
    group as u64 + 1
}

fn micros(ms: f64) -> f64 {
    (ms * 1000.0).round()
}
