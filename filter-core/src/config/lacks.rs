//! Sections that a configuration doesn't have and can't do without.

use super::{Config, Error};

impl Config {
    /// The sections without which a filter does nothing, and what to write: a sentence for
    /// each that isn't there.
    #[must_use]
    pub fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        if self.datapath.interfaces.is_empty() {
            lacks.push(Error::NoInterface.to_string());
        }
        if self.services.is_empty() {
            lacks.push(
                "no port is guarded: write a [[service]] with its `name` and `ports`, such as ports = [\"tcp/443\"]"
                    .to_owned(),
            );
        }
        lacks
    }
}
