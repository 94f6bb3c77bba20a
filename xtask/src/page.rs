//! Pages of `docs/` on which a command writes its figures: between two marks, and
//! nothing else of the page is touched.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace;

/// A page and the marks on it.
pub(crate) struct Page {
    /// The file's name within `docs/`.
    pub(crate) name: &'static str,
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

impl Page {
    /// Replaces what stands between the marks.
    pub(crate) fn write(&self, written: &str) -> Result<()> {
        let Self { name, begin, end } = self;
        let file = docs().join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("reading docs/{name}"))?;
        let (before, behind) = self
            .around(&text)
            .with_context(|| format!("docs/{name} has lost its marks"))?;
        let new = format!("{before}{begin}\n\n{written}{end}{behind}");
        fs::write(&file, new).with_context(|| format!("writing docs/{name}"))
    }

    /// The text before and behind the marks; nothing if they aren't there in order.
    fn around<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let (before, rest) = text.split_once(self.begin)?;
        Some((before, rest.split_once(self.end)?.1))
    }

    /// Whether the page has its marks, in order.
    #[cfg(test)]
    pub(crate) fn has_its_marks(&self) -> bool {
        let text = fs::read_to_string(docs().join(self.name)).expect("the page is there");
        self.around(&text).is_some()
    }
}

/// Writes a drawing beside the pages.
pub(crate) fn write_drawing(name: &str, svg: &str) -> Result<()> {
    fs::write(docs().join(name), svg).with_context(|| format!("writing docs/{name}"))
}

fn docs() -> PathBuf {
    workspace::root().join("docs")
}
