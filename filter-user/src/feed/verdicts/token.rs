//! The bearer token: a file that is read again when it has changed.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use reqwest::header::HeaderValue;

use super::Trouble;
use crate::store::{
    files::{self, MAX_TOKEN_BYTES},
    reader::{READ_TIMEOUT, Reader},
};

/// A file with a token.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    known: Option<Known>,
    /// A thread for the file: one that hangs is enough.
    files: Reader,
}

#[derive(Debug)]
struct Known {
    mark: Mark,
    header: HeaderValue,
    open_to_all: bool,
}

/// What tells that a file is another, or has other contents.
type Mark = (u64, u64, u64, i64, i64, i64, i64);

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            known: None,
            files: Reader::new(1),
        }
    }

    /// Whether the file is another than it was when it was last read.
    pub(super) async fn has_changed(&self) -> bool {
        let path = self.path.clone();
        let looking = self.files.run(READ_TIMEOUT, move || fs::metadata(path));
        let now = looking.await.ok().map(|one| mark(&one));
        now != self.known.as_ref().map(|known| known.mark)
    }

    /// The header to send, as the file is now.
    pub(super) async fn header(&mut self) -> Result<HeaderValue, Trouble> {
        if self.known.is_none() || self.has_changed().await {
            self.known = None;
            self.known = Some(self.read().await?);
        }
        let known = self.known.as_ref().expect("it was read");
        Ok(known.header.clone())
    }

    /// What is doubtful about the file.
    pub(super) fn note(&self) -> Option<String> {
        let open = self.known.as_ref().is_some_and(|known| known.open_to_all);
        open.then(|| {
            format!(
                "everyone on this host can read the token in {}: chmod 600 it, and have the service issue another",
                self.path.display()
            )
        })
    }

    async fn read(&self) -> Result<Known, Trouble> {
        let path = self.path.clone();
        let read = self.files.run(READ_TIMEOUT, move || text(&path)).await;
        let path = self.path.display();
        let (about, text) = read.map_err(|error| {
            Trouble::NoToken(format!(
                "the token can't be read from {path} ({error}): write it there"
            ))
        })?;
        let token = text.trim();
        let sentence = if token.is_empty() {
            format!("{path} has no token in it: write the service's token there")
        } else if text.len() as u64 > MAX_TOKEN_BYTES
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            format!(
                "what {path} has in it is no token, which is one word: write nothing else there"
            )
        } else {
            let mut header = HeaderValue::try_from(format!("Bearer {token}"))
                .expect("visible characters make a header");
            header.set_sensitive(true);
            return Ok(Known {
                mark: mark(&about),
                header,
                open_to_all: about.permissions().mode() & 0o004 != 0,
            });
        };
        Err(Trouble::NoToken(sentence))
    }
}

/// Reads one byte more than the longest token may have.
fn text(path: &Path) -> io::Result<(fs::Metadata, String)> {
    let (file, about) = files::open(path)?;
    let mut text = String::new();
    file.take(MAX_TOKEN_BYTES + 1).read_to_string(&mut text)?;
    Ok((about, text))
}

fn mark(about: &fs::Metadata) -> Mark {
    (
        about.dev(),
        about.ino(),
        about.size(),
        about.mtime(),
        about.mtime_nsec(),
        about.ctime(),
        about.ctime_nsec(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn says(token: &mut TokenFile) -> String {
        match token.header().await {
            Ok(header) => header.to_str().expect("text").to_owned(),
            Err(trouble) => trouble.to_string(),
        }
    }

    #[tokio::test]
    async fn a_token_is_read_again_when_its_file_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let mut token = TokenFile::new(path.clone());
        assert!(
            says(&mut token)
                .await
                .starts_with("the token can't be read from ")
        );
        fs::write(&path, " \n").expect("written");
        assert!(says(&mut token).await.contains("has no token in it"));
        fs::write(&path, "two words").expect("written");
        assert!(says(&mut token).await.contains("is one word"));
        fs::write(&path, "a".repeat(9000)).expect("written");
        assert!(says(&mut token).await.contains("is one word"));
        fs::write(&path, "first\n").expect("written");
        assert_eq!(says(&mut token).await, "Bearer first");
        fs::write(&path, "other\n").expect("written");
        assert_eq!(says(&mut token).await, "Bearer other");
        fs::remove_file(&path).expect("removed");
        assert!(
            says(&mut token)
                .await
                .starts_with("the token can't be read from ")
        );
    }

    #[tokio::test]
    async fn a_token_that_everyone_can_read_is_noted_and_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "secret").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        let mut token = TokenFile::new(path.clone());
        let header = token.header().await.expect("a token");
        assert!(header.is_sensitive());
        let note = token.note().expect("a note");
        assert!(
            note.contains("chmod 600") && !note.contains("secret"),
            "{note}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        token.header().await.expect("a token");
        assert_eq!(token.note(), None);
    }

    #[tokio::test]
    async fn a_fifo_is_no_token_and_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        files::tests::fifo(&path);
        let said = says(&mut TokenFile::new(path)).await;
        assert!(
            said.ends_with("(it is a FIFO, not a regular file): write it there"),
            "{said}"
        );
    }
}
