//! The law of weir: what a packet means and what happens to it.
//!
//! No I/O, no clock, no allocation, no unsafe: bytes, tables and the time come
//! in as arguments, a [`Decision`](decide::Decision) goes out. The same code
//! runs in the kernel (`filter-ebpf`) and on the host (tests, model, fuzzing).
//!
//! A packet's way: [`packet::read`] makes a [`Packet`](packet::Packet) of a
//! [`Frame`](frame::Frame), [`decide::decide`] judges it, and
//! [`event::Sampler`] chooses whether an event is emitted.
//!
//! `#[inline(always)]` on what the packet path calls is load-bearing: with
//! calls between functions the verifier loses the bounds of the frame and
//! refuses the program.

#![no_std]
#![cfg_attr(not(feature = "user"), forbid(unsafe_code))]
#![cfg_attr(feature = "user", deny(unsafe_code))]

#[cfg(any(test, feature = "user"))]
extern crate std;

pub mod abi;
pub mod bucket;
pub mod cause;
pub mod decide;
pub mod event;
pub mod frame;
pub mod handshake;
pub mod packet;
#[cfg(feature = "user")]
mod pod;
pub mod rate;
pub mod settings;
pub mod source;
pub mod table;
pub mod verdict;
