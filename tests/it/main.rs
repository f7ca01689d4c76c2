//! The one integration-test binary. `$OTF_GOLDEN` names the folder of golden tables; without it the golden tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests fail by panicking")]

mod architecture;
mod cli;
mod crash;
mod documents;
mod fsck;
mod fsck_golden;
mod fuzz;
mod golden;
mod iceberg_golden;
mod land;
mod peers;
mod races;
mod support;
