//! The mode: where it comes from, how long it holds, and how it is kept.

use filter_common::settings::Mode;

use super::{
    Effect, Engine, File, RequestId,
    kept::Then,
    operator::shown,
    steer::{Traffic, few_sources},
};
use crate::{
    clock::Now,
    protocol::{Answer, ModeAnswer, ModeRequest, Refused},
};

/// Where the mode comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeFrom {
    /// `datapath.mode`.
    Configuration,
    /// `weir run --mode`.
    CommandLine,
    /// The operator gave it while the daemon ran; it outlives a restart.
    WeirMode,
    /// The file that keeps it is damaged.
    Damaged,
}

impl ModeFrom {
    /// The spelling in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::CommandLine => "command line",
            Self::WeirMode => "weir mode",
            Self::Damaged => "the kept mode is damaged",
        }
    }
}

/// The end of a mode that holds for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModeEnd {
    /// When, in milliseconds since boot.
    pub(super) at: u64,
    /// The mode that holds then, and where it comes from.
    then: Mode,
    then_from: ModeFrom,
}

/// A mode as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptMode {
    pub(super) mode: Mode,
    /// Until which Unix second, and the mode that holds then; `None`: the
    /// configuration's.
    pub(super) until: Option<(u32, Option<Mode>)>,
}

/// A change of the mode on its way: to the disk, then to the tables.
#[derive(Debug)]
pub(super) struct ModePending {
    /// `None`: a mode that held for a time has ended.
    id: Option<RequestId>,
    mode: Mode,
    from: ModeFrom,
    ends: Option<ModeEnd>,
    was: (Mode, ModeFrom, Option<ModeEnd>),
    notes: Vec<String>,
}

impl KeptMode {
    pub(super) fn text(&self) -> String {
        let mode = self.mode.name();
        match self.until {
            None => mode.to_owned(),
            Some((until, then)) => {
                let then = then.map_or(CONFIGURED, Mode::name);
                format!("{mode} until {until} then {then}")
            }
        }
    }

    /// Reads what [`text`](Self::text) wrote; `None`: it is something else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mode = |text| match text {
            "observe" => Some(Mode::Observe),
            "enforce" => Some(Mode::Enforce),
            _ => None,
        };
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            [one] => Some(Self {
                mode: mode(one)?,
                until: None,
            }),
            [one, "until", until, "then", then] => Some(Self {
                mode: mode(one)?,
                until: Some((
                    until.parse().ok()?,
                    if then == CONFIGURED {
                        None
                    } else {
                        Some(mode(then)?)
                    },
                )),
            }),
            _ => None,
        }
    }
}

impl Engine {
    /// `weir mode`.
    pub(super) fn change_mode(
        &mut self,
        id: RequestId,
        request: ModeRequest,
        traffic: Option<Traffic>,
        now: Now,
    ) {
        let was = (self.mode(), self.mode_from, self.mode_ends);
        let mut notes = Vec::new();
        if request.mode == Mode::Enforce
            && was.0 == Mode::Observe
            && let Some(few) = traffic.as_ref().and_then(few_sources)
        {
            if !request.force {
                let sentence = format!(
                    "{few}: a rate or a verdict on one of them would hit everybody behind it. If \
                     that is how it should be, say it again with --force"
                );
                return self.answer(id, Err(Refused::new(sentence)));
            }
            notes.push(few);
        }
        let ends = match request.for_s {
            None => None,
            Some(0) => {
                let sentence = "a mode for no time changes nothing: give a longer one";
                return self.answer(id, Err(Refused::new(sentence)));
            }
            Some(seconds) if seconds > LONGEST_SECONDS => {
                let sentence = "that is longer than weir can count: leave out the duration";
                return self.answer(id, Err(Refused::new(sentence)));
            }
            Some(seconds) => {
                // Given for a time twice, it goes back to what held before the first.
                let (then, then_from) = self
                    .mode_ends
                    .map_or((was.0, was.1), |ends| (ends.then, ends.then_from));
                Some(ModeEnd {
                    at: now.boot_ms + seconds * 1_000,
                    then,
                    then_from,
                })
            }
        };
        let pending = ModePending {
            id: Some(id),
            mode: request.mode,
            from: ModeFrom::WeirMode,
            ends,
            was,
            notes,
        };
        let content = Some(kept(request.mode, ends, now).text());
        self.persist(File::Mode, content, Some(Then::Mode(pending)), now);
    }

    /// The mode is kept, or can't be: it takes effect.
    pub(super) fn mode_kept(
        &mut self,
        mut pending: ModePending,
        unkept: Option<String>,
        _now: Now,
    ) {
        if let Some(why) = unkept {
            pending.notes.push(format!(
                "it is in force, but a restart would forget it until it is kept: {why}"
            ));
        }
        self.mode_from = pending.from;
        self.mode_ends = pending.ends;
        self.troubles.mode = None;
        self.settings.mode = pending.mode as u8;
        self.setting.push_back(Some(pending));
        self.effects.push_back(Effect::Set(self.settings));
    }

