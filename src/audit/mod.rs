//! Finds out by experiment which live test files depend on what an earlier one left in the app.
//!
//! ```text
//! evidence (what was seen) ─▶ verdict ─ search ─▶ plan ─ experiments ─▶ drive ─▶ pytest, one each
//!        ▲                      pure                                      │
//!        └────────────────────────── results ◀─────────────────────────────┘ store: audit.json
//! ```

mod drive;
mod evidence;
mod experiment;
mod experiment_result;
mod finding;
mod marks;
mod plan;
mod probe;
mod report;
mod search;
mod setup;
mod store;
mod test_index;

pub use drive::{Audit, Watcher};
pub use evidence::{Knowledge, Observation};
pub use experiment::Running;
pub use experiment_result::{Crash, Experiment, ExperimentOutcome, ExperimentResult, Kind, Observed};
pub use finding::{Difference, Judge, State, TestFinding, Wanted};
pub use marks::{Outline, mark_word, patch};
pub use plan::{plan, seconds_left};
pub use probe::outlines;
pub use report::{Added, Cost, Finding, Found, Mark, Report, report};
pub use search::{Answer, MAX_CAUSES, Search, search};
pub use setup::Setup;
pub use store::{AUDIT_FILE, AUDIT_SCHEMA, Progress, Record, Store};
pub use test_index::{FileId, TestId, TestIndex};
