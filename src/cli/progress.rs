//! Watching a run: a bar for people on a terminal, log lines for everybody else.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ops::Progress;
use crate::units::Bytes;

/// A bar of bytes on standard error.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    groups: Mutex<(usize, usize)>,
}

impl Default for Bar {
    fn default() -> Self {
        Self { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()), groups: Mutex::new((0, 0)) }
    }
}

impl Bar {
    fn show(&self, change: impl FnOnce(&mut (usize, usize))) {
        // A poisoned lock means that another watcher failed: the bar is for show only.
        if let Ok(mut groups) = self.groups.lock() {
            change(&mut groups);
            self.bar.set_message(format!("group {} of {}", groups.0, groups.1));
        }
    }
}

impl Progress for Bar {
    fn planned(&self, groups: usize, bytes: Bytes) {
        if let Ok(style) = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes}  {msg}  {elapsed} (about {eta} left)") {
            self.bar.set_style(style.progress_chars("━╸ "));
        }
        self.bar.set_length(bytes.0);
        self.show(|state| *state = (0, groups));
    }

    fn group_done(&self, bytes: Bytes) {
        self.bar.inc(bytes.0);
        self.show(|state| state.0 += 1);
    }

    fn remark(&self, text: &str) {
        self.bar.println(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Log lines only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl Progress for Lines {
    fn planned(&self, groups: usize, bytes: Bytes) {
        tracing::info!(target: "otf", groups, %bytes, "planned");
    }

    fn group_done(&self, bytes: Bytes) {
        tracing::info!(target: "otf", %bytes, "group done");
    }

    fn remark(&self, text: &str) {
        tracing::warn!(target: "otf", "{text}");
    }
}
