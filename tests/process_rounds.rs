//! Nobody else is ever signalled: processes of ours start and end beside a neighbour that takes every number
//! that comes free. In a PID namespace with few numbers, so that each is taken again at once.
//!
//! `cargo test --test process_rounds -- --ignored ten_thousand` is the long version.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::env;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use livegui::harness::{Launch, ProcessTree};

const ROUNDS: &str = "LIVEGUI_TEST_ROUNDS";
/// The neighbour works until this file is there.
const DONE: &str = "LIVEGUI_TEST_DONE";
/// As few as the kernel allows, and a few more.
const PID_MAX: &str = "420";

#[test]
fn a_few_rounds_beside_a_hungry_neighbour() {
    in_a_namespace(48);
}

#[test]
#[ignore = "takes minutes"]
fn ten_thousand_rounds_beside_a_hungry_neighbour() {
    in_a_namespace(10_000);
}

/// Its number comes to a child of the same process: one that it may signal, and whose exit status it may read.
#[test]
fn a_sibling_that_gets_the_number_is_neither_signalled_nor_reaped() {
    in_a_namespace_of_its_own("siblings", 40, "siblings signalled or reaped: 0");
}

fn in_a_namespace(rounds: u32) {
    in_a_namespace_of_its_own("rounds", rounds, "foreign processes signalled: 0");
}

fn in_a_namespace_of_its_own(test: &str, rounds: u32, expected: &str) {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--fork", "--pid", "--mount-proc"]);
        command
    };
    let may = unshare()
        .args(["sh", "-c", "echo $0 > /proc/sys/kernel/pid_max", PID_MAX])
        .output();
    // The limit is a namespace's own since Linux 6.14; before, this would be the machine's.
    let own = fs::read_to_string("/proc/sys/kernel/pid_max").is_ok_and(|max| max.trim() != PID_MAX);
    if !may.is_ok_and(|may| may.status.success()) || !own {
        println!("skipped: no right to make a PID namespace with a limit of its own");
        return;
    }
    let itself = env::current_exe().unwrap();
    let output = unshare()
        .args([
            "sh",
            "-c",
            // The shell stays: somebody has to reap what is left without a parent.
            "echo $0 > /proc/sys/kernel/pid_max; \"$@\"; exit $?",
            PID_MAX,
        ])
        .arg(&itself)
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env(ROUNDS, rounds.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains(expected), "{said}");
    println!("{said}");
}

#[test]
#[ignore = "part of the others, in a namespace"]
fn rounds() {
    let Ok(rounds) = env::var(ROUNDS).map(|rounds| rounds.parse::<u32>().unwrap()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let mut neighbour = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "neighbour", "--nocapture"])
        .env(DONE, &done)
        .spawn()
        .unwrap();
    let mut left = 0;
    for round in 0..rounds {
        let process = start(folder.path(), round);
        match round % 4 {
            // Somebody else reads its exit status: from then on its number is the neighbour's.
            0 => {
                reap(process.pid());
                std::thread::sleep(Duration::from_millis(u64::from(round % 7) * 4));
            }
            1 => drop(process.wait(Duration::from_millis(30))),
            2 => std::thread::sleep(Duration::from_millis(2)),
            _ => {}
        }
        left += process
            .end_tree((round % 3 == 0).then_some(Duration::from_millis(50)))
            .len();
        process.terminate();
        process.kill();
        if round % 500 == 0 {
            eprintln!("round {round}");
        }
    }
    fs::write(&done, "").unwrap();
    let told = neighbour.wait().unwrap();
    assert!(
        told.success(),
        "the neighbour was signalled, or lost a process: {told}"
    );
    println!("rounds: {rounds}, left: {left}");
    assert_eq!(left, 0);
}

#[test]
#[ignore = "part of the others, in a namespace"]
fn siblings() {
    let Ok(rounds) = env::var(ROUNDS).map(|rounds| rounds.parse::<u32>().unwrap()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut met = 0;
    for round in 0..rounds {
        let process = start(folder.path(), 4 * round);
        let pid = process.pid();
        reap(pid);
        // Starts are told apart by ticks of the system; as soon as that no number comes back by itself.
        std::thread::sleep(Duration::from_millis(25));
        let lives = round % 2 == 0;
        let script = if lives { "sleep 60" } else { "exit 7" };
        let Some(mut sibling) = with_number(pid, script) else {
            continue;
        };
        met += 1;
        if !lives {
            wait_until_it_has_ended(pid);
        }
        assert!(
            process
                .wait(Duration::from_millis(20))
                .is_some_and(|exit| exit.code().is_none()),
            "its end is the sibling's"
        );
        process.interrupt();
        process.terminate();
        process.kill();
        assert!(process.end_tree(Some(Duration::from_millis(10))).is_empty());
        drop(process);
        if lives {
            assert!(sibling.try_wait().unwrap().is_none(), "a sibling was signalled");
            sibling.kill().unwrap();
        }
        let status = sibling.wait().expect("a sibling was reaped");
        assert_eq!(status.code(), (!lives).then_some(7));
    }
    println!("rounds: {rounds}, met: {met}, siblings signalled or reaped: 0");
    assert!(met > rounds / 2, "the number was had {met} times of {rounds}");
}

/// A child with this number, at the head of a group of its own.
fn with_number(pid: u32, script: &str) -> Option<Child> {
    for _ in 0..10 {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let command = ["-c", script];
        let mut child = Command::new("sh").args(command).process_group(0).spawn().unwrap();
        if child.id() == pid {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    None
}

fn wait_until_it_has_ended(pid: u32) {
    let is_zombie = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('Z')
    };
    while !is_zombie() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn start(folder: &std::path::Path, round: u32) -> ProcessTree {
    let script = match round % 3 {
        0 => "exit 0",
        1 => "sleep 0.02 & exit 0",
        _ => "sleep 5 & sleep 5",
    };
    let script = if round.is_multiple_of(4) { "exit 0" } else { script };
    let launch = Launch {
        command: ["sh", "-c", script].map(Into::into).to_vec(),
        environment: Vec::new(),
        mark: ("LIVEGUI_RUN_DIR", folder.join(round.to_string()).into_os_string()),
        cwd: folder.to_owned(),
        folder: folder.to_owned(),
        output_limit: 4096,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match ProcessTree::start(&launch) {
            Ok(process) => return process,
            // The neighbour has them all.
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

fn reap(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap());
    let _ = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
}

/// Each of its processes leads a group: a signal to a group that has become its would hit it, too.
#[test]
#[ignore = "part of the others, in a namespace"]
fn neighbour() {
    let Some(done) = env::var_os(DONE) else { return };
    let mut running: Vec<Child> = Vec::new();
    let (mut started, mut signalled) = (0_u64, 0_u64);
    let mut ended = |child: &mut Child, wait: bool| {
        let status = if wait {
            child.wait().ok()
        } else {
            child.try_wait().unwrap()
        };
        if let Some(status) = status {
            signalled += u64::from(status.signal().is_some() || !status.success());
        }
        status.is_some()
    };
    while !fs::exists(&done).unwrap() {
        running.retain_mut(|child| !ended(child, false));
        std::thread::sleep(Duration::from_millis(1)); // ours are to get their turn on a small machine
        while running.len() < 40 {
            match Command::new("sleep").arg("0.03").process_group(0).spawn() {
                Ok(child) => running.push(child),
                Err(_) => break, // they are all taken
            }
            started += 1;
        }
    }
    for child in &mut running {
        ended(child, true);
    }
    println!("foreign processes: {started}, foreign processes signalled: {signalled}");
    assert_eq!(signalled, 0);
}
