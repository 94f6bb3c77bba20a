//! Ways round the filter, each shown on the kernel's own stack: that it works
//! where there is no filter, and that it doesn't behind weir, in the driver and in
//! generic mode. (Issue 11, A to D; for QUIC see `wire/quic.rs`.)

mod crowd;
mod hidden;
mod spelling;
mod tags;
