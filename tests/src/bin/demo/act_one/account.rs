//! The account: every request's outcome, and what a span of time amounts to.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, Error, bail};
use rustix::time::{ClockId, clock_gettime};

use super::cast::Population;

/// The monotonic clock in microseconds: the same in every process.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64) * 1_000_000 + (now.tv_nsec as u64) / 1000
}

/// The outcome of one request. A process of clients writes one a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) population: Population,
    /// When it was begun, by [`now`].
    pub(crate) began: u64,
    /// Microseconds to its end.
    pub(crate) took: u64,
    /// Whether it was answered, whole and in time.
    pub(crate) served: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            population,
            began,
            took,
            served,
        } = self;
        write!(f, "{} {began} {took} {served}", population.name())
    }
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let mut words = line.split(' ');
        let mut word = || {
            words
                .next()
                .with_context(|| format!("a word is missing in {line:?}"))
        };
        Ok(Self {
            population: match word()? {
                "genuine" => Population::Genuine,
                "abusers" => Population::Abusers,
                other => bail!("no population is called {other:?}"),
            },
            began: word()?.parse()?,
            took: word()?.parse()?,
            served: word()?.parse()?,
        })
    }
}

/// From, and up to but not including, by [`now`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    const fn contains(self, moment: u64) -> bool {
        self.from <= moment && moment < self.to
    }
}

/// The answers that both populations had in a span.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    pub(crate) genuine: Requests,
    pub(crate) abusers: Requests,
}

/// Requests of one population in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) asked: usize,
    pub(crate) failed: usize,
    /// Of those that were answered, in microseconds.
    pub(crate) median: Option<u64>,
    /// Of those that were answered, in microseconds.
    pub(crate) p99: Option<u64>,
}

impl Requests {
    /// The number answered.
    pub(crate) const fn served(&self) -> usize {
        self.asked - self.failed
    }

    /// The share that failed, in percent.
    pub(crate) fn failed_percent(&self) -> f64 {
        self.failed as f64 * 100.0 / self.asked.max(1) as f64
    }

    fn of(outcomes: impl Iterator<Item = Outcome>) -> Self {
        let mut asked = 0;
        let mut took: Vec<u64> = outcomes
            .inspect(|_| asked += 1)
            .filter(|o| o.served)
            .map(|o| o.took)
            .collect();
        took.sort_unstable();
        // The nearest rank: the smallest that so many of a hundred don't exceed.
        let rank = |percent: usize| {
            took.get((took.len() * percent).div_ceil(100).saturating_sub(1))
                .copied()
        };
        Self {
            asked,
            failed: asked - took.len(),
            median: rank(50),
            p99: rank(99),
        }
    }
}

/// Every outcome since the beginning.
#[derive(Debug, Default)]
pub(crate) struct Account {
    outcomes: Vec<Outcome>,
}

impl Account {
    /// Takes down one more.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// The requests that were begun in a span, however long they took.
    pub(crate) fn phase(&self, span: Span) -> Share {
        self.share(|outcome| span.contains(outcome.began))
    }

    /// The requests that ended in a span.
    pub(crate) fn ended(&self, span: Span) -> Share {
        self.share(|outcome| span.contains(outcome.began + outcome.took))
    }

    fn share(&self, belongs: impl Fn(&Outcome) -> bool) -> Share {
        let of = |population| {
            Requests::of(
                self.outcomes
                    .iter()
                    .copied()
                    .filter(|o| o.population == population && belongs(o)),
            )
        };
        Share {
            genuine: of(Population::Genuine),
            abusers: of(Population::Abusers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_its_line() {
        let outcome = Outcome {
            population: Population::Abusers,
            began: 17,
            took: 4,
            served: true,
        };
        assert_eq!(
            outcome
                .to_string()
                .parse::<Outcome>()
                .expect("its own line"),
            outcome
        );
    }

    #[test]
    fn a_request_belongs_to_the_phase_it_was_begun_in() {
        let mut account = Account::default();
        for (began, served) in [(5, true), (9, false), (10, true)] {
            account.add(Outcome {
                population: Population::Genuine,
                began,
                took: 100,
                served,
            });
        }
        let Share { genuine, abusers } = account.phase(Span { from: 5, to: 10 });
        assert_eq!(
            genuine,
            Requests {
                asked: 2,
                failed: 1,
                median: Some(100),
                p99: Some(100)
            }
        );
        assert_eq!(abusers, Requests::default());
        assert_eq!(account.ended(Span { from: 105, to: 106 }).genuine.asked, 1);
    }

    #[test]
    fn percentiles_are_those_of_answered_requests() {
        let outcome = |took, served| Outcome {
            population: Population::Genuine,
            began: 0,
            took,
            served,
        };
        let answered = (1..=100).map(|took| outcome(took, true));
        let requests = Requests::of(answered.chain([outcome(9999, false)]));
        assert_eq!(
            (requests.median, requests.p99, requests.failed),
            (Some(50), Some(99), 1)
        );
    }
}
