//! The configuration's file, from the disk into [`Config`].

use std::path::Path;

use crate::{
    config::{Config, Error},
    store::files,
};

/// Reads a file. It may block: not for a task.
///
/// # Errors
/// If it can't be read, isn't TOML, or says what can't be.
pub fn read(path: &Path) -> Result<Config, Error> {
    let text = files::read_text(path, files::MAX_CONFIG_BYTES);
    let text = text.map_err(|error| Error::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    Config::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("weir.toml");
        let message = read(&path).expect_err("it isn't there").to_string();
        assert!(message.contains("weir.toml") && message.contains("--config"));
        let text = "[datapath]\ninterfaces = [\"eth0\"]";
        std::fs::write(&path, text).expect("the file is written");
        let written = Config::parse(text).expect("a configuration");
        assert_eq!(read(&path).expect("it is there"), written);
    }

    #[test]
    fn whatever_stands_there_nobody_waits_and_an_error_says_everything_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (none, fifo) = (folder.path().join("none"), folder.path().join("fifo"));
        files::tests::fifo(&fifo);
        for (path, why) in [
            (&none, "No such file or directory (os error 2)"),
            (&fifo, "it is a FIFO, not a regular file"),
        ] {
            let shown = path.display();
            let sentence =
                format!("can't read {shown}: {why}; write that file or name another with --config");
            let error = anyhow::Error::new(read(path).expect_err("nothing to read"));
            assert_eq!(format!("{error:#}"), sentence);
        }
    }
}
