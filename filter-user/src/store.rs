//! The store: files that the daemon reads and writes, and the threads for them.
//!
//! `files` opens regular files only, `state_dir` replaces small files as a whole,
//! `journal` is the log of the operator's claims, `writer` the one thread that
//! writes both in order, `reader` threads for reads that may hang. A disk or a
//! network file system that doesn't answer holds up such a thread and nothing else:
//! no loop, and no end of the process.

pub mod files;
pub mod journal;
pub mod reader;
pub mod state_dir;
pub mod writer;

pub use journal::Journal;
pub use writer::Store;
