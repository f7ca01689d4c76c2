"""Delta tables as Spark writes them: one case for each table feature a compaction could break."""

from __future__ import annotations

from .iceberg_cases import CLICKHOUSE_BINARY, CLICKHOUSE_NULL_STRUCT, NESTED, NESTED_ROWS, ODD, TYPED, TYPES, insert
from .tables import Case


def _create(columns: str, clauses: str = "", *properties: str) -> str:
    """`CREATE TABLE` with properties given as `key=value`, without their prefix `delta.`."""
    listed = ", ".join("'delta.{}'='{}'".format(*p.split("=")) for p in properties)
    return f"CREATE TABLE {{t}} ({columns}) USING delta {clauses}" + (f" TBLPROPERTIES ({listed})" if listed else "")


ROW_ID = ("_metadata.row_id", "_metadata.row_commit_version")
TRINO_INSTANTS = {"trino": "Trino keeps milliseconds of Delta's timestamps"}
NO_WIDENING = {"deltalake": "delta-rs refuses the feature", "trino": "Trino 476 hides columns whose type was widened"}
MAPPED_PARTITION = {"duckdb": "DuckDB gives null for partition columns under column mapping"}

CASES = (
    Case("plain", (_create("id BIGINT, v STRING"), insert("id, concat('v', id)", 0, 30), insert("id, NULL", 30, 60)), files_after=1),
    Case("types", (_create(TYPES), insert(TYPED, 0, 60)), files_after=1, blind={**CLICKHOUSE_BINARY, **TRINO_INSTANTS}),
    Case("nested", (_create(NESTED), insert(NESTED_ROWS, 0, 60)), files_after=1, blind=CLICKHOUSE_NULL_STRUCT),
    Case("partitioned_odd_values", (_create("id BIGINT, p STRING, v INT", "PARTITIONED BY (p)"),
                                    insert(f"id, {ODD}, CAST(id AS INT)", 0, 60)), files_after=5),
    Case("partitioned_typed", (_create("id BIGINT, d DATE, ts TIMESTAMP, n DECIMAL(9,2)", "PARTITIONED BY (d, ts, n)"),
                               insert("id, date_add(DATE'2020-01-01', CAST(id % 2 AS INT)), "
                                      "timestamp_micros((id % 2) * 1000001), CAST(id % 2 AS DECIMAL(9,2)) / 4", 0, 60)), files_after=2,
         blind=TRINO_INSTANTS),
    Case("odd_names", (_create("id BIGINT, `a b` STRING, `c.d` STRING, `e,f` STRING", "PARTITIONED BY (`c.d`)", "columnMapping.mode=name"),
                       insert("id, 'v', concat('p', id % 2), 'w'", 0, 60)), files_after=2, blind=MAPPED_PARTITION),
    Case("deletion_vectors", (
        _create("id BIGINT, v STRING", "", "enableDeletionVectors=true"), insert("id, concat('v', id)", 0, 60),
        "DELETE FROM {t} WHERE id % 4 = 0", insert("id, concat('w', id)", 60, 80, 2),
        "UPDATE {t} SET v = 'updated' WHERE id % 10 = 3"), files_after=1),
    Case("deletion_vectors_partitioned", (
        _create("id BIGINT, p INT, v STRING", "PARTITIONED BY (p)", "enableDeletionVectors=true"),
        insert("id, CAST(id % 3 AS INT), 'v'", 0, 90), "DELETE FROM {t} WHERE id % 4 = 0 AND p < 2",
        "DELETE FROM {t} WHERE p = 2"), files_after=2),
    Case("mapping_name", (
        _create("id BIGINT, gone STRING, named STRING, s STRUCT<a: INT, b: STRING>, p STRING", "PARTITIONED BY (p)", "columnMapping.mode=name"),
        insert("id, 'gone', concat('n', id), struct(CAST(id AS INT) AS a, 'b' AS b), concat('p', id % 2)", 0, 60),
        "ALTER TABLE {t} DROP COLUMN gone", "ALTER TABLE {t} RENAME COLUMN named TO renamed",
        "ALTER TABLE {t} RENAME COLUMN s.a TO c", "ALTER TABLE {t} ADD COLUMN gone INT"), files_after=2, blind=MAPPED_PARTITION),
    Case("mapping_id", (
        _create("id BIGINT, gone STRING, named STRING", "", "columnMapping.mode=id"), insert("id, 'gone', concat('n', id)", 0, 60),
        "ALTER TABLE {t} DROP COLUMN gone", "ALTER TABLE {t} RENAME COLUMN named TO renamed"), files_after=1),
    Case("added_columns", (
        _create("id BIGINT, v STRING"), insert("id, 'v'", 0, 30, 3), "ALTER TABLE {t} ADD COLUMN w DOUBLE",
        "ALTER TABLE {t} ADD COLUMN x STRUCT<y: INT> FIRST", insert("struct(CAST(id AS INT) AS y), id, 'v', id / 3", 30, 60, 3)),
        files_after=1, blind={"chdb": "ClickHouse has no null structs"}),
    Case("generated_columns", (
        _create("id BIGINT, ts TIMESTAMP, d DATE GENERATED ALWAYS AS (CAST(ts AS DATE))", "PARTITIONED BY (d)"),
        insert("id, timestamp_micros((id % 3) * 86400000000 + id), CAST(timestamp_micros((id % 3) * 86400000000) AS DATE)", 0, 60)),
        files_after=3, blind=TRINO_INSTANTS),
    Case("identity_columns", (
        _create("id BIGINT GENERATED ALWAYS AS IDENTITY, v STRING"),
        "INSERT INTO {t} (v) SELECT /*+ REPARTITION(6) */ concat('v', id) FROM range(60)"), files_after=1, copyable=False),
    Case("column_defaults", (
        _create("id BIGINT, v STRING DEFAULT 'd'", "", "feature.allowColumnDefaults=supported"),
        "INSERT INTO {t} VALUES (1, DEFAULT), (2, 'x')", insert("id, 'v'", 0, 60)), files_after=1),
    Case("row_tracking", (
        _create("id BIGINT, v STRING", "", "enableRowTracking=true", "enableDeletionVectors=true"), insert("id, concat('v', id)", 0, 60),
        "DELETE FROM {t} WHERE id % 4 = 0", "UPDATE {t} SET v = 'updated' WHERE id % 10 = 3", insert("id, 'w'", 60, 80, 2)),
        files_after=1, row_ids=ROW_ID),
    Case("row_tracking_partitioned", (
        _create("id BIGINT, p INT, v STRING", "PARTITIONED BY (p)", "enableRowTracking=true", "columnMapping.mode=name"),
        insert("id, CAST(id % 2 AS INT), 'v'", 0, 60), "UPDATE {t} SET v = 'u' WHERE id % 7 = 0"), files_after=2, row_ids=ROW_ID,
        blind=MAPPED_PARTITION),
    Case("change_data_feed", (
        _create("id BIGINT, v STRING", "", "enableChangeDataFeed=true"), insert("id, 'v'", 0, 60),
        "UPDATE {t} SET v = 'u' WHERE id % 7 = 0", "DELETE FROM {t} WHERE id < 5"), files_after=1),
    Case("constraints", (
        _create("id BIGINT NOT NULL, v STRING"), "ALTER TABLE {t} ADD CONSTRAINT small CHECK (id < 1000)", insert("id, 'v'", 0, 60)),
        files_after=1),
    Case("append_only", (_create("id BIGINT, v STRING", "", "appendOnly=true"), insert("id, 'v'", 0, 60)), files_after=1),
    Case("timestamp_ntz", (_create("id BIGINT, t TIMESTAMP_NTZ", "PARTITIONED BY (t)"),
                           insert("id, CAST(timestamp_micros((id % 2) * 1000001) AS TIMESTAMP_NTZ)", 0, 60)), files_after=2),
    Case("type_widening", (
        _create("id BIGINT, n INT, d DECIMAL(9,2)", "", "enableTypeWidening=true"),
        insert("id, CAST(id AS INT), CAST(id AS DECIMAL(9,2))", 0, 30, 3), "ALTER TABLE {t} ALTER COLUMN n TYPE BIGINT",
        "ALTER TABLE {t} ALTER COLUMN d TYPE DECIMAL(18,4)", insert("id, id + 5000000000, CAST(id AS DECIMAL(18,4)) / 16", 30, 60, 3)),
        files_after=1, blind=NO_WIDENING),
    Case("in_commit_timestamps", (_create("id BIGINT, v STRING", "", "enableInCommitTimestamps=true"), insert("id, 'v'", 0, 60)), files_after=1),
    Case("clustered", (_create("id BIGINT, v STRING", "CLUSTER BY (id)"), insert("id, 'v'", 0, 30), insert("id, 'v'", 30, 60)), files_after=1),
    Case("iceberg_compat", (
        _create("id BIGINT, v STRING, p INT", "PARTITIONED BY (p)", "enableIcebergCompatV2=true", "columnMapping.mode=name"),
        insert("id, concat('v', id), CAST(id % 2 AS INT)", 0, 60)), files_after=2, blind=MAPPED_PARTITION),
    Case("classic_checkpoints", (_create("id BIGINT, v STRING", "", "checkpointInterval=3", "enableDeletionVectors=true"),
                                 *(insert("id, 'v'", n * 10, n * 10 + 10, 2) for n in range(4)), "DELETE FROM {t} WHERE id % 4 = 0"),
         files_after=1),
    Case("v2_checkpoints", (_create("id BIGINT, v STRING", "", "checkpointPolicy=v2", "checkpointInterval=3"),
                            *(insert("id, 'v'", n * 10, n * 10 + 10, 2) for n in range(4))), files_after=1),
)
