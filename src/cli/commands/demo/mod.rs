//! `otf demo [DIR]`: makes a small lakehouse, runs the verbs on it and says what to try.

use std::path::PathBuf;

use crate::cli::session::Session;
use crate::error::{Error, Result};

/// Make a small lakehouse, run the verbs on it and say what to try.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Where to make it; must not exist or be empty
    #[arg(value_name = "DIR", default_value = "otf-demo")]
    pub folder: PathBuf,
}

/// Runs the demo.
///
/// # Errors
///
/// none yet
pub async fn run(_args: &DemoArgs, _session: &Session<'_>) -> Result<u8> {
    Err(Error::unsupported("the demo is being joined"))
}
