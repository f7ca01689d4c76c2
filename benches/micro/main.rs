//! Micro benches: `cargo bench --bench micro`. Figures are for comparing changes on one machine, not for quoting.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it tells times, memory and slopes itself")]
mod expiry;
mod logs;
mod manifests;
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "files are to be old; it tells what find takes")]
mod orphans;
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "how many files is asked for by the environment; it tells times and slopes itself"
)]
mod places;
mod planner;
mod plans;
mod rewrites;

fn main() {
    divan::main();
}
