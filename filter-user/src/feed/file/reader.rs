//! Reading a file: all of it at once, or line by line where it is large, and
//! what of it is new.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::kept::Kept;
use crate::{
    claim::Update,
    feed::{
        Refused, Rules,
        codec::{self, Decoded, Decoder},
    },
    store::files::{self, NotRegular},
};

/// Why a file gives no claims; each names it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there.
    #[error("{0:?} isn't there: write the list there, or correct the feed's `path`")]
    Missing(PathBuf),
    /// A folder, a FIFO, a device or a socket.
    #[error("{path:?} is no regular file but a {kind}: give the path of a file")]
    NotAFile {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        kind: &'static str,
    },
    /// The system refuses.
    #[error("{path:?} can't be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says. (Its words are in the sentence, so that it isn't a
        /// source.)
        error: io::Error,
    },
    /// Its file system hangs.
    #[error("{path:?} isn't read after {waited:?}: its file system doesn't answer")]
    Slow {
        /// The file.
        path: PathBuf,
        /// How long it has been waited for.
        waited: Duration,
    },
    /// Longer than any list of as many claims as may be.
    #[error("{path:?} has more than {most} bytes: shorten it, or allow larger tables")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes it may have.
        most: u64,
    },
    /// It is no list.
    #[error("{path:?} is not taken: {why}")]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Why.
        why: codec::Error,
    },
}

/// What a file is as long as nobody changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    file: (u64, u64),
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn new(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The file's mark; `None` where there is none.
pub(super) fn mark(path: &Path) -> Option<Mark> {
    path.metadata().ok().as_ref().map(Mark::new)
}

/// What came of reading.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What is new, or why nothing is.
    Read(Result<(Update, Refused), Error>),
    /// As it was.
    Same(Refused),
    /// Somebody wrote while it was read.
    Unsettled,
}

/// Reads one file again and again.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    rules: Rules,
    mark: Option<Mark>,
    kept: Option<Kept>,
}

impl Reader {
    pub(super) const fn new(path: PathBuf, rules: Rules) -> Self {
        Self {
            path,
            rules,
            mark: None,
            kept: None,
        }
    }

    /// What the file was when it was last read.
    pub(super) const fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// The next reading is of the whole.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// Reads the file; with `force` even while somebody writes it.
    pub(super) fn read(&mut self, force: bool) -> Outcome {
        let read = self.load();
        if let Ok((_, settled)) = read
            && !settled
            && !force
        {
            return Outcome::Unsettled;
        }
        match read {
            Ok((Content::Whole(text), _)) => self.changed(text),
            Ok((Content::Decoded(decoded), _)) => {
                self.kept = None;
                Outcome::Read(decoded.map(snapshot).map_err(|error| self.rejected(error)))
            }
            Err(error) => Outcome::Read(Err(error)),
        }
    }

    fn changed(&mut self, text: Vec<u8>) -> Outcome {
        let text = match &mut self.kept {
            Some(kept) if kept.is(&text) => return Outcome::Same(kept.refused()),
            Some(kept) => match kept.follow(text, &self.rules) {
                Ok(changes) => {
                    return Outcome::Read(Ok((Update::Delta(changes), kept.refused())));
                }
                Err(text) => text,
            },
            None => text,
        };
        let decoded = match codec::decode(&text, &self.rules) {
            Ok(decoded) => decoded,
            Err(error) => return Outcome::Read(Err(self.rejected(error))),
        };
        self.kept = Kept::new(text, &decoded);
        Outcome::Read(Ok(snapshot(decoded)))
    }

