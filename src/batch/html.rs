//! The page that shows the run.

use std::io;

use super::reporter::{FinishedRun, Reporter};
use crate::text::Print;

/// Writes the page into the folder of the run, and prints where it is. A failure does not change how the run ends.
pub struct HtmlReporter;

impl Reporter for HtmlReporter {
    fn finish(&mut self, run: &FinishedRun<'_>, out: &mut dyn Print) -> io::Result<()> {
        let line = match crate::report::write_into(run.folder) {
            Ok(file) => format!(
                "report: {}",
                file.strip_prefix(run.root).unwrap_or(&file).display()
            ),
            Err(error) => format!("no report was written: {error}"),
        };
        let _ = writeln!(out, "{line}");
        Ok(())
    }
}
