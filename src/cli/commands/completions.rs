//! `otf completions SHELL`.

use clap_complete::Shell;

use crate::cli::session::Session;
use crate::error::Result;

/// Print a completion script for a shell.
#[derive(Debug, Clone, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
///
/// `Unavailable` if standard output cannot be written.
pub fn run(args: &CompletionsArgs, command: &mut clap::Command, session: &Session<'_>) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "otf", &mut script);
    session.ui.text(&String::from_utf8_lossy(&script)).map(|()| 0)
}
