//! Micro benches: `cargo bench --bench micro`. Figures are for comparing changes on one machine, not for quoting.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod logs;
mod manifests;
mod places;
mod planner;
mod rewrites;

fn main() {
    divan::main();
}
