//! The journal of the operator's claims in the state folder: a write-ahead log of
//! NDJSON claims and withdrawals. A change that was answered with success is on disk.
//!
//! It also holds the live claims in memory, so that it can be written anew whatever
//! became of the file. Blocking I/O: not for a task. Time comes in as an argument.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{files, state_dir};
use crate::{
    claim::{Change, Claim, Verdict},
    feed::{
        Rules, Tiers,
        codec::{
            self, BadLine,
            ndjson::{self, Unwritable, encode},
        },
    },
    prefix::Prefix,
};

/// The journal, open for more.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    tiers: Tiers,
    file: File,
    /// The file as it was left; `None` where it isn't known what it ends with, since a
    /// write failed and couldn't be undone.
    left: Option<Mark>,
    lines: usize,
    /// What the file says.
    live: BTreeMap<Prefix, Claim>,
    /// Lines up to which compacting isn't tried again, after it failed.
    patience: usize,
}

/// What a file is as long as nobody else changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    file: (u64, u64),
    length: u64,
    written: (i64, i64),
}

/// Why the operator's claims can't be stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal has no words for it.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// The system refuses. (Its words are in the sentence, so that it isn't a source.)
    #[error("the operator's claims in {} can't be {doing}: {error}", path.display())]
    Io {
        /// What was being tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Journal {
    /// Opens the journal in the state folder, making both if need be, and gives the
    /// operator's claims that aren't withdrawn, in order of the prefixes, and a
    /// sentence for everything that was wrong with the file.
    ///
    /// `now` is Unix time in seconds: a claim that expired a day ago is forgotten.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub fn open(
        folder: &Path,
        tiers: Tiers,
        now: u32,
    ) -> Result<(Self, Vec<Claim>, Vec<String>), Error> {
        make(folder).map_err(failed("made", folder))?;
        let path = folder.join(NAME);
        let read = match files::read(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let Replayed {
            live,
            lines,
            torn,
            damaged,
            mut warnings,
        } = replay(&read, &tiers, now);
        let file = open(&path).map_err(failed("opened", &path))?;
        let mut journal = Self {
            file,
            folder: folder.to_owned(),
            tiers,
            left: None,
            lines,
            live,
            patience: 0,
        };
        if torn > 0 {
            let whole = (read.len() - torn) as u64;
            let cut = journal.file.set_len(whole);
            cut.map_err(failed("cut", &path))?;
            warnings.push(format!(
                "the last {torn} bytes of {path:?} were cut off: writing them never finished, \
                 and no success was answered"
            ));
        }
        // A full disk must not keep the claims from being in force.
        match journal.tidy(&damaged) {
            Ok(()) if damaged.is_empty() => {}
            Ok(()) => warnings.push(format!(
                "{} lines that can't be read are kept in {:?}",
                damaged.len(),
                folder.join(DAMAGED)
            )),
            Err(error) => warnings.push(error.to_string()),
        }
        let claims = journal.live.values().cloned().collect();
        Ok((journal, claims, warnings))
    }

    /// Adds tiers that claims may name from now on, besides those they could before:
    /// claims that name one of these may stand.
    pub fn learn(&mut self, tiers: &Tiers) {
        if self.tiers != *tiers {
            Arc::make_mut(&mut self.tiers)
                .extend(tiers.iter().map(|(name, tier)| (name.clone(), *tier)));
        }
    }

    /// Adds these changes; when it returns, they are on disk, in order. After a
    /// crash within it, the first few of them may be.
    ///
    /// If somebody else has removed, replaced or changed the file, it is written anew
    /// from the live claims, and a sentence says so.
    ///
    /// # Errors
    /// If one of them can't be written; then none is kept.
    pub fn append<'c>(
        &mut self,
        changes: impl IntoIterator<Item = &'c Change>,
        now: u32,
    ) -> Result<Option<String>, Error> {
        let mut text = String::new();
        let mut added = Vec::new();
        for change in changes {
            text += &encode(change, &self.tiers)?;
            added.push(change);
        }
        let ours = self.is_ours();
        if ours {
            self.write(&text)?;
        }
        let mut warning = None;
        // Looked at once more: it may have been changed while it was written.
        if !ours || !self.is_ours() {
            warning = self.keep_foreign();
            self.rewrite(&text)?;
        }
        self.lines += added.len();
        for change in added {
            apply(&mut self.live, change.clone());
        }
        if self.lines > most(self.live.len()).max(self.patience) {
            self.live.retain(|_, claim| !is_forgotten(claim, now));
            if let Err(error) = self.rewrite("") {
                // Nothing is lost; it is tried again when it has grown as much again.
                tracing::warn!(%error, "the journal of the operator's claims can't be compacted");
                self.patience = most(self.lines);
            }
        }
        Ok(warning)
    }

    /// Tells whether the file at its path is the one that was left there, as it was
    /// left.
    fn is_ours(&self) -> bool {
        let there = self.path().metadata().ok();
        self.left.is_some() && there.as_ref().map(Mark::of) == self.left
    }

    /// Writes lines behind all others, in one piece, and brings them to disk.
    fn write(&mut self, text: &str) -> Result<(), Error> {
        let length = self.left.map_or(0, |left| left.length);
        // At its place, since after a failure the file may be longer.
        let written = self.file.write_all_at(text.as_bytes(), length);
        let written = written.and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let undone = self.file.set_len(length);
            self.left = None;
            if undone.and_then(|()| self.file.sync_data()).is_ok() {
                self.left = self.file.metadata().ok().as_ref().map(Mark::of);
            }
            return Err(failed("written", &self.path())(error));
        }
        self.left = self.file.metadata().ok().as_ref().map(Mark::of);
        Ok(())
    }

    /// Keeps aside what somebody else put in the journal's place, and gives a sentence
    /// about it; `None` where it was a write of ours that failed.
    fn keep_foreign(&self) -> Option<String> {
        self.left?;
        let (path, aside) = (self.path(), self.folder.join(FOREIGN));
        let mut warning = format!(
            "somebody else has removed, replaced or changed {path:?}: it is written anew, with \
             all of the operator's claims"
        );
        let something = path.metadata();
        if something.is_ok_and(|there| there.is_file() && there.len() > 0) {
            // A second name, so that a crash from here on finds what it would have found.
            let _there_was_none = fs::remove_file(&aside);
            if fs::hard_link(&path, &aside).is_ok() {
                warning += &format!("; what stood there is in {aside:?}");
            }
        }
        Some(warning)
    }

    /// Leaves only lines that say something, once the damaged ones are safe.
    fn tidy(&mut self, damaged: &[&[u8]]) -> Result<(), Error> {
        if damaged.is_empty() && self.lines == self.live.len() {
            return self.sync();
        }
        if !damaged.is_empty() {
            let aside = self.folder.join(DAMAGED);
            keep_aside(&aside, damaged).map_err(failed("kept aside", &aside))?;
        }
        self.rewrite("")
    }

    /// Puts a new file in place, with the live claims and these lines.
    fn rewrite(&mut self, behind: &str) -> Result<(), Error> {
        let mut text = String::new();
        for claim in self.live.values() {
            text += &encode(&Change::Claim(claim.clone()), &self.tiers)?;
        }
        text += behind;
        make(&self.folder).map_err(failed("made", &self.folder))?;
        self.file = state_dir::replace(&self.folder, NAME, text.as_bytes())
            .map_err(failed("written", &self.path()))?;
        self.lines = self.live.len();
        self.patience = 0;
        self.sync()
    }

    /// Brings the file and its name to disk. Without that a crash may bring the
    /// old file back, so that nothing more may be answered for.
    fn sync(&mut self) -> Result<(), Error> {
        let synced = self
            .file
            .sync_all()
            .and_then(|()| state_dir::sync(&self.folder))
            .and_then(|()| self.file.metadata());
        self.left = synced.as_ref().ok().map(Mark::of);
        synced.map_err(failed("synced", &self.folder))?;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What a journal's bytes say.
struct Replayed<'a> {
    live: BTreeMap<Prefix, Claim>,
    lines: usize,
    /// Bytes behind the last whole line.
    torn: usize,
    /// Lines that can't be read, with their ends.
    damaged: Vec<&'a [u8]>,
    warnings: Vec<String>,
}

