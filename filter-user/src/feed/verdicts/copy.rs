//! The last good copy of a stream, in the state folder: what the service said
//! must outlive a restart of the daemon while the service is away.
//!
//! It is a journal: claims and withdrawals as lines, and behind those of each
//! answer a line that says they were taken. A thread of its own writes it, so
//! that a slow disk holds up neither a verdict nor the daemon's loop. It reads
//! the answer a second time instead of being handed the claims, which would be
//! twice in memory otherwise.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::replay::{Mark, Replayed};
use crate::{
    claim::Change,
    feed::{
        Rules,
        codec::{ndjson, stream::Cursor},
    },
    store::files,
};

/// Writes a copy while the stream comes.
#[derive(Debug)]
pub(super) struct Copy {
    jobs: mpsc::UnboundedSender<Job>,
    /// KiB that may still wait for the disk.
    room: Arc<Semaphore>,
    trouble: Arc<Mutex<Option<String>>>,
    #[cfg(test)]
    thread: thread::JoinHandle<()>,
}

/// How an answer was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// As the whole word: what was there before counts no more.
    Whole,
    /// As the whole word, but what it left out is held.
    Held,
    /// As changes.
    Changes,
}

#[derive(Debug)]
enum Job {
    Piece(Bytes),
    Forget,
    Keep(Cursor, Taken),
    Read(oneshot::Sender<Replayed>),
}

impl Copy {
    /// Reads what was kept, and goes on behind it. To be called where it may
    /// take a while: also until whoever wrote the copy before has ended.
    pub(super) fn open(path: &Path, rules: Rules) -> (Self, Replayed) {
        let locked = open(&path.with_extension("lock")).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        let replayed = Replayed::read(path, &rules);
        let (jobs, waiting) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(WAITING));
        let trouble = Arc::new(Mutex::new(None));
        let keeper = Keeper {
            path: path.to_owned(),
            draft: Draft::new(path.with_extension("draft")),
            gap: locked.is_err(),
            _lock: locked.ok(),
            good: replayed.end,
            first: replayed.end,
            room: Arc::clone(&room),
            rules,
        };
        let told = Arc::clone(&trouble);
        // It ends when nobody has jobs for it any more.
        let _thread = thread::spawn(move || keeper.run(waiting, &told));
        let copy = Self {
            jobs,
            room,
            trouble,
            #[cfg(test)]
            thread: _thread,
        };
        (copy, replayed)
    }

    /// The next piece of the answer that comes. Waits for the disk only where
    /// very much is behind.
    pub(super) async fn piece(&self, piece: Bytes) {
        if let Ok(room) = self.room.acquire_many(kib(&piece)).await {
            room.forget();
        }
        self.send(Job::Piece(piece));
    }

    /// The answer was taken.
    pub(super) fn keep(&self, cursor: Cursor, taken: Taken) {
        self.send(Job::Keep(cursor, taken));
    }

    /// The answer wasn't taken.
    pub(super) fn forget(&self) {
        self.send(Job::Forget);
    }

    /// What the copy says, behind all that was said before this. Nothing, where
    /// it isn't up to date.
    pub(super) async fn read(&self) -> Replayed {
        let (reply, read) = oneshot::channel();
        self.send(Job::Read(reply));
        read.await.unwrap_or_default()
    }

    /// Why no copy is kept.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Waits until all of it is written.
    #[cfg(test)]
    fn finish(self) {
        drop(self.jobs);
        self.thread.join().expect("the thread didn't panic");
    }

    fn send(&self, job: Job) {
        // If the thread is gone, its trouble was told.
        let _gone = self.jobs.send(job);
    }
}

/// What runs in the thread.
struct Keeper {
    path: PathBuf,
    rules: Rules,
    room: Arc<Semaphore>,
    draft: Draft,
    /// Something that was taken isn't in the copy: what comes behind it mustn't
    /// be either, or the copy's cursor would be ahead of its claims.
    gap: bool,
    /// Nobody else writes the copy while this is open.
    _lock: Option<File>,
    /// Bytes of the copy that are good.
    good: u64,
    /// Bytes that the copy had when it was last whole.
    first: u64,
}

impl Keeper {
    fn run(mut self, mut waiting: mpsc::UnboundedReceiver<Job>, told: &Mutex<Option<String>>) {
        while let Some(job) = waiting.blocking_recv() {
            let mut done = self.carry_out(job);
            // Whatever waits is brought to the disk at once.
            while done.is_ok()
                && let Ok(job) = waiting.try_recv()
            {
                done = self.carry_out(job);
            }
            let done = done.and_then(|()| self.settle());
            let trouble = done.err().map(|error| {
                format!(
                    "no copy of what the service says is kept in {} ({error}): a restart while it is away would lose claims; once there is room, weir feed refresh",
                    self.path.display()
                )
            });
            let mut told = told
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(trouble) = &trouble
                && told.is_none()
            {
                tracing::warn!(trouble, "the stream isn't kept");
            }
            // As long as something is missing, what went wrong still matters.
            if trouble.is_some() || !self.gap {
                *told = trouble;
            }
        }
    }

