//! What the evidence says about a test, and which evidence is missing.

use super::evidence::{Knowledge, Observation};
use super::search::{Answer, Search, search};
use super::test_index::TestId;

/// How many known causes are tried before searching for others.
const MAX_HINTS: usize = 3;

/// How a test differs between the suite's order and a separate process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Passes in the suite's order but fails alone: it needs something that an earlier test left.
    Dependent,
    /// Passes alone but fails in the suite's order: something that an earlier test left breaks it.
    Polluted,
}

/// What was found out about a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestFinding {
    /// It passes both ways.
    Clean,
    /// It fails both ways, so it neither needs earlier state nor suffers from it.
    Fails,
    /// One of the two ways, it was skipped, never ran, or its file's earlier tests ran on another process.
    NotJudged,
    /// It depends on what these tests left.
    Differs {
        /// How it differs.
        difference: Difference,
        /// The tests that left it; at least one.
        causes: Vec<TestId>,
        /// How many times it was seen alone.
        alone: usize,
        /// How many times it was seen after its causes.
        together: usize,
    },
    /// It differs, but no small part of what ran before explains it.
    Unexplained(Difference),
    /// Alone, it does one thing on the first process of a pytest and another on a later one. So it is not the app
    /// but the test side that keeps something, such as a fixture that outlives the process.
    KeepsOldProcess {
        /// Whether it passes on the first.
        passes_first: bool,
    },
    /// Under the same conditions it sometimes passes and sometimes fails.
    Flaky {
        /// How many times it passed.
        passed: usize,
        /// How many times it failed.
        failed: usize,
        /// What had run before on its process.
        context: Vec<TestId>,
    },
}

/// What is known about a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is settled.
    Settled(TestFinding),
    /// It has not had its turn in the suite's order, or on a separate process.
    Pending,
    /// It differs. To find out why takes more experiments.
    Open {
        /// How it differs.
        difference: Difference,
        /// Which experiments are missing.
        wanted: Vec<Wanted>,
    },
}

/// What must run to answer a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The test alone, in its own pytest.
    Alone,
    /// The test alone, after all that came before it, each file on its own process.
    Respawned,
    /// These tests before the test.
    After(Vec<TestId>),
}

/// A test that alone makes the difference for another one.
#[derive(Debug, PartialEq, Eq)]
struct Hint {
    difference: Difference,
    cause: TestId,
    affected: TestId,
}

/// Judges tests by the evidence.
pub struct Judge<'a> {
    knowledge: &'a Knowledge,
    /// How many times every difference must be seen, on either side.
    repeat: usize,
    /// What is known of one test may help to explain another.
    hints: Vec<Hint>,
}

impl<'a> Judge<'a> {
    /// Judges by the evidence so far.
    #[must_use]
    pub fn new(knowledge: &'a Knowledge, repeat: u32) -> Self {
        let repeat = usize::try_from(repeat).unwrap_or(usize::MAX);
        let mut judge = Self {
            knowledge,
            repeat,
            hints: Vec::new(),
        };
        for test in 0..knowledge.test_index().tests().len() {
            let Some((difference, question)) = judge.question(test) else {
                continue;
            };
            // Its difference needs no cause, so what it was seen after tells nothing about other tests.
            if flaky(knowledge.observations(test)).is_some() || question.is_seen_alone() {
                continue;
            }
            for seen in knowledge.observations(test) {
                let [cause] = seen.context[..] else { continue };
                let hint = Hint {
                    difference,
                    cause,
                    affected: test,
                };
                if !judge.hints.contains(&hint) && question.answer(&[cause], repeat) == Answer::Yes {
                    judge.hints.push(hint);
                }
            }
        }
        judge
    }

