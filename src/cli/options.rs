//! Options every verb takes, and what they come to together with the environment and the configuration file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;

use crate::config::{Color, Config, LogFormat, Output, Size};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::moved::Moves;
use crate::units::Bytes;
use crate::wiring::System;
use crate::wiring::open::Layout;
use crate::wiring::system::cores;

/// Options every verb takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Configuration file [default: ./otf.toml, then ~/.config/otf/otf.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What results are printed as [default: text]
    #[arg(long, global = true, value_enum, hide_possible_values = true, value_name = "text|json")]
    pub output: Option<Output>,
    /// Do what the plan says without asking
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Show the plan and write nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Where rows are rewritten [default: local]
    #[arg(long, global = true, value_name = "local")]
    pub engine: Option<String>,
    /// Memory budget [default: 2GiB]
    #[arg(long, global = true, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// Threads [default: the cores available]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Folder for temporary files [default: the system's]
    #[arg(long, global = true, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,
    /// A storage option by object_store's own key, e.g. aws_region=eu-west-1; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub storage_option: Vec<String>,
    /// Files that a table's metadata calls OLD lie at NEW: reads and changes a copied or moved table; may be repeated
    #[arg(long, global = true, value_name = "OLD=NEW")]
    pub map_location: Vec<String>,
    /// Log more (-v info, -vv debug, -vvv trace)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log errors only and show no progress
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// What log lines look like [default: text]
    #[arg(long, global = true, value_enum, hide_possible_values = true, value_name = "text|json")]
    pub log: Option<LogFormat>,
    /// Show no progress bar
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// When to colour output [default: auto]
    #[arg(long, global = true, value_enum, hide_possible_values = true, value_name = "auto|always|never")]
    pub color: Option<Color>,
}

/// The table a verb works on.
#[derive(Debug, Clone, clap::Args)]
pub struct TableArgs {
    /// A path, a location (s3://…), an Iceberg metadata file, or catalog.namespace.table; TABLE#BRANCH is a branch or tag of an Iceberg table
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// The format to read where several lie over the same files
    #[arg(long, value_enum, hide_possible_values = true, value_name = "delta|iceberg")]
    pub table_format: Option<Layout>,
}

/// What options, environment and file come to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file's and the environment's settings, as read.
    pub config: Config,
    /// The file that was read, if any.
    pub config_file: Option<PathBuf>,
    /// What results are printed as.
    pub output: Output,
    /// When output is coloured.
    pub color: Color,
    /// What log lines look like.
    pub log: LogFormat,
    /// The least important log lines that are shown.
    pub level: LevelFilter,
    /// Whether a progress bar may be shown.
    pub progress: bool,
    /// Whether plans are run without asking.
    pub yes: bool,
    /// Whether nothing may be written.
    pub dry_run: bool,
    /// Memory budget.
    pub memory: Bytes,
    /// Threads.
    pub threads: usize,
    /// Folder for temporary files.
    pub temp_dir: PathBuf,
    /// Storage options.
    pub storage: BTreeMap<String, String>,
    /// Places that lie elsewhere than metadata says.
    pub moves: Moves,
}

impl Settings {
    /// Less than this is no budget: one row group of the usual size would not fit.
    const LEAST_MEMORY: Bytes = Bytes::mib(64);

