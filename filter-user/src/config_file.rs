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
