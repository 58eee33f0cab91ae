//! Decides with what a phase of a test (its set-up, call or tear-down) must fail. Pure.

/// How a phase ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseEnd {
    /// It returned.
    Returned,
    /// It raised an `Exception`.
    Raised,
    /// It raised what `pytest.fail()` raises.
    Failed,
    /// It raised something else: it was skipped, or was interrupted.
    Left,
}

/// Which answer about the app counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// None: the phase ends as it did.
    None,
    /// What the test was told when it was interrupted.
    Told,
    /// What is known about the app, without querying it.
    Known,
    /// What the app answers when it is queried now; if that is nothing, what the test was told.
    AskedNow,
}

/// Decides which answer counts. `told`: the test was told about trouble. `asks`: a crash must not be left for the
/// next test, so the app is queried even after a phase that returned.
#[must_use]
pub const fn answer_at_end(end: PhaseEnd, told: bool, asks: bool) -> Answer {
    match (end, told) {
        // The app's current answer says more than an error that the test made of what it was told.
        (PhaseEnd::Raised, _) | (PhaseEnd::Failed, false) => Answer::AskedNow,
        (PhaseEnd::Returned | PhaseEnd::Failed | PhaseEnd::Left, true) => Answer::Told,
        (PhaseEnd::Returned, false) if asks => Answer::AskedNow,
        (PhaseEnd::Returned, false) => Answer::Known,
        (PhaseEnd::Left, false) => Answer::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_was_told_counts_unless_it_raised_an_error_of_its_own() {
        for asks in [false, true] {
            assert_eq!(answer_at_end(PhaseEnd::Returned, true, asks), Answer::Told);
            assert_eq!(answer_at_end(PhaseEnd::Failed, true, asks), Answer::Told);
            assert_eq!(answer_at_end(PhaseEnd::Left, true, asks), Answer::Told);
            assert_eq!(answer_at_end(PhaseEnd::Raised, true, asks), Answer::AskedNow);
        }
    }

    #[test]
    fn a_skip_needs_no_word_of_the_app_and_an_error_always_does() {
        for asks in [false, true] {
            assert_eq!(answer_at_end(PhaseEnd::Left, false, asks), Answer::None);
            assert_eq!(answer_at_end(PhaseEnd::Raised, false, asks), Answer::AskedNow);
            assert_eq!(answer_at_end(PhaseEnd::Failed, false, asks), Answer::AskedNow);
        }
    }

    #[test]
    fn a_set_up_that_went_well_asks_nobody() {
        assert_eq!(answer_at_end(PhaseEnd::Returned, false, false), Answer::Known);
        assert_eq!(answer_at_end(PhaseEnd::Returned, false, true), Answer::AskedNow);
    }
}
