//! The events of a run of batches, and their reporters: the terminal, `JUnit`, GitHub, a page.

use std::io;
use std::path::Path;

use super::record::{BatchRecord, BatchesRecord};
use super::results::Results;
use super::verdict::Lost;
use crate::text::Print;
use crate::wire::EventLine;

/// An event of the run.
pub enum RunEvent<'a> {
    /// A batch begins, the `number`th of `total`; `after` names those that run after it.
    BatchStarted {
        record: &'a BatchRecord,
        number: usize,
        total: usize,
        after: Vec<String>,
    },
    /// Its pytest reported something.
    TestEvent {
        line: &'a EventLine,
        results: &'a Results,
    },
    /// Nothing happened for some milliseconds.
    TimePassed { results: &'a Results },
    /// The user wants to stop after the running test.
    StopRequested,
    /// A pytest died: these tests are lost, and this many run in another one.
    ProcessDied { lost: &'a [Lost], goes_on_with: usize },
    /// A batch left processes behind.
    Warned(&'a str),
    /// A batch has ended.
    BatchFinished { record: &'a BatchRecord },
}

/// A run that has ended.
pub struct FinishedRun<'a> {
    pub record: &'a BatchesRecord,
    /// For each batch.
    pub results: &'a [Results],
    pub folder: &'a Path,
    /// Paths are shown relative to this.
    pub root: &'a Path,
}

/// Reports a run. What cannot be written must not stop the batches.
pub trait Reporter {
    /// Reports an event.
    fn event(&mut self, _event: &RunEvent<'_>, _out: &mut dyn Print) {}

    /// Reports the end of the run.
    ///
    /// # Errors
    /// What the operating system reports if a file cannot be written.
    fn finish(&mut self, run: &FinishedRun<'_>, out: &mut dyn Print) -> io::Result<()>;
}

/// All reporters of a run, and where they print.
pub struct Reporters<'a> {
    all: Vec<Box<dyn Reporter>>,
    out: &'a mut dyn Print,
}

impl<'a> Reporters<'a> {
    /// They receive every event in this order.
    pub fn new(all: Vec<Box<dyn Reporter>>, out: &'a mut dyn Print) -> Self {
        Self { all, out }
    }

    /// Reports an event.
    pub fn event(&mut self, event: &RunEvent<'_>) {
        for reporter in &mut self.all {
            reporter.event(event, self.out);
        }
    }

    /// Reports the end of the run to all of them, even if one fails.
    ///
    /// # Errors
    /// The first error.
    pub fn finish(mut self, run: &FinishedRun<'_>) -> io::Result<()> {
        let told = self.all.iter_mut().map(|reporter| reporter.finish(run, self.out));
        told.fold(Ok(()), io::Result::and)
    }
}