    /// Judges a test.
    #[must_use]
    pub fn state(&self, test: TestId) -> State {
        let file = self.knowledge.test_index().file_of(test);
        if let Some(flaky) = flaky(self.knowledge.observations(test)) {
            return State::Settled(flaky);
        }
        if !self.knowledge.has_run_warm(file) || !self.knowledge.has_run_fresh(file) {
            return State::Pending;
        }
        let (Some(warm), Some(fresh)) = (self.knowledge.warm(test), self.knowledge.fresh(test)) else {
            return State::Settled(TestFinding::NotJudged);
        };
        if warm.own != fresh.own || !fresh.context.is_empty() {
            return State::Settled(TestFinding::NotJudged);
        }
        match self.question(test) {
            Some((difference, question)) => self.explain(difference, &question, &warm.context),
            None if warm.passed => State::Settled(TestFinding::Clean),
            None => State::Settled(TestFinding::Fails),
        }
    }

    /// If a test differs: how, and what to find out.
    fn question(&self, test: TestId) -> Option<(Difference, Question<'a>)> {
        let (warm, fresh) = (self.knowledge.warm(test)?, self.knowledge.fresh(test)?);
        let difference = match (warm.passed, fresh.passed) {
            (true, false) => Difference::Dependent,
            (false, true) => Difference::Polluted,
            _ => return None,
        };
        let question = Question {
            knowledge: self.knowledge,
            test,
            own: &warm.own,
            effect: warm.passed,
        };
        Some((difference, question))
    }

    fn explain(&self, difference: Difference, question: &Question<'_>, context: &[TestId]) -> State {
        let mut wanted = Vec::new();
        let first = || question.seen_after(&[]).filter(|seen| seen.past.is_none());
        let later = question
            .seen_after(&[])
            .filter(|seen| seen.past.is_some())
            .count();
        if question.is_seen_alone() {
            // The first process of a separate pytest is not like a later one, so observe both again.
            if first().count() < self.repeat {
                wanted.push(Wanted::Alone);
            } else if later < self.repeat {
                wanted.push(Wanted::Respawned);
            } else {
                let passes_first = question.effect;
                return State::Settled(TestFinding::KeepsOldProcess { passes_first });
            }
            return self.open(question, difference, wanted);
        }
        let alone = first().count() + later;
        if first().count() == 0 || alone < self.repeat {
            wanted.push(Wanted::Alone);
        }
        // Not what a test was seen after because others of its file asked for it: it may not be the latest cause.
        let of_others = |hint: &&Hint| hint.difference == difference && hint.affected != question.test;
        let hint = |test: &&TestId| {
            self.hints
                .iter()
                .filter(of_others)
                .any(|hint| hint.cause == **test)
        };
        let hints: Vec<_> = context
            .iter()
            .rev()
            .filter(hint)
            .take(MAX_HINTS)
            .copied()
            .collect();
        match question.causes(context, &hints, self.repeat) {
            Search::Ask(before) => wanted.push(Wanted::After(before)),
            Search::GivenUp if wanted.is_empty() => {
                return State::Settled(TestFinding::Unexplained(difference));
            }
            Search::Found(causes) if wanted.is_empty() => {
                return State::Settled(TestFinding::Differs {
                    difference,
                    alone,
                    together: question.seen_after(&causes).count(),
                    causes,
                });
            }
            Search::GivenUp | Search::Found(_) => {}
        }
        self.open(question, difference, wanted)
    }

    fn open(&self, question: &Question<'_>, difference: Difference, wanted: Vec<Wanted>) -> State {
        let file = self.knowledge.test_index().file_of(question.test);
        let enough = self.repeat.saturating_mul(2);
        let tried_in_vain = wanted.iter().any(|wanted| match wanted {
            Wanted::Alone => self.knowledge.times_tried(&[], question.test) >= enough,
            Wanted::Respawned => self.knowledge.times_fresh(file) > enough,
            Wanted::After(_) => false,
        });
        if tried_in_vain {
            return State::Settled(TestFinding::NotJudged);
        }
        State::Open { difference, wanted }
    }
}

/// The question which tests make the difference for a test.
struct Question<'a> {
    knowledge: &'a Knowledge,
    test: TestId,
    /// What its process has served of its own file.
    own: &'a [TestId],
    /// The result of the test if the difference is made: it passes, or it fails.
    effect: bool,
}

