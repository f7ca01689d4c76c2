//! The process and its surroundings: environment, clock, randomness, terminals, signals, memory.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::OperationId;
use crate::ops::Clock;
use crate::units::Timestamp;

/// What a process knows of its surroundings, as values: tests make their own.
#[derive(Clone)]
pub struct System {
    /// Environment variables whose names and values are text.
    pub env: BTreeMap<String, String>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// The working folder.
    pub folder: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment may hold secrets.
        f.debug_struct("System").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl System {
    /// The surroundings of this process.
    pub fn of_process() -> Self {
        let text = |(key, value): (std::ffi::OsString, std::ffi::OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
        Self {
            env: std::env::vars_os().filter_map(text).collect(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            clock: Arc::new(SystemClock),
        }
    }

    /// The working folder as a place.
    ///
    /// # Errors
    ///
    /// `Usage` if its name is not text.
    pub fn here(&self) -> Result<Location> {
        let folder = self.folder.to_str().ok_or_else(|| Error::usage("the working folder's name is not Unicode"))?;
        Location::parse(folder)
    }

    /// Where `otf.toml` is looked for when nobody names it, best first.
    pub fn config_files(&self) -> Vec<PathBuf> {
        let home = self.env.get("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = home.or_else(|| self.env.get("HOME").map(|home| Path::new(home).join(".config")));
        let mut files = vec![self.folder.join("otf.toml")];
        files.extend(home.map(|home| home.join("otf").join("otf.toml")));
        files
    }

    /// The folder for temporary files.
    pub fn temp_dir(&self) -> PathBuf {
        self.env.get("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> Timestamp {
        Timestamp(chrono::Utc::now().timestamp_millis())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    async fn wait_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// A fresh id for one run of an operation.
#[expect(clippy::disallowed_methods, reason = "ids are made here and nowhere else")]
pub fn operation_id() -> OperationId {
    OperationId(uuid::Uuid::new_v4().to_string())
}

/// The most memory this process has held, in bytes; 0 where the system does not say (Linux does, in `/proc/self/status`).
pub fn peak_memory_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| peak_of(&status)).unwrap_or(0)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// A runtime with `threads` workers.
///
/// # Errors
///
/// `Unavailable` if the system gives us no threads.
pub fn runtime(threads: usize) -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name("otf")
        .enable_all()
        .build()
        .map_err(|error| Error::unavailable("the system gave no threads").because(error))
}

/// Waits until somebody asks the process to stop (SIGINT or SIGTERM), and says so as an error.
pub async fn stopped() -> Error {
    let name = wait_for_signal().await;
    Error::unavailable("stopped before the end")
        .about("signal", name)
        .hint("run the command again: what was committed stays, and files of the unfinished part are removed by the next run")
}

#[cfg(unix)]
async fn wait_for_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        },
        // Without handlers the system's own apply: the process ends.
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() -> &'static str {
    match tokio::signal::ctrl_c().await {
        Ok(()) => "SIGINT",
        Err(_) => std::future::pending().await,
    }
}

/// Sends log lines at `level` and above to standard error.
pub fn log_to_stderr(level: tracing::level_filters::LevelFilter, json: bool) {
    let filter = tracing_subscriber::EnvFilter::new(format!("off,otf={level}"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second call (tests) keeps the first subscriber.
    let kept = if json { lines.json().try_init() } else { lines.try_init() };
    drop(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes_from_the_systems_own_table() {
        assert_eq!(peak_of("Name:\totf\nVmPeak:\t  9 kB\nVmHWM:\t    1234 kB\n"), Some(1_263_616));
        assert_eq!(peak_of("VmHWM: many"), None);
    }

    #[test]
    fn ids_differ_and_configuration_is_looked_for_here_then_at_home() {
        assert_ne!(operation_id(), operation_id());
        let mut system = System::of_process();
        system.folder = PathBuf::from("/w");
        system.env = [("HOME".to_string(), "/h".to_string())].into();
        assert_eq!(system.config_files(), [PathBuf::from("/w/otf.toml"), PathBuf::from("/h/.config/otf/otf.toml")]);
        system.env.insert("XDG_CONFIG_HOME".into(), "/x".into());
        assert_eq!(system.config_files()[1], PathBuf::from("/x/otf/otf.toml"));
    }
}
