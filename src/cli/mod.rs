//! The command line: reads arguments, runs a verb, shows what came of it. cli.md is the contract.

pub mod commands;
pub mod filter;
pub mod options;
pub mod progress;
pub mod session;
pub mod sink;
pub mod ui;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Color, Output};
use crate::error::{Error, Kind, Result};
use crate::wiring::{System, system};
use options::{GlobalOptions, Settings};
use session::Session;
use ui::Ui;

/// Keeps open tables small, fast, portable and lawful: Apache Iceberg and Delta Lake.
#[derive(Debug, Parser)]
#[command(name = "otf", version, about, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    /// Options every verb takes.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// What a main thread usually has.
const STACK: usize = 8 << 20;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn many small files into few right-sized ones; deletes are applied on the way
    Compact(Box<commands::compact::CompactArgs>),
    /// Forget old versions and delete every file that only they needed
    Expire(Box<commands::expire::ExpireArgs>),
    /// Say what a table is made of and how healthy it is
    Inspect(commands::inspect::InspectArgs),
    /// Check that a table is what its metadata says; nothing is ever written
    Fsck(commands::fsck::FsckArgs),
    /// Make an earlier version of a table current again
    Restore(commands::restore::RestoreArgs),
    /// Name a version of an Iceberg table for good
    Tag(commands::references::TagArgs),
    /// Work beside the main line of an Iceberg table's history
    Branch(commands::references::BranchArgs),
    /// Write a table's lists of files anew: Iceberg manifests, a checkpoint of a Delta log
    Manifests(commands::manifests::ManifestsArgs),
    /// Delete files below a table that nothing refers to
    Orphans(Box<commands::orphans::OrphansArgs>),
    /// Run SQL over tables, now or as of a version or a time; nothing is ever changed
    Query(commands::query::QueryArgs),
    /// Make a small lakehouse, run the verbs on it and say what to try
    Demo(commands::demo::DemoArgs),
    /// Print a completion script for a shell
    Completions(commands::completions::CompletionsArgs),
    /// Check the configuration or describe it
    Config(commands::config::ConfigArgs),
}

/// Runs the tool with `arguments` (the first is the program's name) and returns the exit status.
pub fn start(arguments: Vec<OsString>, system: &System) -> u8 {
    let asked = output_asked_for(&arguments, &system.env);
    let ui = Ui::new(asked, Color::Auto, system);
    // Whoever reads our output sees the place of a bug, never a backtrace and never the values that led to it (P7).
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::debug!(target: "otf", place, "panic");
    }));
    let ended = catch_unwind(AssertUnwindSafe(|| run(arguments, &ui, system)));
    match ended {
        Ok(Ok(status)) => status,
        Ok(Err((error, ui))) => {
            ui.error(&error);
            error.kind().exit_status()
        }
        Err(_) => {
            ui.error(&bug());
            Kind::Bug.exit_status()
        }
    }
}

/// Reads arguments and settings and runs the verb. A failure comes with the way to show it, as far as settings were known by then.
fn run(arguments: Vec<OsString>, early: &Ui, system: &System) -> std::result::Result<u8, (Error, Ui)> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return unread(&error, early).map_err(|error| (error, *early)),
    };
    let settings = Settings::join(&cli.global, system).map_err(|error| (error, *early))?;
    let ui = Ui::new(settings.output, settings.color, system);
    system::log_to_stderr(settings.level, settings.log == crate::config::LogFormat::Json);
    let runtime = system::runtime(settings.threads).map_err(|error| (error, ui))?;
    let session = Session { settings, ui, system: system.clone() };
    let (done, work) = tokio::sync::oneshot::channel();
    let inside = runtime.handle().clone();
    // The verb has a thread of its own: a stretch of work without a pause must not keep a signal waiting.
    let thread = std::thread::Builder::new().name("otf-verb".into()).stack_size(STACK).spawn(move || {
        // Nobody listens any more after a signal.
        drop(done.send(inside.block_on(dispatch(&cli.command, &session))));
    });
    if let Err(error) = thread {
        return Err((Error::unavailable("the system gave no thread").because(error), ui));
    }
    let ended = runtime.block_on(async {
        tokio::select! {
            // A panic drops the other end.
            ended = work => ended.unwrap_or_else(|_| Err(bug())),
            stopped = system::stopped() => Err(stopped),
        }
    });
    // Work that a signal interrupted is not waited for.
    runtime.shutdown_background();
    ended.map_err(|error| (error, ui))
}

