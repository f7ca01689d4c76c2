"""Variants with values in typed columns, as Spark writes them: put together, they are the values that Spark and DuckDB see."""

from __future__ import annotations

import json
import re
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
    """Compacted by encoding they are whole in their files; every value keeps its type."""
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
    run = otf.run("query", f"SELECT id, v FROM '{table.reference}' ORDER BY id", "--output", "parquet", "--to", str(result))
    assert run.status == 0, run.told()
    shown = [(row["id"], row["v"] and VariantVal(row["v"]["value"], row["v"]["metadata"]).toJson()) for row in pq.read_table(result).to_pylist()]
    known = [(row.id, row.j) for row in spark.sql(f"SELECT id, to_json(v) AS j FROM {table.spark} ORDER BY id").collect()]
    assert [(number, text is None) for number, text in shown] == [(number, text is None) for number, text in known]

    done = otf.compact(table.reference, "--rewrite-all", "--yes", "--path", path, table_format=table_format, outcome="landed")
    require_equal(before, multiset(spark.sql(query).toArrow()), "after the compaction")
    new = [file for file in _files(table) if file not in old]
    if done["report"]["row_groups"]["encoded"]:
        assert not any(map(_is_shredded, new))


#: As `OBJECT`, in DuckDB, which shreds every type there is; and the types of its columns.
BY_DUCKDB = """{'a': i, 'i8': i::TINYINT, 'i16': i::SMALLINT, 'i32': i::INT, 'yes': i % 2 = 0, 'd4': (i / 7)::DECIMAL(9, 2),
  'd8': (i / 7)::DECIMAL(18, 4), 'd16': (i / 7)::DECIMAL(38, 10), 'f': (i / 3)::FLOAT, 'g': i / 3.0::DOUBLE, 'day': DATE '1969-12-20' + i::INT,
  'ts': make_timestamp(i * 1234567 - 999)::TIMESTAMPTZ, 'tn': make_timestamp(i * 7654321), 'tns': make_timestamp_ns(i * 7654321 + 1),
  't': TIME '01:02:03.456789', 's': repeat('ä', i::INT), 'bin': ('b' || i)::BLOB, 'more': 'text ' || i,
  'u': ('00112233-4455-6677-8899-aabbccddee' || lpad((i % 100)::VARCHAR, 2, '0'))::UUID, 'list': [i, NULL, i + 1], 'deep': {'x': {'y': i::VARCHAR}}}"""
TYPED = """STRUCT(a BIGINT, i8 TINYINT, i16 SMALLINT, i32 INT, yes BOOLEAN, d4 DECIMAL(9, 2), d8 DECIMAL(18, 4), d16 DECIMAL(38, 10), f FLOAT, g DOUBLE,
  "day" DATE, ts TIMESTAMPTZ, tn TIMESTAMP, tns TIMESTAMP_NS, t TIME, s VARCHAR, bin BLOB, u UUID, list BIGINT[], deep STRUCT(x STRUCT(y VARCHAR)))"""
MEMBERS = re.findall(r"'(\w+)':", BY_DUCKDB)
PROTOCOL = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["variantType", "variantShredding"],
            "writerFeatures": ["variantType", "variantShredding"]}


def _seen(files: list[Path]) -> list[tuple[str, ...]]:
    """Every value as JSON with the type of each of its parts. Digits that only a typed column's precision adds are left out."""
    parts = ", ".join(f"variant_typeof(variant_extract(v, '{member}'))" for member in MEMBERS)
    query = f"SELECT id, v::JSON::VARCHAR, variant_typeof(v), {parts} FROM read_parquet({[str(file) for file in files]})"

    def plain(cell: object) -> str:
        return re.sub(r"DECIMAL\(\d+,", "DECIMAL(", re.sub(r"(?<!\d)\.(?=\d)", "0.", str(cell)))

    return sorted(tuple(map(plain, row)) for row in duckdb.sql(query).fetchall())


def test_values_of_every_type_that_duckdb_shreds_are_the_same_afterwards(otf: Otf, warehouse: Path) -> None:
    """Objects whose members are typed, missing or of other types; arrays and numbers among them; three files shredded in three ways."""
    root = warehouse / "by_duckdb"
    (root / "_delta_log").mkdir(parents=True)
    duckdb.sql("SET TimeZone = 'UTC'")
    rows = f"""SELECT i AS id, CASE WHEN i % 10 = 3 THEN {{'a': 'text ' || i, 'deep': 5, 'd4': 1.5}}::VARIANT WHEN i % 10 = 6 THEN NULL
      WHEN i % 10 = 7 THEN [i, i + 1]::VARIANT WHEN i % 10 = 9 THEN i::VARIANT ELSE ({BY_DUCKDB})::VARIANT END AS v FROM range(0, 80) t(i)"""
    columns = [{"name": name, "type": ty, "nullable": True, "metadata": {}} for name, ty in (("id", "long"), ("v", "variant"))]
    log: list[dict] = [{"protocol": PROTOCOL}, {"metaData": {
        "id": "by-duckdb", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [], "configuration": {}, "createdTime": 0,
        "schemaString": json.dumps({"type": "struct", "fields": columns})}}]
    for name, shredding in (("object", f", SHREDDING {{'v': '{TYPED}'}}"), ("array", ", SHREDDING {'v': 'BIGINT[]'}"), ("own", "")):
        file = root / f"{name}.parquet"
        duckdb.sql(f"COPY ({rows}) TO '{file}' (FORMAT parquet{shredding})")
        log.append({"add": {"path": file.name, "partitionValues": {}, "size": file.stat().st_size, "modificationTime": 1, "dataChange": True}})
    (root / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, log)))
    old = sorted(root.glob("*.parquet"))
    assert _is_shredded(root / "object.parquet") and _is_shredded(root / "array.parquet")
    before = _seen(old)
    # Shredding is not enabled: new files hold each variant whole.
    otf.compact(str(root), "--rewrite-all", "--yes", table_format="delta", outcome="landed")
    new = [file for file in root.glob("*.parquet") if file not in old]
    assert not any(map(_is_shredded, new))
    assert _seen(new) == before
