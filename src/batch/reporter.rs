//! What happens in a run of batches, and those who tell of it: the terminal, `JUnit`, GitHub, a page.

use std::io;
use std::path::Path;

use super::record::{BatchRecord, BatchesRecord};
use super::results::Results;
use super::verdict::Lost;
use crate::text::Print;
use crate::wire::EventLine;

/// One thing that happened.
pub enum RunEvent<'a> {
    /// A batch begins, the `number`th of `total`; `after` names those that are to run after it.
    BatchStarted {
        record: &'a BatchRecord,
        number: usize,
        total: usize,
        after: Vec<String>,
    },
    /// Its pytest said something.
    TestEvent {
        line: &'a EventLine,
        results: &'a Results,
    },
    /// Nothing happened, for some milliseconds.
    TimePassed { results: &'a Results },
    /// Whoever runs the batches wants their end after the running test.
    StopRequested,
    /// A pytest died: these tests are lost, and so many run in another one.
    ProcessDied { lost: &'a [Lost], goes_on_with: usize },
    /// A batch left something behind.
    Warned(&'a str),
    /// A batch has ended.
    BatchFinished { record: &'a BatchRecord },
}

/// A run that has come to its end.
pub struct FinishedRun<'a> {
    pub record: &'a BatchesRecord,
    /// Of each batch.
    pub results: &'a [Results],
    pub folder: &'a Path,
    /// Paths are shown as they are from here.
    pub root: &'a Path,
}

/// Somebody who tells of a run. What cannot be written must not keep the batches from running.
pub trait Reporter {
    /// Something happened.
    fn event(&mut self, _event: &RunEvent<'_>, _out: &mut dyn Print) {}

    /// The run is over.
    ///
    /// # Errors
    /// What the operating system says if a file cannot be written.
    fn finish(&mut self, run: &FinishedRun<'_>, out: &mut dyn Print) -> io::Result<()>;
}

/// All who tell of a run, and where they print.
pub struct Reporters<'a> {
    all: Vec<Box<dyn Reporter>>,
    out: &'a mut dyn Print,
}

impl<'a> Reporters<'a> {
    /// They hear of everything in this order.
    pub fn new(all: Vec<Box<dyn Reporter>>, out: &'a mut dyn Print) -> Self {
        Self { all, out }
    }

    /// Something happened.
    pub fn event(&mut self, event: &RunEvent<'_>) {
        for reporter in &mut self.all {
            reporter.event(event, self.out);
        }
    }

    /// The run is over. All are told, whoever fails.
    ///
    /// # Errors
    /// The first that there was.
    pub fn finish(mut self, run: &FinishedRun<'_>) -> io::Result<()> {
        let told = self.all.iter_mut().map(|reporter| reporter.finish(run, self.out));
        told.fold(Ok(()), io::Result::and)
    }
}
