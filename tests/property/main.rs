//! Properties that hold for every sequence of events.

mod health;
mod policy;
mod reference;