fn replay<'a>(journal: &'a [u8], tiers: &Tiers, now: u32) -> Replayed<'a> {
    let rules = Rules {
        verdict: Verdict::Block,
        tiers: tiers.clone(),
        // It was widened, or not, before it was written.
        widen_ipv6: 128,
        max_claims: usize::MAX,
    };
    let mut reader = ndjson::Reader::new(&rules);
    let mut live = BTreeMap::new();
    let mut damaged = Vec::new();
    let mut warnings = Vec::new();
    let end = journal.iter().rposition(|byte| *byte == b'\n');
    let whole = &journal[..end.map_or(0, |end| end + 1)];
    let mut lines = 0;
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        lines += 1;
        match reader.read(&String::from_utf8_lossy(line)) {
            Ok(Some((change, _))) => apply(&mut live, change),
            Ok(None) => {}
            Err(fault) => {
                let number = lines as u64;
                damaged.push(line);
                if warnings.len() < codec::TOLD {
                    let line = BadLine { number, fault };
                    warnings.push(format!("the journal of the operator's claims, {line}"));
                }
            }
        }
    }
    live.retain(|_, claim| !is_forgotten(claim, now));
    Replayed {
        live,
        lines,
        torn: journal.len() - whole.len(),
        damaged,
        warnings,
    }
}

fn apply(live: &mut BTreeMap<Prefix, Claim>, change: Change) {
    match change {
        Change::Claim(claim) => {
            live.insert(claim.prefix, claim);
        }
        Change::Withdraw(prefix) => {
            live.remove(&prefix);
        }
    }
}

/// Whether a claim ended so long ago that no clock can be that wrong.
fn is_forgotten(claim: &Claim, now: u32) -> bool {
    claim.expires.is_some_and(|at| at.saturating_add(DAY) < now)
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let (file, _metadata) = files::open_as(path, &mut options)?;
    Ok(file)
}

fn keep_aside(path: &Path, lines: &[&[u8]]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let (mut file, _metadata) = files::open_as(path, &mut options)?;
    file.write_all(&lines.concat())?;
    file.sync_all()
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Io { doing, path, error }
}

/// Lines a journal may have that had so many live ones when it was written.
const fn most(live: usize) -> usize {
    2 * live + 1000
}

const NAME: &str = "operator.ndjson";

/// Lines that couldn't be read, for a human to look at.
const DAMAGED: &str = "operator.ndjson.damaged";

/// What somebody else put in the journal's place, the last time.
const FOREIGN: &str = "operator.ndjson.foreign";

/// Bytes that a journal may have: millions of claims.
const MAX_BYTES: u64 = 4 << 30;

/// Seconds that an expired claim is still kept, should the clock be wrong.
const DAY: u32 = 86400;

#[cfg(test)]
mod tests;