impl Question<'_> {
    /// Tries tests that are known to matter to others, then files, then the tests of the files that were found.
    /// Items are test ids here.
    fn causes(&self, context: &[TestId], hints: &[TestId], repeat: usize) -> Search {
        let causes = match self.guess(hints) {
            Search::GivenUp => self.narrow(context),
            found => found,
        };
        let Search::Found(causes) = causes else {
            return causes;
        };
        // Do the same once more, one right after the other, because a result that varies in every run shows it
        // here.
        match self.answer(&causes, repeat) {
            Answer::Yes => Search::Found(causes),
            Answer::No => Search::GivenUp,
            Answer::Unknown => Search::Ask(causes),
        }
    }

    fn guess(&self, hints: &[TestId]) -> Search {
        for hint in hints {
            match self.answer(&[*hint], 1) {
                Answer::Yes => return Search::Found(vec![*hint]),
                Answer::No => {}
                Answer::Unknown => return Search::Ask(vec![*hint]),
            }
        }
        Search::GivenUp
    }

    fn narrow(&self, context: &[TestId]) -> Search {
        let test_index = self.knowledge.test_index();
        let files = context.chunk_by(|a, b| test_index.file_of(*a) == test_index.file_of(*b));
        let found = match self.search(&files.map(<[_]>::to_vec).collect::<Vec<_>>()) {
            Search::Found(tests) => tests,
            other => return other,
        };
        let tests: Vec<_> = found.iter().map(|test| vec![*test]).collect();
        match self.search(&tests) {
            // Its tests have this effect only all together.
            Search::GivenUp => Search::Found(found),
            other => other,
        }
    }

    fn search(&self, groups: &[Vec<TestId>]) -> Search {
        if groups.is_empty() {
            return Search::GivenUp;
        }
        let seconds = |tests: &[TestId]| tests.iter().map(|test| self.knowledge.seconds(*test)).sum();
        let costs: Vec<f64> = groups.iter().map(|group| seconds(group)).collect();
        let own = seconds(self.own) + self.knowledge.seconds(self.test);
        let tests = |part: &[usize]| -> Vec<TestId> {
            let mut tests: Vec<_> = part.iter().flat_map(|group| groups[*group].clone()).collect();
            tests.sort_unstable();
            tests
        };
        let effect = |part: &[usize], times| self.answer(&tests(part), times);
        match search(&costs, own + self.knowledge.overhead(), &effect) {
            Search::Ask(part) => Search::Ask(tests(&part)),
            Search::Found(part) => Search::Found(tests(&part)),
            Search::GivenUp => Search::GivenUp,
        }
    }

    fn answer(&self, before: &[TestId], times: usize) -> Answer {
        if self.seen_after(before).any(|seen| seen.passed != self.effect) {
            return Answer::No;
        }
        if self.seen_after(before).count() >= times {
            return Answer::Yes;
        }
        // It was tried without a result: the app failed before the test's turn, or the test was skipped.
        if self.knowledge.times_tried(before, self.test) >= times {
            return Answer::No;
        }
        Answer::Unknown
    }

    /// Whether the difference was seen in a separate pytest, without anything before it.
    fn is_seen_alone(&self) -> bool {
        self.seen_after(&[])
            .any(|seen| seen.past.is_none() && seen.passed == self.effect)
    }

    /// How the test ended when its process had served these tests of other files.
    fn seen_after(&self, context: &[TestId]) -> impl Iterator<Item = &Observation> {
        let all = self.knowledge.observations(self.test).iter();
        all.filter(move |seen| seen.context == context && seen.own == self.own)
    }
}

/// The first conditions under which it both passed and failed.
fn flaky(observations: &[Observation]) -> Option<TestFinding> {
    let circumstances = |seen: &Observation| (seen.context.clone(), seen.own.clone(), seen.past);
    observations.iter().find_map(|one| {
        let same = observations
            .iter()
            .filter(|other| circumstances(other) == circumstances(one));
        let (passed, failed): (Vec<_>, Vec<_>) = same.partition(|seen| seen.passed);
        (!passed.is_empty() && !failed.is_empty()).then(|| TestFinding::Flaky {
            passed: passed.len(),
            failed: failed.len(),
            context: one.context.clone(),
        })
    })
}
