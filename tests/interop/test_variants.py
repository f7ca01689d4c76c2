"""Variants with values in typed columns, as Spark writes them: put together, they are the values that Spark and DuckDB see."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import Maker
from pyspark.sql.types import VariantVal
from support.otf import Otf
from support.readers import Readers
from support.rows import multiset, require_equal
from support.tables import Case, Table

#: Objects of every type that Spark can shred, and among them rows of other shapes: nulls, missing and additional members, numbers, arrays.
OBJECT = """named_struct(
  'a', id, 'i8', CAST(id AS TINYINT), 'i16', CAST(id AS SMALLINT), 'i32', CAST(id AS INT), 'yes', id % 2 = 0,
  'd4', CAST(id / 7 AS DECIMAL(9, 2)), 'd8', CAST(id / 7 AS DECIMAL(18, 4)), 'd16', CAST(id / 7 AS DECIMAL(38, 10)),
  'f', CAST(id / 3 AS FLOAT), 'g', CAST(id / 3 AS DOUBLE), 'day', date_add(DATE'1969-12-20', CAST(id AS INT)),
  'ts', timestamp_micros(id * 1234567 - 999), 'tn', CAST(timestamp_micros(id * 7654321) AS TIMESTAMP_NTZ),
  's', repeat('ä', CAST(id AS INT)), 'bin', CAST(concat('b', id) AS BINARY),
  'list', array(id, NULL, id + 1), 'deep', named_struct('x', named_struct('y', CAST(id AS STRING))), 'zero', CAST(NULL AS INT))"""
VARIANT = f"""CASE
  WHEN id % 10 = 3 THEN parse_json(concat('{{"a": "text ', id, '", "more": [1, {{"k": null}}], "deep": 5, "A": 1, "d4": 1.5}}'))
  WHEN id % 10 = 6 THEN NULL WHEN id % 10 = 8 THEN parse_json('{{}}') ELSE to_variant_object({OBJECT}) END"""
#: Engines shred a column whose values are of one kind: objects; arrays; numbers and null.
ROWS = f"""INSERT INTO {{t}} SELECT /*+ REPARTITION(3) */ id, {VARIANT}, named_struct('v', {VARIANT}), array({VARIANT}, parse_json('1')),
  IF(id % 9 = 0, NULL, CAST(array(id, id + 1) AS VARIANT)), IF(id % 8 = 0, parse_json('null'), CAST(id AS VARIANT)) FROM range(0, 80)"""
COLUMNS = "(id BIGINT, v VARIANT, n STRUCT<v: VARIANT>, l ARRAY<VARIANT>, w VARIANT, x VARIANT)"
CREATE = {
    "delta": f"CREATE TABLE {{t}} {COLUMNS} USING delta TBLPROPERTIES ('delta.enableVariantShredding'='true')",
    "iceberg": f"CREATE TABLE {{t}} {COLUMNS} USING iceberg TBLPROPERTIES ('format-version'='3', 'write.parquet.shred-variants'='true')",
}
SHOWN = ", ".join(f"to_json({v}) AS j{at}, schema_of_variant({v}) AS t{at}" for at, v in enumerate(("v", "n.v", "l[0]", "l[1]", "w", "x")))


def _files(table: Table) -> list[Path]:
    return sorted(path for path in table.root.rglob("*.parquet") if "_delta_log" not in path.parts and path.stat().st_size > 0)


def _is_shredded(path: Path) -> bool:
    return any("typed_value" in pq.ParquetFile(path).schema.column(at).path for at in range(len(pq.ParquetFile(path).schema)))


@pytest.mark.parametrize("path", ["encode", "auto"])
@pytest.mark.parametrize("table_format", CREATE)
def test_shredded_variants_are_the_same_values_afterwards(table_format: str, path: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """Compacted by encoding they are whole in their files; every value keeps its type, by Spark and by DuckDB."""
    spark = readers.spark
    for key, value in {"writeShredding.enabled": "true", "inferShreddingSchema": "true"}.items():
        spark.conf.set(f"spark.sql.variant.{key}", value)
    table = make(table_format, Case(f"shredded_{path}", (CREATE[table_format], ROWS), files_after=0))
    old = _files(table)
    assert any(map(_is_shredded, old)), "Spark has shredded nothing: nothing would be tested"
    query = f"SELECT id, {SHOWN} FROM {table.spark}"
    before = multiset(spark.sql(query).toArrow())

    # What a query shows are the two binaries; Spark's own decoder reads them.
    result = otf.home / f"variants-{table_format}-{path}.parquet"
    run = otf.run("query", f"SELECT id, v FROM '{table.reference}' ORDER BY id", "--to", str(result))
    assert run.status == 0, run.told()
    shown = [(row["id"], row["v"] and VariantVal(row["v"]["value"], row["v"]["metadata"]).toJson()) for row in pq.read_table(result).to_pylist()]
    known = [(row.id, row.j) for row in spark.sql(f"SELECT id, to_json(v) AS j FROM {table.spark} ORDER BY id").collect()]
    assert [(number, text is None) for number, text in shown] == [(number, text is None) for number, text in known]

    done = otf.compact(table.reference, "--rewrite-all", "--yes", "--path", path, table_format=table_format, outcome="landed")
    require_equal(before, multiset(spark.sql(query).toArrow()), "after the compaction")
    new = [file for file in _files(table) if file not in old]
    if done["report"]["row_groups"]["encoded"]:
        assert not any(map(_is_shredded, new))
    by_duckdb = "SELECT id, v::JSON::VARCHAR AS v, n.v::JSON::VARCHAR AS n FROM read_parquet({}) ORDER BY id"
    seen = [duckdb.sql(by_duckdb.format([str(file) for file in files])).fetchall() for files in (old, new)]
    assert seen[0] == seen[1]
