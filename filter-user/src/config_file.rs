//! The configuration's file, from the disk into [`Config`].

use std::path::Path;

use crate::{
    config::{Config, Error},
    store::files,
};

/// Reads a file.
///
/// # Errors
/// If it can't be read, isn't TOML, or says what can't be.
pub fn read(path: &Path) -> Result<Config, Error> {
    let text =
        files::read_text(path, files::MAX_CONFIG_BYTES).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
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
}
