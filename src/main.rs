//! The thin binary: arguments in, exit status out.

use std::process::ExitCode;

use otf::wiring::System;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = std::env::args_os().collect();
    ExitCode::from(otf::cli::start(arguments, &System::of_process()))
}
