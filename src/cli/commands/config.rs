//! `otf config check` and `otf config schema`.

use serde_json::json;

use crate::cli::session::Session;
use crate::config::schema::schema;
use crate::config::{Size, values};
use crate::error::Result;

/// Check the configuration or describe it.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum ConfigCommand {
    /// Read file, environment and options, and print what is in force; secrets are blotted out
    Check,
    /// Print a JSON schema of otf.toml
    Schema,
}

/// Prints the configuration in force, or its schema. A configuration with mistakes never gets here: reading the settings fails first.
///
/// # Errors
///
/// `Unavailable` if standard output cannot be written.
pub fn run(args: &ConfigArgs, session: &Session<'_>) -> Result<u8> {
    match args.command {
        ConfigCommand::Schema => session.ui.json(&schema())?,
        ConfigCommand::Check => check(session)?,
    }
    Ok(0)
}

fn check(session: &Session<'_>) -> Result<()> {
    let settings = &session.settings;
    let mut shown = settings.config.clone();
    shown.output = Some(settings.output);
    shown.color = Some(settings.color);
    shown.log = Some(settings.log);
    shown.engine = Some("local".to_string());
    shown.memory = Some(Size(settings.memory));
    shown.threads = std::num::NonZeroUsize::new(settings.threads);
    shown.temp_dir = Some(settings.temp_dir.clone());
    shown.storage.clone_from(&settings.storage);
    let shown = shown.masked();
    let file = settings.config_file.as_ref().map(|file| file.display().to_string());
    if session.ui.output == values::Output::Json {
        return session.ui.json(&json!({"command": "config check", "file": file, "settings": shown}));
    }
    let file = file.map_or_else(|| "no configuration file".to_string(), |file| format!("from {file}, the environment and the options"));
    session.ui.text(&format!("# {file}\n{}", shown.as_toml()))
}
