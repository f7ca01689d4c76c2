//! The crash sweep over tables of an SQL catalog: metadata files are written first and made current by a row, so that a process that dies between
//! the two leaves a metadata file nobody names (P1, P2).

use crate::crash::{Mishap, iceberg_options, sweep};
use crate::support::workbench::{Original, runtime};

fn sweep_sql(fixture: &str, mishap: Mishap) {
    runtime().block_on(async {
        let original = Original::iceberg_in_sql(fixture).await;
        let calls = sweep(&original, &iceberg_options(), mishap).await;
        assert!(calls > 25, "{calls}");
    });
}

#[test]
fn a_table_of_an_sql_catalog_survives_a_kill_before_any_call() {
    sweep_sql("iceberg_v2_posdeletes", Mishap::KilledBefore);
}

#[test]
fn a_table_of_an_sql_catalog_survives_a_kill_after_any_call() {
    sweep_sql("iceberg_v2_posdeletes", Mishap::KilledAfter);
    sweep_sql("iceberg_v3_dv", Mishap::KilledAfter);
}

#[test]
fn a_table_of_an_sql_catalog_survives_the_loss_of_any_answer() {
    sweep_sql("iceberg_v2_posdeletes", Mishap::AnswerLost);
    sweep_sql("iceberg_v3_dv", Mishap::AnswerLostThenFails);
}

#[test]
fn a_table_of_an_sql_catalog_survives_the_failure_of_any_call() {
    sweep_sql("iceberg_v2_posdeletes", Mishap::Fails);
    sweep_sql("iceberg_v3_dv", Mishap::FailsTwice);
}
