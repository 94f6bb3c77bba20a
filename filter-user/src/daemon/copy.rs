//! The last good copy of a feed's file, in the state folder: a file that is gone
//! or broken when the daemon starts must not cost the claims that it had.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    claim::Update,
    config::Stream,
    feed::{Refused, Rules, file::read_once},
    store::{files, reader::detached},
};

/// Keeps a copy of a file, and reads it where the file can't be read.
pub(super) struct LastGood {
    copy: PathBuf,
    rules: Rules,
    changed: Arc<Notify>,
    task: JoinHandle<()>,
}

impl LastGood {
    /// The copy of the file at `path`, in the state folder. Its name says what it
    /// means: with another path or another verdict it is another copy.
    pub(super) fn new(folder: &Path, name: &str, path: &Path, rules: &Rules) -> Self {
        let copy = place(folder, name, path, rules);
        let changed = Arc::new(Notify::new());
        let task = tokio::spawn(keep(
            path.to_owned(),
            copy.clone(),
            rules.clone(),
            Arc::clone(&changed),
        ));
        Self {
            copy,
            rules: rules.clone(),
            changed,
            task,
        }
    }

    /// The file was read, and was good.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Reads the copy, in whatever thread; `None` if there is none that can be read.
    pub(super) fn reader(&self) -> impl FnOnce() -> Option<(Update, Refused)> + Send + 'static {
        let (copy, rules) = (self.copy.clone(), self.rules.clone());
        move || read_once(&copy, &rules).ok()
    }
}

impl Drop for LastGood {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Copies the file each time it has changed; what changes meanwhile is one copy.
async fn keep(path: PathBuf, copy: PathBuf, rules: Rules, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        let (path, copy, rules) = (path.clone(), copy.clone(), rules.clone());
        // In a thread that the end of the process doesn't wait for: the disk may hang.
        let copying = detached("feed-copy", move || copy_good(&path, &copy, &rules));
        let copied = match copying {
            Ok(copying) => copying
                .await
                .unwrap_or_else(|_panicked| Err(anyhow!("copying it panicked"))),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = copied {
            tracing::warn!(error = format!("{error:#}"), "no copy of a feed is kept");
        }
    }
}

fn copy_good(path: &Path, copy: &Path, rules: &Rules) -> Result<()> {
    let folder = copy.parent().context("the copy is in a folder")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("making {}", folder.display()))?;
    let fresh = copy.with_extension("new");
    copy_bytes(path, &fresh).with_context(|| format!("copying {}", path.display()))?;
    // The file may have become bad since it was read.
    read_once(&fresh, rules)?;
    let synced = File::open(&fresh).and_then(|fresh| fresh.sync_all());
    synced.with_context(|| format!("writing {}", fresh.display()))?;
    fs::rename(&fresh, copy).with_context(|| format!("renaming {}", fresh.display()))
}

/// Copies a regular file, whatever stands where it is copied to.
fn copy_bytes(path: &Path, fresh: &Path) -> io::Result<()> {
    let (mut from, _metadata) = files::open(path)?;
    if let Err(error) = fs::remove_file(fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    let mut to = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(fresh)?;
    io::copy(&mut from, &mut to)?;
    Ok(())
}

/// Where the copy of a stream is. Of another service it is another copy.
pub(super) fn stream_copy(folder: &Path, name: &str, stream: &Stream) -> PathBuf {
    let hash = fnv1a(stream.url.as_str().as_bytes());
    folder
        .join("feeds")
        .join(format!("{name}-{hash:016x}.stream"))
}

fn place(folder: &Path, name: &str, path: &Path, rules: &Rules) -> PathBuf {
    let path = path.display();
    let meaning = format!("{path}\0{:?}\0{}", rules.verdict, rules.widen_ipv6);
    let hash = fnv1a(meaning.as_bytes());
    folder
        .join("feeds")
        .join(format!("{name}-{hash:016x}.last"))
}

/// A hash that stays the same over versions of weir (Fowler, Noll and Vo).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{claim::Verdict, feed::tests::rules};

    #[test]
    fn a_copy_is_good_whole_and_only_for_what_it_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("list.txt");
        let block = rules();
        let copy = place(folder.path(), "local", &list, &block);
        fs::write(&list, "192.0.2.7\n").expect("written");
        copy_good(&list, &copy, &block).expect("a good list is copied");
        fs::write(&list, "<html>").expect("written");
        copy_good(&list, &copy, &block).expect_err("no list");
        assert!(read_once(&copy, &block).is_ok());

        let allow = Rules {
            verdict: Verdict::Allow,
            ..block
        };
        assert!(!place(folder.path(), "local", &list, &allow).exists());
        let other = folder.path().join("other.txt");
        assert_ne!(place(folder.path(), "local", &other, &rules()), copy);
    }
}
