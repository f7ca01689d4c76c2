//! Micro benches: `cargo bench --bench micro`. Figures are for comparing changes on one machine, not for quoting.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod expiry;
mod logs;
mod manifests;
mod orphans;
mod places;
mod planner;
mod rewrites;

fn main() {
    divan::main();
}