    /// Joins options, environment and file; options win.
    ///
    /// # Errors
    ///
    /// `Usage` for settings that do not fit or a file that cannot be read; `Unsupported` for engines that are not in this build.
    pub fn join(options: &GlobalOptions, system: &System) -> Result<Self> {
        let (config_file, text) = config_text(options, system)?;
        let config = Config::read(text.as_deref(), &system.env)
            .map_err(|error| config_file.iter().fold(error, |error, file| error.about("file", file.display())))?;
        check_engine(options.engine.as_deref().or(config.engine.as_deref()).unwrap_or("local"))?;
        let memory = options.memory.or(config.memory).map_or(Bytes::mib(2048), |size| size.0);
        if memory < Self::LEAST_MEMORY {
            return Err(Error::usage("the memory budget is too small").about("memory", memory).hint("give at least 64MiB"));
        }
        let mut storage = config.storage.clone();
        for option in &options.storage_option {
            let (key, value) = key_value("--storage-option", option)?;
            storage.insert(key.to_string(), value.to_string());
        }
        let level = match (options.quiet, options.verbose) {
            (true, _) => LevelFilter::ERROR,
            (_, 0) => LevelFilter::WARN,
            (_, 1) => LevelFilter::INFO,
            (_, 2) => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        Ok(Self {
            output: options.output.or(config.output).unwrap_or_default(),
            color: options.color.or(config.color).unwrap_or_default(),
            log: options.log.or(config.log).unwrap_or_default(),
            level,
            progress: !options.no_progress && !options.quiet,
            yes: options.yes,
            dry_run: options.dry_run,
            memory,
            threads: options.threads.or(config.threads).map_or_else(cores, NonZeroUsize::get),
            temp_dir: options.temp_dir.clone().or_else(|| config.temp_dir.clone()).unwrap_or_else(|| system.temp_dir()),
            storage,
            moves: moves(&options.map_location, system)?,
            config,
            config_file,
        })
    }
}

/// Reads `OLD=NEW` pairs; relative ones lie below the working folder.
fn moves(pairs: &[String], system: &System) -> Result<Moves> {
    if pairs.is_empty() {
        return Ok(Moves::default());
    }
    let here = system.here()?;
    let pair = |text: &String| {
        let (old, new) = key_value("--map-location", text)?;
        Ok((Location::parse_below(old, &here)?, Location::parse_below(new, &here)?))
    };
    Moves::new(pairs.iter().map(pair).collect::<Result<_>>()?)
}

/// The configuration file and its text. A file that was named must exist.
fn config_text(options: &GlobalOptions, system: &System) -> Result<(Option<PathBuf>, Option<String>)> {
    let named = options.config.clone().or_else(|| system.env.get("OTF_CONFIG").map(PathBuf::from));
    let must_exist = named.is_some();
    let candidates = named.map_or_else(|| system.config_files(), |file| vec![system.folder.join(file)]);
    for file in candidates {
        match std::fs::read_to_string(&file) {
            Ok(text) => return Ok((Some(file), Some(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {}
            Err(error) => return Err(unreadable(&file, error)),
        }
    }
    Ok((None, None))
}

fn unreadable(file: &Path, error: std::io::Error) -> Error {
    Error::usage("the configuration file cannot be read").about("file", file.display()).about("why", error.kind()).because(error)
}

fn check_engine(engine: &str) -> Result<()> {
    match engine {
        "local" => Ok(()),
        other if other.starts_with("ballista://") => {
            Err(Error::unsupported("the Ballista engine is not in this version")
                .hint("leave --engine out: rows are rewritten in this process"))
        }
        other => Err(Error::usage("there is no such engine").about("engine", other).hint("this version has one engine: local")),
    }
}

/// Splits `KEY=VALUE`.
///
/// # Errors
///
/// `Usage` if there is no `=` or no key. The text is not repeated: it may be a secret.
pub fn key_value<'a>(option: &'static str, text: &'a str) -> Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim(), value.trim())),
        _ => Err(Error::usage("an option is not KEY=VALUE").about("option", option)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn system(folder: &Path) -> System {
        let mut system = System::of_process();
        system.folder = folder.to_path_buf();
        system.env = [("HOME".to_string(), "/nonexistent".to_string())].into();
        system
    }

    #[test]
    fn options_win_over_the_environment_and_the_environment_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("otf.toml"),
            "memory = \"1GiB\"\nthreads = 3\noutput = \"json\"\n[storage]\na = \"1\"\nb = \"1\"\n",
        )
        .unwrap();
        let mut system = system(folder.path());
        system.env.insert("OTF_THREADS".into(), "5".into());
        let options =
            GlobalOptions { memory: Some(Size(Bytes::mib(100))), storage_option: vec!["b=2=3".into()], ..GlobalOptions::default() };
        let settings = Settings::join(&options, &system).unwrap();
        assert_eq!((settings.memory, settings.threads, settings.output), (Bytes::mib(100), 5, Output::Json));
        assert_eq!(settings.storage, [("a".to_string(), "1".to_string()), ("b".to_string(), "2=3".to_string())].into());
        assert_eq!(settings.config_file, Some(folder.path().join("otf.toml")));
    }

    #[test]
    fn without_any_settings_the_defaults_of_the_contract_hold() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::join(&GlobalOptions::default(), &system(folder.path())).unwrap();
        assert_eq!((settings.memory, settings.output, settings.level), (Bytes(2 << 30), Output::Text, LevelFilter::WARN));
        assert!(settings.threads >= 1 && settings.progress && !settings.yes && !settings.dry_run);
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_runs() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |options: GlobalOptions| Settings::join(&options, &system(folder.path())).unwrap_err().kind();
        assert_eq!(kind(GlobalOptions { engine: Some("ballista://h:1".into()), ..GlobalOptions::default() }), Kind::Unsupported);
        assert_eq!(kind(GlobalOptions { engine: Some("spark".into()), ..GlobalOptions::default() }), Kind::Usage);
        assert_eq!(kind(GlobalOptions { memory: Some(Size(Bytes::mib(1))), ..GlobalOptions::default() }), Kind::Usage);
        assert_eq!(kind(GlobalOptions { config: Some("missing.toml".into()), ..GlobalOptions::default() }), Kind::Usage);
        assert_eq!(kind(GlobalOptions { storage_option: vec!["secret".into()], ..GlobalOptions::default() }), Kind::Usage);
    }
}