    /// The mode is in force, or the kernel refused it.
    pub(super) fn mode_put(&mut self, pending: ModePending, result: Result<(), String>, now: Now) {
        let ModePending {
            id,
            mode,
            ends,
            was,
            notes,
            ..
        } = pending;
        if let Err(why) = result {
            let (mode, from, ends) = was;
            self.settings.mode = mode as u8;
            (self.mode_from, self.mode_ends) = (from, ends);
            self.keep_mode(now);
            if let Some(id) = id {
                let sentence = format!(
                    "the kernel refused the settings, so the mode stays {}: {why}",
                    mode.name()
                );
                self.answer(id, Err(Refused::new(sentence)));
            }
            return;
        }
        // The first drop of each source is reported anew: it is another thing now.
        tracing::info!(mode = mode.name(), "the mode is another");
        if let Some(id) = id {
            let answer = ModeAnswer {
                mode,
                was: was.0,
                until: ends.map(|ends| shown(now.unix_at(ends.at))),
                notes,
            };
            self.answer(id, Ok(Answer::Mode(answer)));
        }
    }

    /// Ends a mode that held for a time.
    pub(super) fn pass_mode(&mut self, now: Now) {
        let Some(ends) = self.mode_ends.filter(|ends| ends.at <= now.boot_ms) else {
            return;
        };
        // Not twice, while the disk is waited for.
        self.mode_ends = None;
        tracing::warn!(mode = ends.then.name(), "the time of the mode is over");
        let pending = ModePending {
            id: None,
            mode: ends.then,
            from: ends.then_from,
            ends: None,
            was: (self.mode(), self.mode_from, None),
            notes: Vec::new(),
        };
        let content = match ends.then_from {
            ModeFrom::WeirMode => Some(kept(ends.then, None, now).text()),
            _ => None,
        };
        self.persist(File::Mode, content, Some(Then::Mode(pending)), now);
    }

    /// Keeps the end of a mode anew after a step of the wall clock.
    pub(super) fn keep_mode_anew(&mut self, now: Now) {
        if self.mode_ends.is_some() {
            self.keep_mode(now);
        }
    }

    /// Keeps the mode as it is.
    pub(super) fn keep_mode(&mut self, now: Now) {
        let content = match self.mode_from {
            ModeFrom::WeirMode => Some(kept(self.mode(), self.mode_ends, now).text()),
            // What it said before is lost, and a mode that was refused must not stand there.
            ModeFrom::Damaged => Some(kept(Mode::Observe, None, now).text()),
            ModeFrom::Configuration | ModeFrom::CommandLine => None,
        };
        self.persist(File::Mode, content, None, now);
    }

    /// When the mode ends by itself (RFC 3339).
    #[must_use]
    pub fn mode_until(&self, now: Now) -> Option<String> {
        self.mode_ends.map(|ends| shown(now.unix_at(ends.at)))
    }

    /// Takes the mode of before a restart.
    pub(super) fn recall_mode(&mut self, kept: KeptMode, now: Now) {
        let configured = (self.config.datapath.mode, ModeFrom::Configuration);
        self.mode_from = ModeFrom::WeirMode;
        self.settings.mode = kept.mode as u8;
        let Some((until, then)) = kept.until else {
            return;
        };
        let (then, then_from) = then.map_or(configured, |then| (then, ModeFrom::WeirMode));
        self.mode_ends = Some(ModeEnd {
            at: now.boot_ms_at(until),
            then,
            then_from,
        });
    }
}

fn kept(mode: Mode, ends: Option<ModeEnd>, now: Now) -> KeptMode {
    KeptMode {
        mode,
        until: ends.map(|ends| {
            let then = (ends.then_from == ModeFrom::WeirMode).then_some(ends.then);
            (now.unix_at(ends.at), then)
        }),
    }
}

/// In the place of a mode: the configuration's.
const CONFIGURED: &str = "configured";

/// A hundred years.
const LONGEST_SECONDS: u64 = 100 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_as_it_was_kept_and_nothing_else_is_one() {
        for mode in [Mode::Observe, Mode::Enforce] {
            for until in [None, Some((7, None)), Some((u32::MAX, Some(Mode::Enforce)))] {
                let kept = KeptMode { mode, until };
                assert_eq!(KeptMode::read(&kept.text()), Some(kept));
            }
        }
        for damaged in [
            "",
            " ",
            "\0\0\0",
            "enforc",
            "observe until",
            "observe until x then enforce",
            "observe until 7 then",
            "enforce observe",
        ] {
            assert_eq!(KeptMode::read(damaged), None, "{damaged:?}");
        }
    }
}
