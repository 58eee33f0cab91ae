//! Outside the app: the processes under test, which test is blamed when one fails, and what is recorded.
//!
//! ```text
//! pytest ─ before_test, after_test ─▶ Live ─ test events ─▶ Policy (pure) ─ decision ─▶ start, respawn, refuse
//!                                      ▲                        ▲
//!   running test ◀─ interrupt ─ Alarm ◀┤                        │ app events
//!                                      └── Watch thread, one a process: long poll and exit
//! ```
//! No thread here attaches to an interpreter.

mod alarm;
mod app;
mod client;
mod command;
mod ends;
mod error;
mod events;
mod fault;
mod guard;
mod handover;
mod heartbeat_log;
mod hook_port;
mod launcher;
mod ledger;
mod leftovers;
mod live;
mod output;
mod phase;
mod policy;
mod previous_runs;
mod priority;
mod process;
mod pytest_process;
mod run_dir;
mod run_record;
mod silence;
mod spares;
mod stacks;
mod start;
mod starvation;
mod watch;

#[cfg(windows)]
pub use crate::process::run_in_our_place;
pub use crate::process::{Exit, Liveness, ProcessId, end_with_parent, liveness};
pub use crate::wire::EVENTS_FILE;
pub use client::{Client, NoAnswer};
pub use command::CommandLine;
pub use ends::{Expected, Progress, Sign, Symptom};
pub use error::{AppError, AppErrorKind, Error, Failure, Result};
pub use events::{EventLog, EventReader, ask_to_stop};
pub use guard::{COMMAND as GUARD, run as guard};
pub use handover::parse_timeout as parse_handover_timeout;
pub use launcher::{LaunchSettings, Say};
pub use leftovers::{Leftover, LeftoverState, leftovers_of};
pub use live::{AfterTest, End, Live, Settings};
pub use output::{DEFAULT_LIMIT as DEFAULT_OUTPUT_LIMIT, parse as parse_limit};
pub use phase::{Answer, PhaseEnd, answer_at_end};
pub use policy::{
    CallbackErrors, Decision, Found, Handover, Heard, LeftOpen, Onset, ParseOptionError, Policy, Respawn,
    Rules, Scope, Test, Trouble,
};
pub use process::{Launch, ProcessTree, end_left_over};
pub use pytest_process::{PytestLaunch, PytestProcess};
pub use run_dir::{forget_old_runs, make_run_folder, run_folders, still_goes_on, write_record};
pub use run_record::{now_ms, read as read_run};
pub use start::Step;
