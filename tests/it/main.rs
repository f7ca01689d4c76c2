//! The one integration-test binary. `$OTF_GOLDEN` names the folder of golden tables; without it the golden tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests fail by panicking")]

mod architecture;
mod cli;
mod crash;
mod crash_sql;
mod documents;
mod evolution;
mod fsck;
mod fsck_golden;
mod fuzz;
mod golden;
mod iceberg_golden;
mod incidents;
mod incidents_of_deletes;
mod interleavings;
mod land;
mod leftovers;
mod marks;
mod moved;
mod outcomes;
mod peers;
mod query;
mod races;
mod suite_delta;
mod suite_iceberg;
mod suites;
mod support;
mod upserts;