    /// What is in the file, and whether nobody wrote meanwhile.
    fn load(&mut self) -> Result<(Content, bool), Error> {
        self.mark = mark(&self.path);
        let unreadable = |error: io::Error| match error.kind() {
            _ if let Some(NotRegular { kind }) = NotRegular::of(&error) => Error::NotAFile {
                path: self.path.clone(),
                kind,
            },
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::Missing(self.path.clone())
            }
            _ => Error::Unreadable {
                path: self.path.clone(),
                error,
            },
        };
        let (file, metadata) = files::open(&self.path).map_err(unreadable)?;
        let before = Mark::new(&metadata);
        self.mark = Some(before);
        let most = SMALL + self.rules.max_claims as u64 * LARGE_LINE;
        let content = if metadata.len() <= SMALL + self.rules.max_claims as u64 * LINE {
            let mut text = Vec::with_capacity(metadata.len() as usize + 1);
            let mut some = (&file).take(most + 1);
            some.read_to_end(&mut text).map_err(unreadable)?;
            Content::Whole(text)
        } else if metadata.len() > most {
            return Err(Error::TooLarge {
                path: self.path.clone(),
                most,
            });
        } else {
            Content::Decoded(decode(&file, &self.rules, most).map_err(unreadable)?)
        };
        let after = Mark::new(&file.metadata().map_err(unreadable)?);
        Ok((content, before == after))
    }

    fn rejected(&self, why: codec::Error) -> Error {
        Error::Rejected {
            path: self.path.clone(),
            why,
        }
    }
}

enum Content {
    Whole(Vec<u8>),
    Decoded(Result<Decoded, codec::Error>),
}

fn snapshot(decoded: Decoded) -> (Update, Refused) {
    let refused = decoded.refused();
    (Update::Snapshot(decoded.claims), refused)
}

/// Decodes a file line by line, and never more than so many bytes of it.
fn decode(file: &File, rules: &Rules, most: u64) -> io::Result<Result<Decoded, codec::Error>> {
    let mut file = BufReader::with_capacity(codec::LONGEST, file.take(most));
    let mut decoder = Decoder::new(rules);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut file)
            .take(codec::LONGEST as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(decoder.finish());
        }
        if line.len() > codec::LONGEST && line.last() != Some(&b'\n') {
            // The decoder sees that it is too long; the rest doesn't matter.
            file.skip_until(b'\n')?;
        }
        if let Err(error) = decoder.line(&line) {
            return Ok(Err(error));
        }
    }
}

/// Bytes a claim up to which a file is held as a whole.
const LINE: u64 = 48;

/// Bytes a claim beyond which a file is no list of claims.
const LARGE_LINE: u64 = 1024;

/// Bytes that any file may have.
const SMALL: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::tests::{prefix, rules};

    #[test]
    fn a_file_too_large_to_be_held_is_read_line_by_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        let long = "x".repeat(2 * codec::LONGEST);
        let comments = format!("# {}\n", "x".repeat(1000)).repeat(1200);
        let list = format!("{comments}192.0.2.1\n192.0.2.2 {long}\n192.0.2.3");
        std::fs::write(&path, &list).expect("written");
        let rules = Rules {
            max_claims: 1000,
            ..rules()
        };
        let mut reader = Reader::new(path.clone(), rules);
        for _ in 0..2 {
            let Outcome::Read(Ok((Update::Snapshot(claims), refused))) = reader.read(false) else {
                panic!("no snapshot");
            };
            let prefixes: Vec<_> = claims.iter().map(|claim| claim.prefix).collect();
            assert_eq!(prefixes, [prefix("192.0.2.1"), prefix("192.0.2.3")]);
            assert!(refused.first[0].starts_with("line 1202: it is longer than"));
        }
        std::fs::write(&path, comments.repeat(2)).expect("written");
        let Outcome::Read(Err(Error::TooLarge { .. })) = reader.read(false) else {
            panic!("it was taken");
        };
    }

    #[test]
    fn anything_but_a_regular_file_is_named_and_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        files::tests::fifo(&path);
        for (path, kind) in [
            (path, "FIFO"),
            (folder.path().to_owned(), "folder"),
            ("/dev/null".into(), "device"),
        ] {
            let Outcome::Read(Err(error)) = Reader::new(path.clone(), rules()).read(false) else {
                panic!("{kind} was read");
            };
            assert_eq!(
                format!("{:#}", anyhow::Error::new(error)),
                format!("{path:?} is no regular file but a {kind}: give the path of a file")
            );
        }
    }
}