    fn carry_out(&mut self, job: Job) -> io::Result<()> {
        match job {
            Job::Piece(piece) => {
                self.room.add_permits(kib(&piece) as usize);
                self.draft.push(&piece)
            }
            Job::Forget => self.draft.clear(),
            Job::Keep(cursor, taken) => {
                let kept = if self.gap && taken != Taken::Whole {
                    Err(io::Error::other("it waits for the whole word"))
                } else {
                    self.keep(&cursor, taken)
                };
                self.gap = kept.is_err();
                let cleared = self.draft.clear();
                kept.and(cleared)
            }
            Job::Read(reply) => {
                let current = (!self.gap).then(|| Replayed::read(&self.path, &self.rules));
                // Whoever asked may be gone.
                let _gone = reply.send(current.unwrap_or_default());
                Ok(())
            }
        }
    }

    /// Writes what the draft says behind what is good, or in its place.
    fn keep(&mut self, cursor: &Cursor, taken: Taken) -> io::Result<()> {
        let whole = taken == Taken::Whole;
        let mut out = if whole {
            BufWriter::new(create(&self.path.with_extension("new"))?)
        } else {
            let mut file = open(&self.path)?;
            // What a crash or a full disk left behind the last good line goes.
            file.set_len(self.good)?;
            file.seek(SeekFrom::Start(self.good))?;
            BufWriter::new(file)
        };
        let mut objects = ndjson::Reader::new(&self.rules);
        let mut lines = 0;
        self.draft.each_line(|line| {
            let Ok(Some((change, _))) = objects.read(line) else {
                // The head, and what was refused.
                return Ok(());
            };
            if whole && matches!(change, Change::Withdraw(_)) {
                return Ok(());
            }
            lines += 1;
            let line = ndjson::encode(&change, &self.rules.tiers).map_err(io::Error::other)?;
            out.write_all(line.as_bytes())
        })?;
        let mark = Mark {
            cursor: cursor.as_str().into(),
            claims: lines,
            whole,
            held: taken == Taken::Held,
        };
        out.write_all(mark.line().as_bytes())?;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let end = file.stream_position()?;
        if whole {
            self.put(&file)?;
            self.first = end;
        }
        self.good = end;
        Ok(())
    }

    /// Brings to the disk what was written, and makes the copy short again
    /// where it has grown by changes.
    fn settle(&mut self) -> io::Result<()> {
        if self.good == 0 {
            return Ok(());
        }
        if self.good > 2 * self.first + SPARE {
            let mut replayed = Replayed::read(&self.path, &self.rules);
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            replayed.forget_ended(now.as_secs().saturating_sub(DOUBT));
            let mut out = BufWriter::new(create(&self.path.with_extension("new"))?);
            for line in replayed.lines(&self.rules.tiers) {
                out.write_all(line.as_bytes())?;
            }
            let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            self.good = file.stream_position()?;
            self.first = self.good;
            return self.put(&file);
        }
        File::open(&self.path)?.sync_data()
    }

    /// Puts the new file in the copy's place.
    fn put(&self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(self.path.with_extension("new"), &self.path)?;
        let folder = self.path.parent().unwrap_or_else(|| Path::new("/"));
        File::open(folder)?.sync_all()
    }
}

/// An answer that may still be dropped: in memory while it is short.
struct Draft {
    path: PathBuf,
    memory: Vec<u8>,
    spilled: Option<File>,
}

impl Draft {
    const fn new(path: PathBuf) -> Self {
        Self {
            path,
            memory: Vec::new(),
            spilled: None,
        }
    }

    fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(piece);
        if self.memory.len() > IN_MEMORY {
            let file = match &mut self.spilled {
                Some(file) => file,
                None => self.spilled.insert(create(&self.path)?),
            };
            file.write_all(&self.memory)?;
            self.memory.clear();
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.memory = Vec::new();
        if self.spilled.take().is_some() {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    fn each_line(&mut self, mut line: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut spilled: Box<dyn io::Read + '_> = match &mut self.spilled {
            Some(file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
            None => Box::new(io::empty()),
        };
        let mut reader = BufReader::new(spilled.as_mut().chain(&*self.memory));
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            line(&String::from_utf8_lossy(&bytes))?;
            bytes.clear();
        }
        Ok(())
    }
}

/// An empty file in place of what was there.
fn create(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    file.set_len(0)?;
    Ok(file)
}

/// The file as it is, or an empty one; for nobody else's eyes.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600);
    let (file, _metadata) = files::open_as(path, &mut options)?;
    Ok(file)
}

/// What a piece takes of the room.
fn kib(piece: &Bytes) -> u32 {
    (piece.len() / 1024 + 1).min(WAITING) as u32
}

/// KiB that may wait for the disk.
const WAITING: usize = 32 << 10;
/// Bytes of an answer that are kept in memory.
const IN_MEMORY: usize = 1 << 20;
/// Seconds for which a claim is kept that has ended: the clock may be wrong.
const DOUBT: u64 = 7 * 86_400;
/// Bytes of changes that aren't worth a new copy.
const SPARE: u64 = 4 << 20;

#[cfg(test)]
mod tests;
