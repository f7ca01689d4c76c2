"""Rows that move to another partition spec land where Spark would have put them; branches and variants are kept."""

from __future__ import annotations

import pytest
from conftest import Maker
from support.iceberg_cases import TYPED, TYPES, insert
from support.otf import Otf
from support.readers import Readers
from support.rows import multiset, require_equal
from support.tables import Case

V2 = "USING iceberg TBLPROPERTIES ('format-version'='2', 'write.distribution-mode'='none', 'write.spark.fanout.enabled'='true')"
SPECS = {
    "buckets_of_numbers": ("bucket(7, id)", "bucket(5, i)", "bucket(3, n9)", "bucket(3, n18)", "bucket(3, n38)"),
    "buckets_of_the_rest": ("bucket(7, s)", "bucket(5, bin)", "bucket(3, dt)", "bucket(3, ts)", "bucket(3, tn)"),
    "truncated": ("truncate(10, id)", "truncate(1000, i)", "truncate(50, n9)", "truncate(6, s)", "truncate(1, bin)"),
    "truncated_decimal": ("truncate(1000, n38)",),
    "years_and_hours": ("years(dt)", "years(ts)", "hours(tn)"),
    "months": ("months(dt)", "months(ts)", "months(tn)"),
    "days": ("days(dt)", "days(ts)"),
    "identities": ("b", "dt", "n9", "s"),
    "identities_of_numbers": ("i", "f", "d", "bin"),
}


@pytest.mark.parametrize("name", SPECS)
def test_rows_land_in_the_partitions_that_spark_computes(name: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """The same rows are written by Spark under the spec, and moved to it by otf: the partitions hold as many rows each."""
    fields = SPECS[name]
    added = tuple(f"ALTER TABLE {{t}} ADD PARTITION FIELD {field}" for field in fields)
    create, rows = f"CREATE TABLE {{t}} ({TYPES}) {V2}", insert(TYPED, 0, 60)
    spark = make("iceberg", Case(f"by_spark_{name}", (create, *added, rows), files_after=0))
    case = Case(f"by_otf_{name}", (create, rows, *added), files_after=0)
    ours = make("iceberg", case)
    before = multiset(readers.read_spark(ours))
    otf.compact(ours.reference, "--rewrite-all", "--yes", table_format="iceberg", outcome="landed")
    require_equal(before, multiset(readers.read_spark(ours)), "after the move")

    def counted(known: str) -> list[str]:
        query = f"SELECT to_json(partition) AS p, sum(record_count) AS n, count(DISTINCT spec_id) AS s FROM {known}.files GROUP BY partition"
        return sorted(str(row) for row in readers.spark.sql(query).collect())

    assert counted(ours.spark) == counted(spark.spark)
    for field, condition in (("id", "id BETWEEN 10 AND 20"), ("ts", "ts < TIMESTAMP'1970-01-02T00:00:00Z'"), ("s", "s LIKE 'text 1%'")):
        query = f"SELECT id FROM {{}} WHERE {condition}"
        found = [sorted(row.id for row in readers.spark.sql(query.format(known)).collect()) for known in (ours.spark, spark.spark)]
        assert found[0] == found[1], f"pruning by {field}"
    otf.compact(ours.reference, "--yes", table_format="iceberg", outcome="nothing-to-do")


def test_a_branch_is_compacted_and_main_is_not(otf: Otf, make: Maker, readers: Readers) -> None:
    """Spark reads both as before, and goes on with the branch."""
    case = Case("branched", (
        f"CREATE TABLE {{t}} (id BIGINT, v STRING) {V2}", insert("id, concat('v', id)", 0, 30), "ALTER TABLE {t} CREATE BRANCH dev",
        "INSERT INTO {t}.branch_dev SELECT /*+ REPARTITION(4) */ id, 'dev' FROM range(30, 60)",
        "DELETE FROM {t}.branch_dev WHERE id % 3 = 0"), files_after=0)
    table = make("iceberg", case)
    main, head = multiset(readers.read_spark(table)), readers.version(table)
    dev = multiset(readers.read_spark(table, "'dev'"))
    done = otf.compact(f"{table.reference}#dev", "--rewrite-all", "--yes", table_format="iceberg", outcome="landed")
    assert done["after"]["files"] == 1 and done["after"]["rows"] == dev.total()
    assert readers.version(table) == head
    require_equal(main, multiset(readers.read_spark(table)), "main")
    require_equal(dev, multiset(readers.read_spark(table, "'dev'")), "the branch")
    readers.spark.sql(f"INSERT INTO {table.spark}.branch_dev VALUES (1000, 'after')")
    assert multiset(readers.read_spark(table, "'dev'")).total() == dev.total() + 1


def test_plain_variants_are_kept(otf: Otf, make: Maker, readers: Readers) -> None:
    """Objects, lists, numbers and nulls of every kind are the same JSON afterwards."""
    json = "CASE id % 4 WHEN 0 THEN concat('{\"a\": ', id, ', \"b\": [1, null, \"x\"]}') WHEN 1 THEN 'null' WHEN 2 THEN '1.5' ELSE NULL END"
    case = Case("variants", ("CREATE TABLE {t} (id BIGINT, v VARIANT) USING iceberg TBLPROPERTIES ('format-version'='3')",
                             insert(f"id, parse_json({json})", 0, 60)), files_after=1)
    table = make("iceberg", case)
    query = f"SELECT id, to_json(v) AS v, v IS NULL AS n, _row_id AS r FROM {table.spark}"
    before = multiset(readers.spark.sql(query).toArrow())
    otf.compact(table.reference, "--rewrite-all", "--yes", table_format="iceberg", outcome="landed")
    require_equal(before, multiset(readers.spark.sql(query).toArrow()), "after the compaction")
