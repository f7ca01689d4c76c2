//! Micro benches: `cargo bench --bench micro`. Figures are for comparing changes on one machine, not for quoting.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it tells times, memory and slopes itself")]
mod expiry;
mod logs;
mod manifests;
#[expect(clippy::disallowed_methods, reason = "files are to be old; how many is asked for by the environment")]
mod orphans;
mod places;
mod planner;
mod plans;
mod rewrites;

fn main() {
    divan::main();
}
