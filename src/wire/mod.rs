//! The formats on the wire and on disk: one schema for both sides.
//!
//! Readers ignore fields that they do not know, so that an older test side can read a newer agent.

mod discovery;
pub mod env;
mod events;
mod health;
mod journal;
mod process_id;
mod run;
pub mod schema;
mod words;

pub use discovery::*;
pub use events::*;
pub use health::*;
pub use journal::*;
pub use process_id::ProcessId;
pub use run::*;
pub use words::*;

/// `schema` of [`Health`].
pub const HEALTH_SCHEMA: &str = "livegui/health/1";
/// `schema` of [`Discovery`].
pub const DISCOVERY_SCHEMA: &str = "livegui/agent/1";
/// `schema` of [`RunRecord`].
pub const RUN_SCHEMA: &str = "livegui/run/1";
/// Name of the discovery file in a run folder.
pub const DISCOVERY_FILE: &str = "agent.json";
/// Name of the journal in a run folder.
pub const JOURNAL_FILE: &str = "heartbeat.jsonl";
/// `schema` of [`RunPointer`].
pub const RUN_POINTER_SCHEMA: &str = "livegui/run-pointer/1";
/// `schema` of [`JournalHeader`].
pub const JOURNAL_SCHEMA: &str = "livegui/journal/1";
/// `schema` of [`Event::SessionStarted`].
pub const EVENTS_SCHEMA: &str = "livegui/events/1";
/// Name of the file in a run folder in which each Python reports how watching for a main loop went, one fact a
/// line.
pub const INJECTION_FILE: &str = "injection.log";
/// Name of the run record in a run's folder.
pub const RUN_FILE: &str = "run.json";
/// Name of the file in a generation's folder with the agent's last answer while the app was not well: a [`Health`].
pub const HEALTH_FILE: &str = "health.json";
/// Name of the file with what a pytest did, [`EventLine`]s, in a run's folder.
pub const EVENTS_FILE: &str = "events.jsonl";

/// The suffix of a file that asks a pytest to end after the running test.
pub const STOP_SUFFIX: &str = ".stop";

/// The file at the beginning of a node id, or of a path argument of pytest.
#[must_use]
pub fn file_of(node: &str) -> &str {
    node.split_once("::").map_or(node, |(file, _)| file)
}
