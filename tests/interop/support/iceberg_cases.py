"""Iceberg tables as Spark writes them: one case for each feature a compaction could break."""

from __future__ import annotations

from dataclasses import replace

from .tables import Case


#: No shuffle before writing, so that every task leaves a file in every partition; deletes are merged on read.
WRITE = ("write.distribution-mode=none", "write.spark.fanout.enabled=true", "write.delete.mode=merge-on-read",
         "write.update.mode=merge-on-read", "write.merge.mode=merge-on-read")


def _create(columns: str, partition: str = "", *properties: str, version: int = 2) -> str:
    """`CREATE TABLE` with properties given as `key=value`; version 1 knows no deletes, so it writes rows anew."""
    settings = (f"format-version={version}", *(WRITE if version > 1 else WRITE[:2]), *properties)
    listed = ", ".join("'{}'='{}'".format(*p.split("=")) for p in settings)
    by = f"PARTITIONED BY ({partition})" if partition else ""
    return f"CREATE TABLE {{t}} ({columns}) USING iceberg {by} TBLPROPERTIES ({listed})"


def insert(expressions: str, first: int, last: int, files: int = 6) -> str:
    """Rows with ids `first` to `last` (exclusive) in `files` tasks."""
    return f"INSERT INTO {{t}} SELECT /*+ REPARTITION({files}) */ {expressions} FROM range({first}, {last})"


TYPES = ("id BIGINT, b BOOLEAN, i INT, f FLOAT, d DOUBLE, n9 DECIMAL(9,2), n18 DECIMAL(18,4), n38 DECIMAL(38,10), "
         "s STRING, bin BINARY, dt DATE, ts TIMESTAMP, tn TIMESTAMP_NTZ")
TYPED = ("id, id % 2 = 0, if(id % 7 = 0, NULL, CAST(id * 1000 - 5 AS INT)), "
         "CAST(CASE id % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' ELSE '1.5' END AS FLOAT), "
         "CASE id % 6 WHEN 0 THEN double('NaN') WHEN 1 THEN double('-Infinity') ELSE id / 3 END, "
         "CAST(id - 30 AS DECIMAL(9,2)) / 4, CAST(id AS DECIMAL(18,4)) * -1, "
         "CAST(CAST(id AS STRING) || '123456789012345678.0123456789' AS DECIMAL(38,10)), "
         "if(id % 11 = 0, NULL, concat('text ', id, ' ü€😀')), unhex(lpad(hex(id), 4, '0')), "
         "date_add(DATE'1969-12-20', CAST(id AS INT)), "
         "timestamp_micros(id * 86399999999 - 400000000001), "
         "CAST(timestamp_micros(id * 3600000001) AS TIMESTAMP_NTZ)")
NESTED = ("id BIGINT, s STRUCT<a: INT, b: STRUCT<c: STRING, d: ARRAY<INT>>>, "
          "l ARRAY<STRUCT<x: INT, y: STRING>>, m MAP<STRING, ARRAY<BIGINT>>")
NESTED_ROWS = ("id, if(id % 5 = 0, NULL, struct(CAST(id AS INT) AS a, "
               "if(id % 3 = 0, NULL, struct(concat('c', id) AS c, array(CAST(id AS INT), NULL) AS d)) AS b)), "
               "CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN CAST(array() AS ARRAY<STRUCT<x: INT, y: STRING>>) "
               "ELSE array(struct(1 AS x, 'y' AS y), NULL, struct(CAST(id AS INT) AS x, CAST(NULL AS STRING) AS y)) END, "
               "if(id % 6 = 0, NULL, map(concat('k', id), array(id, id + 1), 'n', NULL))")
ODD = "CASE id % 5 WHEN 0 THEN 'a b' WHEN 1 THEN '50%' WHEN 2 THEN 'ü/ö=😀' WHEN 3 THEN NULL ELSE 'x+y#?&' END"

CLICKHOUSE_NULL_STRUCT = {"chdb": "ClickHouse has no null structs or lists"}
CLICKHOUSE_BINARY = {"chdb": "ClickHouse gives binary values as text"}
VECTORS = {"chdb": "ClickHouse refuses deletion vectors of Iceberg", "trino": "Trino 476 refuses deletion vectors of Iceberg"}

