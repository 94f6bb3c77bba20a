//! A packet's verdict: the same on the host, in the kernel, and in the tables
//! that both read.

mod captures;
mod filter;
mod hidden;
mod objects;
mod parity;
mod race;
mod spelled;
mod tables;
mod tables_switch;
