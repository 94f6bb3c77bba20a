//! The tests' own programs (bench, sim, the fuzzer's targets) do what they should.

mod bench;
mod codec;
mod sim;
