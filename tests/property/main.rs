//! Properties that hold for every sequence of events.

mod audit;
mod batch;
mod health;
mod policy;
mod reference;
