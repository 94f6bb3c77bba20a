//! Everything of weir's that needs more than one crate, in one program: a folder a
//! subject. Tests of one run by its name: `cargo xtask test daemon::pins`.

mod attestation;
mod daemon;
mod feed;
mod packet;
mod tools;
mod vm;
mod ways_round;
mod wire;
