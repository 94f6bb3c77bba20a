//! The command `weir`.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir::command::main(std::env::args_os())
}
