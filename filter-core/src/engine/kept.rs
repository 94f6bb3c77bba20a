//! Small files of the state folder: each is written before what it keeps takes effect,
//! and again and again until it is on the disk.

use super::{Effect, Engine, Ticket, attack::AttackPending, mode::ModePending, steer::FeedPending};
use crate::clock::Now;

/// A small file in the state folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    /// The mode that the operator gave.
    Mode,
    /// That the host is under attack, until when.
    UnderAttack,
    /// The feeds that the operator has disabled.
    DisabledFeeds,
    /// What the policy knows.
    Policy,
}

impl File {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Mode,
        Self::UnderAttack,
        Self::DisabledFeeds,
        Self::Policy,
    ];

    /// Its name in the folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::UnderAttack => "under-attack",
            Self::DisabledFeeds => "disabled-feeds",
            Self::Policy => "policy",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Mode => "the mode",
            Self::UnderAttack => "whether the host is under attack",
            Self::DisabledFeeds => "which feeds are disabled",
            Self::Policy => "what the policy knows",
        }
    }
}

/// A file whose latest content isn't on the disk yet.
#[derive(Debug)]
pub(super) struct Writing {
    /// `None`: no write is under way; the next one comes with the next retry.
    ticket: Option<Ticket>,
    content: Option<String>,
    /// Why the last write failed.
    error: Option<String>,
    /// What waits for it, and until which moment in milliseconds since boot at most.
    then: Option<(u64, Then)>,
}

/// What goes on once a file is written, or the disk takes too long for it.
#[derive(Debug)]
pub(super) enum Then {
    Mode(ModePending),
    Attack(AttackPending),
    Feed(FeedPending),
}

impl Writing {
    /// Whether the disk has it to write.
    pub(super) const fn is_under_way(&self) -> bool {
        self.ticket.is_some()
    }

    /// When whoever waits for it goes on without it.
    pub(super) fn due(&self) -> Option<u64> {
        self.then.as_ref().map(|(until, _then)| *until)
    }
}

impl Engine {
    /// Has a file written, or removed, and goes on with `then`.
    pub(super) fn persist(
        &mut self,
        file: File,
        content: Option<String>,
        then: Option<Then>,
        now: Now,
    ) {
        // Whoever waits for an older content has the newer one to thank.
        let before = self.writing.remove(&file);
        let ticket = self.ticket();
        let error = before.as_ref().and_then(|before| before.error.clone());
        let then = then.map(|then| (now.boot_ms + WRITE_TIMEOUT_MS, then));
        let writing = Writing {
            ticket: Some(ticket),
            content: content.clone(),
            error,
            then,
        };
        self.writing.insert(file, writing);
        self.effects.push_back(Effect::Persist {
            ticket,
            file,
            content,
        });
        if let Some((_, then)) = before.and_then(|before| before.then) {
            self.go_on(then, Some(OVERTAKEN.to_owned()), now);
        }
    }

    /// What came of writing a file.
    pub(super) fn written(&mut self, ticket: Ticket, result: Result<(), String>, now: Now) {
        let mut files = self.writing.iter();
        let found = files.find(|(_, writing)| writing.ticket == Some(ticket));
        let Some((&file, _)) = found else {
            // A newer content is on its way.
            return;
        };
        let Some(mut writing) = self.writing.remove(&file) else {
            return;
        };
        let then = writing.then.take();
        match &result {
            Ok(()) => {}
            Err(why) => {
                tracing::error!(file = file.name(), why, "a file can't be written");
                writing.ticket = None;
                writing.error = Some(why.clone());
                self.writing.insert(file, writing);
            }
        }
        if let Some((_, then)) = then {
            self.go_on(then, result.err(), now);
        }
    }

    /// Goes on without the disk where it takes too long.
    pub(super) fn pass_writing(&mut self, now: Now) {
        let late: Vec<_> = self
            .writing
            .iter_mut()
            .filter(|(_, writing)| writing.due().is_some_and(|due| due <= now.boot_ms))
            .filter_map(|(_, writing)| {
                writing.error = Some(SLOW.to_owned());
                writing.then.take()
            })
            .collect();
        for (_, then) in late {
            self.go_on(then, Some(SLOW.to_owned()), now);
        }
    }

    /// Writes again what couldn't be written.
    pub(super) fn retry_files(&mut self, _now: Now) {
        let failed: Vec<_> = self
            .writing
            .iter()
            .filter(|(_, writing)| writing.ticket.is_none())
            .map(|(file, _)| *file)
            .collect();
        for file in failed {
            let ticket = self.ticket();
            let Some(writing) = self.writing.get_mut(&file) else {
                continue;
            };
            writing.ticket = Some(ticket);
            let content = writing.content.clone();
            self.effects.push_back(Effect::Persist {
                ticket,
                file,
                content,
            });
        }
    }

    /// What isn't kept, and why: a sentence each.
    pub(super) fn unkept(&self) -> impl Iterator<Item = String> {
        self.writing.iter().filter_map(|(file, writing)| {
            let why = writing.error.as_ref()?;
            let what = file.what();
            Some(format!(
                "{what} can't be kept, so that a restart would forget it: {why}"
            ))
        })
    }

    fn go_on(&mut self, then: Then, unkept: Option<String>, now: Now) {
        match then {
            Then::Mode(pending) => self.mode_kept(pending, unkept, now),
            Then::Attack(pending) => self.attack_kept(pending, unkept, now),
            Then::Feed(pending) => self.feed_order_kept(pending, unkept, now),
        }
    }
}

/// Milliseconds that an order which may be urgent waits for the disk.
const WRITE_TIMEOUT_MS: u64 = 2_000;

const SLOW: &str = "the disk hasn't taken it in two seconds";

const OVERTAKEN: &str = "a newer order came before it was on the disk";
