//! The one integration-test binary. `$OTF_GOLDEN` names the folder of golden tables; without it the golden tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests fail by panicking")]

mod architecture;
mod cli;
mod crash;
mod crash_sql;
mod crash_upkeep;
mod delta_past;
mod documents;
mod evolution;
mod expire;
mod expire_crash;
mod expire_property;
mod fsck;
mod fsck_golden;
mod fuzz;
mod golden;
mod guide;
mod iceberg_golden;
mod iceberg_golden_upkeep;
mod incidents;
mod incidents_expire;
mod incidents_of_deletes;
mod incidents_orphans;
mod incidents_query;
mod inspect;
mod inspect_golden;
mod interleavings;
mod land;
mod land_upkeep;
mod leftovers;
mod marks;
mod moved;
mod outcomes;
mod peers;
mod query;
mod query_about;
mod query_golden;
mod query_inside;
mod races;
mod suite_delta;
mod suite_iceberg;
mod suites;
mod support;
mod upkeep;
mod upserts;
