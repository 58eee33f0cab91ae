//! Which live test files depend on what an earlier one left in the app: found out by experiment.
//!
//! ```text
//! evidence (what was seen) ─▶ verdict ─ search ─▶ plan ─ experiments ─▶ drive ─▶ pytest, one each
//!        ▲                      pure                                      │
//!        └────────────────────────── trials ◀─────────────────────────────┘ store: audit.json
//! ```

mod ask;
mod drive;
mod evidence;
mod experiment;
mod marks;
mod plan;
mod report;
mod roster;
mod search;
mod setup;
mod store;
mod trial;
mod verdict;

pub use ask::outlines;
pub use drive::{Audit, Watcher};
pub use evidence::{Knowledge, Observation};
pub use experiment::Running;
pub use marks::{Outline, mark_word, patch};
pub use plan::{plan, seconds_left};
pub use report::{Added, Cost, Finding, Found, Mark, Report, report};
pub use roster::{FileId, Roster, TestId};
pub use search::{Answer, MAX_CAUSES, Search, search};
pub use setup::Setup;
pub use store::{AUDIT_FILE, AUDIT_SCHEMA, Progress, Record, Store};
pub use trial::{Crash, Experiment, Kind, Outcome, Seen, Trial};
pub use verdict::{Difference, Judge, State, Verdict, Wanted};
