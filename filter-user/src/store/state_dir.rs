//! Small files in the state folder, such as `mode`: each is there as it was or
//! as it is now, whatever crashes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The word that is kept under this name, without blanks around it; `None` if
/// none was ever written.
///
/// # Errors
/// If the file is there and can't be read, or isn't UTF-8.
pub fn read(folder: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps a word under this name; when it returns, it is on disk.
///
/// # Errors
/// If it can't be written; then what was kept before still is.
pub fn write(folder: &Path, name: &str, word: &str) -> io::Result<()> {
    replace(folder, name, format!("{word}\n").as_bytes())?;
    sync(folder)
}

/// Forgets what was kept under this name.
///
/// # Errors
/// If it is there and can't be removed.
pub fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync(folder),
    }
}

/// Puts these bytes in the file's place at once, and gives the file. The new
/// name is on disk after a [`sync`]; if this fails, the old file is in place.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<File> {
    let new = folder.join(format!(".{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
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
