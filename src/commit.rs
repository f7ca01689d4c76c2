//! The commit as a state machine that does nothing itself.
//!
//! A commit has three ends: landed, lost, unknown. Files are deleted only after *lost*; after *unknown* nothing is deleted (P2).
//! [`crate::ops::land`] performs the effects and feeds the answers back.

use crate::error::Error;
use crate::model::Version;

/// What came back from trying a commit once, or from reading history for it.
#[derive(Debug)]
pub enum Answer {
    /// It is in the table.
    Ours(Version),
    /// The place is another's: this attempt can never land.
    Taken,
    /// Nothing certain: it may have landed, or may yet.
    Silence(Error),
    /// The attempt was turned down before anything that could land was sent.
    Rejected(Error),
}

/// How far a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Attempt number `attempt` (from 1) is under way.
    Offered {
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// The table's history is being read for our operation.
    Asking {
        /// Number of the attempt that got no answer.
        attempt: u32,
    },
    /// It is in the table.
    Landed(Version),
    /// It is not, and cannot come to be.
    Lost,
    /// It may be, or may yet come to be.
    Unknown,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reload, check our own assumptions again, and offer what still holds.
    Rebase,
    /// Read the table's history for the operation id.
    ReadHistory,
    /// Delete what was written for this commit.
    DeleteWritten,
    /// Nothing more.
    Stop,
}

impl State {
    /// The state of a first attempt.
    pub const fn first() -> Self {
        Self::Offered { attempt: 1 }
    }

    /// The next state and what to do, given an answer. `attempts` is how many may be made in all.
    #[must_use]
    pub const fn on(self, answer: &Answer, attempts: u32) -> (Self, Effect) {
        match (self, answer) {
            (Self::Offered { .. } | Self::Asking { .. }, Answer::Ours(version)) => (Self::Landed(*version), Effect::Stop),
            (Self::Offered { attempt } | Self::Asking { attempt }, Answer::Taken) if attempt < attempts => {
                (Self::Offered { attempt: attempt + 1 }, Effect::Rebase)
            }
            (Self::Offered { .. } | Self::Asking { .. }, Answer::Taken) | (Self::Offered { .. }, Answer::Rejected(_)) => {
                (Self::Lost, Effect::DeleteWritten)
            }
            (Self::Offered { attempt }, Answer::Silence(_)) => (Self::Asking { attempt }, Effect::ReadHistory),
            (Self::Asking { .. }, Answer::Silence(_) | Answer::Rejected(_)) => (Self::Unknown, Effect::Stop),
            (end @ (Self::Landed(_) | Self::Lost | Self::Unknown), _) => (end, Effect::Stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Answer {
        Answer::Silence(Error::unavailable("no answer"))
    }

    #[test]
    fn silence_is_answered_from_history_and_never_deletes() {
        let (asking, effect) = State::first().on(&silence(), 4);
        assert_eq!((asking, effect), (State::Asking { attempt: 1 }, Effect::ReadHistory));
        assert_eq!(asking.on(&silence(), 4), (State::Unknown, Effect::Stop));
        assert_eq!(asking.on(&Answer::Ours(Version(7)), 4), (State::Landed(Version(7)), Effect::Stop));
    }

    #[test]
    fn a_taken_place_is_tried_again_until_the_attempts_are_used_up() {
        let (second, effect) = State::first().on(&Answer::Taken, 2);
        assert_eq!((second, effect), (State::Offered { attempt: 2 }, Effect::Rebase));
        assert_eq!(second.on(&Answer::Taken, 2), (State::Lost, Effect::DeleteWritten));
    }

    #[test]
    fn an_end_stays_an_end() {
        for end in [State::Landed(Version(1)), State::Lost, State::Unknown] {
            for answer in [Answer::Ours(Version(2)), Answer::Taken, silence()] {
                assert_eq!(end.on(&answer, 9), (end, Effect::Stop));
            }
        }
    }
}
