//! `livegui top`: all apps of this user, and how they are now.
//!
//! ```text
//! runtime folder, run folders ─ finder (thread) ─┐
//! agents ─ a thread an app, once a second ───────┴─ Sighting ─▶ State (pure) ─ rows ─▶ draw, or lines
//! ```

mod draw;
mod find;
mod state;

pub use draw::draw;
pub use find::{Finder, Sighting};
pub use state::{Filter, Key, Next, Row, State};