CASES = (
    Case("v1_plain", (_create("id BIGINT, v STRING", version=1), insert("id, concat('v', id)", 0, 30),
                      insert("id, NULL", 30, 60)), files_after=1),
    Case("v2_types", (_create(TYPES), insert(TYPED, 0, 60)), files_after=1, blind=CLICKHOUSE_BINARY),
    Case("v2_identity_odd_values", (_create("id BIGINT, p STRING, v INT", "p"), insert(f"id, {ODD}, CAST(id AS INT)", 0, 60)),
         files_after=5),
    Case("v2_day", (_create("id BIGINT, ts TIMESTAMP", "days(ts)"),
                    insert("id, timestamp_micros((id % 3) * 86400000000 + id)", 0, 60)), files_after=3),
    Case("v2_bucket_truncate", (_create("id BIGINT, n DECIMAL(9,2), s STRING", "bucket(2, id), truncate(2, s)"),
                                insert("id, CAST(id AS DECIMAL(9,2)), concat('aa', id % 4)", 0, 60)), files_after=2),
    Case("v2_nested", (_create(NESTED), insert(NESTED_ROWS, 0, 60)), files_after=1,
         blind={**CLICKHOUSE_NULL_STRUCT, "pyiceberg": "pyiceberg gives null lists as empty ones"}),
    Case("v2_position_deletes", (
        _create("id BIGINT, v STRING"), insert("id, concat('v', id)", 0, 60),
        "DELETE FROM {t} WHERE id % 4 = 0", insert("id, concat('w', id)", 60, 80, 2),
        "UPDATE {t} SET v = 'updated' WHERE id % 10 = 3", "DELETE FROM {t} WHERE id = 61"), files_after=1),
    Case("v2_position_deletes_partitioned", (
        _create("id BIGINT, p INT, v STRING", "p"), insert("id, CAST(id % 3 AS INT), concat('v', id)", 0, 90),
        "DELETE FROM {t} WHERE id % 4 = 0 AND p < 2", "DELETE FROM {t} WHERE p = 2"), files_after=2),
    Case("v2_evolved_schema", (
        _create("id BIGINT, gone STRING, named STRING, narrow INT, f FLOAT, n DECIMAL(9,2), s STRUCT<a: INT>"),
        insert("id, 'gone', concat('n', id), CAST(id AS INT), CAST(id AS FLOAT) / 3, CAST(id AS DECIMAL(9,2)), "
               "struct(CAST(id AS INT) AS a)", 0, 30, 3),
        "ALTER TABLE {t} DROP COLUMN gone", "ALTER TABLE {t} RENAME COLUMN named TO renamed",
        "ALTER TABLE {t} ALTER COLUMN narrow TYPE BIGINT", "ALTER TABLE {t} ALTER COLUMN f TYPE DOUBLE",
        "ALTER TABLE {t} ALTER COLUMN n TYPE DECIMAL(18,2)", "ALTER TABLE {t} ADD COLUMN added STRING FIRST",
        "ALTER TABLE {t} ADD COLUMN s.b STRING", "ALTER TABLE {t} ADD COLUMN gone DATE",
        insert("'new', id, 'r', id + 5000000000, id / 7, CAST(id AS DECIMAL(18,2)) * 1000000000, "
               "struct(1 AS a, 'b' AS b), DATE'2020-02-02'", 30, 60, 3)), files_after=1),
    Case("v2_evolved_spec", (
        _create("id BIGINT, p STRING"), insert("id, concat('p', id % 2)", 0, 30),
        "ALTER TABLE {t} ADD PARTITION FIELD p", insert("id, concat('p', id % 2)", 30, 60),
        "ALTER TABLE {t} REPLACE PARTITION FIELD p WITH bucket(2, id)", insert("id, 'p0'", 60, 90)), files_after=4),
    Case("v2_odd_names", (
        _create("id BIGINT, `a b` STRING, `c.d` STRING, `ü` STRUCT<`x y`: INT>", "`c.d`"),
        insert("id, 'v', concat('p', id % 2), struct(CAST(id AS INT) AS `x y`)", 0, 60)), files_after=2),
    Case("v2_gzip_metadata", (_create("id BIGINT, v STRING", "", "write.metadata.compression-codec=gzip"),
                              insert("id, 'v'", 0, 60)), files_after=1),
    Case("v2_object_layout", (_create("id BIGINT, p STRING", "p", "write.object-storage.enabled=true"),
                              insert("id, concat('p', id % 2)", 0, 60)), files_after=2),
    Case("v2_sql_catalog", (_create("id BIGINT, p STRING, v DOUBLE", "p"), insert("id, concat('p', id % 2), id / 3", 0, 60),
                            "DELETE FROM {t} WHERE id < 7"), files_after=2, catalog="sql"),
    Case("v3_deletion_vectors", (
        _create("id BIGINT, v STRING", version=3), insert("id, concat('v', id)", 0, 60),
        "DELETE FROM {t} WHERE id % 4 = 0", insert("id, concat('w', id)", 60, 80, 2),
        "UPDATE {t} SET v = 'updated' WHERE id % 10 = 3"), files_after=1,
        row_ids=("_row_id", "_last_updated_sequence_number"), blind=VECTORS),
    Case("v3_partitioned_lineage", (
        _create("id BIGINT, p INT, s STRUCT<a: INT, b: STRING>", "p", version=3),
        insert("id, CAST(id % 3 AS INT), struct(CAST(id AS INT) AS a, 'b' AS b)", 0, 90),
        "DELETE FROM {t} WHERE id % 5 = 0", "UPDATE {t} SET p = 1 WHERE id % 9 = 2"), files_after=3,
        row_ids=("_row_id", "_last_updated_sequence_number"), blind=VECTORS),
    Case("v3_upgraded", (
        _create("id BIGINT, v STRING"), insert("id, concat('v', id)", 0, 60), "DELETE FROM {t} WHERE id % 4 = 0",
        "ALTER TABLE {t} SET TBLPROPERTIES ('format-version'='3')", insert("id, 'w'", 60, 80, 2),
        "DELETE FROM {t} WHERE id = 62"), files_after=1, blind=VECTORS),
)

PARQUET_ALONE = "reads Parquet data files alone"


def _written_in(data_format: str, case: Case) -> Case:
    """The same table with data files and position deletes in another format."""
    create = case.statements[0].replace("TBLPROPERTIES (", f"TBLPROPERTIES ('write.format.default'='{data_format}', ")
    blind = {**case.blind, **{name: PARQUET_ALONE for name in ("pyiceberg", "duckdb", "chdb")}}
    return replace(case, name=f"{case.name}_{data_format}", statements=(create, *case.statements[1:]), blind=blind)


#: What a data file's format could change.
FORMAT_MATTERS = ("v1_plain", "v2_types", "v2_identity_odd_values", "v2_day", "v2_nested", "v2_position_deletes",
                  "v2_position_deletes_partitioned", "v2_evolved_schema", "v2_odd_names", "v3_deletion_vectors",
                  "v3_partitioned_lineage")
CASES += tuple(_written_in(data_format, case) for data_format in ("orc", "avro") for case in CASES
               if case.name in FORMAT_MATTERS)
