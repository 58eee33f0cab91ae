//! The border to the operating system's processes. No other code queries or signals them.
//!
//! A process is identified by a [`ProcessId`], which stays valid when the clock is set or a number is reused. It is
//! known to be alive, known to be gone, or neither. Only verified processes are signalled.

mod child;
mod condition;
mod handle;
mod id;
mod parent;
pub mod port;
#[cfg(target_os = "linux")]
mod proc_text;
mod signal;
mod start;
mod table;
#[cfg(windows)]
#[allow(unsafe_code, reason = "jobs and handles have no safe form")]
mod windows;

pub use child::{Child, Exit};
pub use condition::{Condition, Scheduling, State, condition, scheduling};
pub use handle::Handle;
pub use id::{Liveness, liveness, program};
pub use parent::{Parent, end_after_family, end_with_parent};
pub use table::{Mark, environment, family, family_of_child, marked};
#[cfg(windows)]
pub use windows::run as run_in_our_place;

pub use crate::wire::ProcessId;
