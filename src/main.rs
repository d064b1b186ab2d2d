//! The `hypostyle` program; all of it is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hypostyle::cli::main()
}
