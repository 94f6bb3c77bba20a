//! Small files in the state folder, such as `mode`: each is there as it was or
//! as it is now, whatever crashes (written beside, then renamed).

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::files;

/// Reads the word under this name, without blanks around it; `None` if none was ever
/// written.
///
/// # Errors
/// If the file is there and can't be read, isn't UTF-8, or isn't a regular file.
pub fn read(folder: &Path, name: &str) -> io::Result<Option<String>> {
    match files::read_text(&folder.join(name), MAX_BYTES) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a word under this name; when it returns, it is on disk. A folder that is gone
/// is made anew.
///
/// # Errors
/// If it can't be written; then the word before is still there.
pub fn write(folder: &Path, name: &str, word: &str) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    replace(folder, name, format!("{word}\n").as_bytes())?;
    sync(folder)
}

/// Removes the word under this name.
///
/// # Errors
/// If it is there and can't be removed.
pub fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        // Neither is the folder, then.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync(folder),
    }
}

/// Puts these bytes in the file's place at once, and gives the file. The new
/// name is on disk after a [`sync`]; if this fails, the old file is in place.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<File> {
    let new = folder.join(format!(".{name}.new"));
    // A crash may have left it, or it is something that would keep its opener waiting.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    Ok(file)
}

/// Brings the names in the folder to disk.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Bytes of the largest word: what the policy holds against many sources.
const MAX_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_until_another_one_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = || read(folder.path(), "mode").expect("read");
        assert_eq!(mode(), None);
        for word in ["enforce", "observe"] {
            write(folder.path(), "mode", word).expect("written");
            assert_eq!(mode().as_deref(), Some(word));
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        remove(folder.path(), "mode").expect("removed");
        remove(folder.path(), "mode").expect("nothing to remove");
        assert_eq!(mode(), None);
    }

    #[test]
    fn a_fifo_keeps_nobody_waiting_and_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["mode", ".mode.new"] {
            files::tests::fifo(&folder.path().join(name));
        }
        let refused = read(folder.path(), "mode").expect_err("no file");
        assert_eq!(refused.to_string(), "it is a FIFO, not a regular file");
        write(folder.path(), "mode", "observe").expect("written");
        let mode = read(folder.path(), "mode").expect("read");
        assert_eq!(mode.as_deref(), Some("observe"));
    }

    #[test]
    fn a_folder_that_is_gone_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        remove(&state, "mode").expect("nothing to remove");
        write(&state, "mode", "observe").expect("written");
        fs::rename(&state, folder.path().join("moved")).expect("moved away");
        write(&state, "mode", "enforce").expect("written");
        let mode = read(&state, "mode").expect("read");
        assert_eq!(mode.as_deref(), Some("enforce"));
    }

    #[test]
    fn what_a_crash_left_half_written_is_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "mode", "observe").expect("written");
        fs::write(folder.path().join(".mode.new"), "enf").expect("half of it");
        assert_eq!(
            read(folder.path(), "mode").expect("read").as_deref(),
            Some("observe")
        );
        write(folder.path(), "mode", "enforce").expect("written");
        assert_eq!(
            read(folder.path(), "mode").expect("read").as_deref(),
            Some("enforce")
        );
    }
}
