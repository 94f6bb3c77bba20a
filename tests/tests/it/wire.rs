//! Real frames on virtual cables: what gets through, and what a handshake costs.

mod kept_out;
mod netns;
mod quic;
mod replacements;