/// A panic, as people are told of it.
fn bug() -> Error {
    Error::bug("this is a bug: the tool stopped at a place it should never reach")
        .hint("please report it with the command and what -vv says; nothing that was committed is lost")
}

async fn dispatch(command: &Command, session: &Session) -> Result<u8> {
    if matches!(session.ui.output, Output::Csv | Output::Parquet) && !matches!(command, Command::Query(_)) {
        return Err(Error::usage("only queries have rows to print as CSV or Parquet").hint("use --output text or --output json"));
    }
    match command {
        Command::Query(args) => commands::query::run(args, session).await,
        Command::Compact(args) => commands::compact::run(args, session).await,
        Command::Expire(args) => commands::expire::run(args, session).await,
        Command::Inspect(args) => commands::inspect::run(args, session).await,
        Command::Fsck(args) => commands::fsck::run(args, session).await,
        Command::Restore(args) => commands::restore::run(args, session).await,
        Command::Tag(args) => commands::references::tag(args, session).await,
        Command::Branch(args) => commands::references::branch(args, session).await,
        Command::Manifests(args) => commands::manifests::run(args, session).await,
        Command::Orphans(args) => commands::orphans::run(args, session).await,
        Command::Demo(args) => commands::demo::run(args, session).await,
        Command::Completions(args) => commands::completions::run(args, &mut Cli::command(), session),
        Command::Config(args) => commands::config::run(args, session),
    }
}

/// What clap could not read: help and version are answers, everything else is a usage error.
fn unread(error: &clap::Error, ui: &Ui) -> Result<u8> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    let text = error.render();
    match error.kind() {
        DisplayHelp | DisplayVersion => ui.text(&text.to_string()).map(|()| 0),
        DisplayHelpOnMissingArgumentOrSubcommand if ui.is_json() => Err(Error::usage("no verb was named")),
        DisplayHelpOnMissingArgumentOrSubcommand => {
            ui.remark(&text.to_string());
            Ok(Kind::Usage.exit_status())
        }
        _ => Err(usage_error(&text.to_string())),
    }
}

/// clap's text as an error: the first paragraph is the message, tips are the hint.
fn usage_error(text: &str) -> Error {
    let body = text.strip_prefix("error: ").unwrap_or(text);
    let mut message = Vec::new();
    let mut tips = Vec::new();
    for line in body.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")) {
        match line.strip_prefix("tip: ") {
            Some(tip) => tips.push(tip.to_string()),
            None if !line.is_empty() && !line.starts_with("For more information") => message.push(line.to_string()),
            None => {}
        }
    }
    tips.push("see `otf help`".to_string());
    Error::usage(message.join(" ")).hint(tips.join("; "))
}

/// The output asked for, found before the arguments have been understood: errors about them must come in that form too.
fn output_asked_for(arguments: &[OsString], env: &BTreeMap<String, String>) -> Output {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--").collect();
    let after = words.windows(2).rev().find_map(|pair| if let ["--output", value] = pair { Some(*value) } else { None });
    let joined = words.iter().rev().find_map(|word| word.strip_prefix("--output="));
    match after.or(joined).or_else(|| env.get("OTF_OUTPUT").map(String::as_str)) {
        Some("json") => Output::Json,
        Some("parquet") => Output::Parquet,
        _ => Output::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_output_asked_for_is_known_before_the_arguments_are_understood() {
        let asked = |words: &[&str], env: &[(&str, &str)]| {
            let env = env.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
            output_asked_for(&words.iter().map(OsString::from).collect::<Vec<_>>(), &env)
        };
        assert_eq!(asked(&["otf", "nonsense", "--output", "json"], &[]), Output::Json);
        assert_eq!(asked(&["otf", "--output=json", "--what"], &[]), Output::Json);
        assert_eq!(asked(&["otf", "compact"], &[("OTF_OUTPUT", "json")]), Output::Json);
        assert_eq!(asked(&["otf", "--output", "text"], &[("OTF_OUTPUT", "json")]), Output::Text);
        assert_eq!(asked(&["otf", "compact", "--", "--output", "json"], &[]), Output::Text);
    }

    #[test]
    fn what_clap_says_becomes_message_and_hint() {
        let error = Cli::try_parse_from(["otf", "compact", "t", "--targt-file-size", "1"]).unwrap_err();
        let error = usage_error(&error.render().to_string());
        assert_eq!(error.message(), "unexpected argument '--targt-file-size' found");
        assert!(error.next_step().contains("--target-file-size"), "{}", error.next_step());
    }
}
