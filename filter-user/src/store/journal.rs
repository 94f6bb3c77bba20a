//! The operator's claims, kept in the state folder: a journal of NDJSON claims
//! and withdrawals. What was answered with success is on disk.
//!
//! Blocking I/O: not for a task. Time comes in as an argument.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Rules, Tiers,
    codec::{
        BadLine,
        ndjson::{self, Unwritable, encode},
    },
};
use crate::{
    claim::{Change, Claim, Verdict},
    prefix::Prefix,
};

pub mod state;

/// The journal, open for more.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    tiers: Tiers,
    file: File,
    /// Bytes that were answered for.
    length: u64,
    lines: usize,
    /// Lines at which it is written anew.
    most: usize,
    /// A write failed and couldn't be undone: what the file ends with is
    /// unknown.
    broken: bool,
}

/// Why the operator's word can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal has no words for it.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// The system refuses.
    #[error("the operator's claims in {path:?} can't be {doing}: {source}")]
    Io {
        /// What was being tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An earlier write failed halfway.
    #[error(
        "the journal {0:?} is cut after a failed write: make room on its disk and restart weir"
    )]
    Broken(PathBuf),
}

impl Journal {
    /// Opens the journal in the state folder, making both if need be, and gives
    /// what the operator said and hasn't withdrawn, in order of the prefixes,
    /// and a sentence for everything that was wrong with the file.
    ///
    /// `now` is Unix time in seconds: what expired a day ago is forgotten.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub fn open(
        folder: &Path,
        tiers: Tiers,
        now: u32,
    ) -> Result<(Self, Vec<Claim>, Vec<String>), Error> {
        fs::create_dir_all(folder).map_err(failed("made", folder))?;
        let path = folder.join(NAME);
        let read = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let Replayed {
            claims,
            lines,
            torn,
            damaged,
            mut warnings,
        } = replay(&read, &tiers, now);
        let mut journal = Self {
            file: open(&path).map_err(failed("opened", &path))?,
            folder: folder.to_owned(),
            tiers,
            length: (read.len() - torn) as u64,
            lines,
            most: most(claims.len()),
            broken: false,
        };
        if torn > 0 {
            let cut = journal.file.set_len(journal.length);
            cut.map_err(failed("cut", &path))?;
            warnings.push(format!(
                "the last {torn} bytes of {path:?} were cut off: writing them never finished, \
                 and no success was answered"
            ));
        }
        // A full disk must not keep the claims from being in force.
        match journal.tidy(&claims, &damaged) {
            Ok(()) if damaged.is_empty() => {}
            Ok(()) => warnings.push(format!(
                "{} lines that can't be read are kept in {:?}",
                damaged.len(),
                folder.join(DAMAGED)
            )),
            Err(error) => warnings.push(error.to_string()),
        }
        Ok((journal, claims, warnings))
    }

    /// Tiers that claims may name from now on, besides those they could before:
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
    /// # Errors
    /// If one of them can't be written; then none is kept.
    pub fn append(&mut self, changes: &[Change], now: u32) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Broken(self.path()));
        }
        let mut text = String::new();
        for change in changes {
            text += &encode(change, &self.tiers)?;
        }
        // At its place, since after a failure the file may be longer.
        let written = self.file.write_all_at(text.as_bytes(), self.length);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            let undone = self.file.set_len(self.length);
            self.broken = undone.and_then(|()| self.file.sync_data()).is_err();
            return Err(failed("written", &self.path())(error));
        }
        self.length += text.len() as u64;
        self.lines += changes.len();
        if self.lines > self.most
            && let Err(error) = self.compact(now)
        {
            // Nothing is lost; it is tried again when it has grown as much again.
            tracing::warn!(%error, "the journal of the operator's claims can't be compacted");
            self.most = most(self.lines);
        }
        Ok(())
    }

    /// Leaves only lines that say something, once the damaged ones are safe.
    fn tidy(&mut self, claims: &[Claim], damaged: &[&[u8]]) -> Result<(), Error> {
        if damaged.is_empty() && self.lines == claims.len() {
            return self.sync();
        }
        if !damaged.is_empty() {
            let aside = self.folder.join(DAMAGED);
            keep_aside(&aside, damaged).map_err(failed("kept aside", &aside))?;
        }
        self.rewrite(claims)
    }

    fn compact(&mut self, now: u32) -> Result<(), Error> {
        let path = self.path();
        let read = fs::read(&path).map_err(failed("read", &path))?;
        let replayed = replay(&read, &self.tiers, now);
        if replayed.torn > 0 || !replayed.damaged.is_empty() {
            // Somebody else wrote it: the next start sorts that out.
            let error = io::Error::from(io::ErrorKind::InvalidData);
            return Err(failed("compacted", &path)(error));
        }
        self.rewrite(&replayed.claims)
    }

    fn rewrite(&mut self, claims: &[Claim]) -> Result<(), Error> {
        let mut text = String::new();
        for claim in claims {
            text += &encode(&Change::Claim(claim.clone()), &self.tiers)?;
        }
        self.file = state::replace(&self.folder, NAME, text.as_bytes())
            .map_err(failed("written", &self.path()))?;
        self.length = text.len() as u64;
        self.lines = claims.len();
        self.most = most(claims.len());
        self.sync()
    }

    /// Brings the file and its name to disk. Without that a crash may bring the
    /// old file back, so that nothing more may be answered for.
    fn sync(&mut self) -> Result<(), Error> {
        let synced = self
            .file
            .sync_all()
            .and_then(|()| state::sync(&self.folder));
        self.broken = synced.is_err();
        synced.map_err(failed("synced", &self.folder))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }
}

/// What a journal's bytes say.
struct Replayed<'a> {
    claims: Vec<Claim>,
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
    let mut live: HashMap<Prefix, Claim> = HashMap::new();
    let mut damaged = Vec::new();
    let mut warnings = Vec::new();
    let end = journal.iter().rposition(|byte| *byte == b'\n');
    let whole = &journal[..end.map_or(0, |end| end + 1)];
    let mut lines = 0;
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        lines += 1;
        match reader.read(&String::from_utf8_lossy(line)) {
            Ok(Some((Change::Claim(claim), _))) => {
                live.insert(claim.prefix, claim);
            }
            Ok(Some((Change::Withdraw(prefix), _))) => {
                live.remove(&prefix);
            }
            Ok(None) => {}
            Err(fault) => {
                let number = lines as u64;
                damaged.push(line);
                if warnings.len() < super::codec::TOLD {
                    let line = BadLine { number, fault };
                    warnings.push(format!("the journal of the operator's claims, {line}"));
                }
            }
        }
    }
    let expired = |claim: &Claim| claim.expires.is_some_and(|at| at.saturating_add(DAY) < now);
    let mut claims: Vec<_> = live.into_values().filter(|claim| !expired(claim)).collect();
    claims.sort_unstable_by_key(|claim| claim.prefix);
    Replayed {
        claims,
        lines,
        torn: journal.len() - whole.len(),
        damaged,
        warnings,
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn keep_aside(path: &Path, lines: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&lines.concat())?;
    file.sync_all()
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        doing,
        path,
        source,
    }
}

/// Lines a journal may have that had so many live ones when it was written.
const fn most(live: usize) -> usize {
    2 * live + 1000
}

const NAME: &str = "operator.ndjson";

/// Lines that couldn't be read, for a human to look at.
const DAMAGED: &str = "operator.ndjson.damaged";

/// Seconds that an expired claim is still kept, should the clock be wrong.
const DAY: u32 = 86400;

#[cfg(test)]
mod tests;
