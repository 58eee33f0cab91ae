//! Measures how long a process was ready to run but hardly got a processor. What its own threads measure cannot tell
//! that from native code that holds the interpreter: in both cases nothing in it runs.

use std::time::{Duration, Instant};

use crate::process::{Scheduling, scheduling};

/// A process that gets less than this much of one processor, although it is ready to run, is starved.
const ENOUGH: f64 = 0.5;

/// The starvation of one process, from look to look.
#[derive(Debug)]
pub struct Starvation {
    pid: u32,
    before: Option<(Instant, Scheduling)>,
    total: Duration,
}

impl Starvation {
    /// Of a process that nobody has looked at yet.
    pub const fn new(pid: u32) -> Self {
        Self {
            pid,
            before: None,
            total: Duration::ZERO,
        }
    }

    /// The time since the first look in which the process was starved. Always zero where the system does not tell.
    pub fn look(&mut self) -> Duration {
        if let Some(scheduling) = scheduling(self.pid) {
            self.note(Instant::now(), scheduling);
        }
        self.total
    }

    fn note(&mut self, at: Instant, now: Scheduling) {
        if let Some((since, before)) = self.before.replace((at, now)) {
            let passed = at - since;
            let used = now.cpu.saturating_sub(before.cpu);
            // Threads that wait for the interpreter are ready for a moment, again and again.
            if before.is_ready && now.is_ready && used < passed.mul_f64(ENOUGH) {
                self.total += passed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_is_ready_to_run_and_does_not_is_starved() {
        let start = Instant::now();
        let mut starvation = Starvation::new(0);
        let mut after = |ms: u64, cpu_ms: u64, is_ready: bool| {
            let cpu = Duration::from_millis(cpu_ms);
            starvation.note(start + Duration::from_millis(ms), Scheduling { cpu, is_ready });
            starvation.total.as_millis()
        };
        assert_eq!(after(0, 1000, true), 0);
        assert_eq!(after(100, 1090, true), 0, "it runs");
        assert_eq!(after(200, 1090, false), 0, "it sleeps");
        assert_eq!(after(300, 1110, true), 0, "it may have got ready just now");
        assert_eq!(after(400, 1130, true), 100, "it gets a fifth of a processor");
        assert_eq!(after(500, 1130, true), 200);
    }
}
