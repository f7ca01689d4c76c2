"""Delta tables made what they were, and without what they were: other engines read every version that stays, and find nothing left to do."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from conftest import Maker
from support.otf import Otf
from support.readers import Readers, deltalake_rows
from support.rows import multiset, require_equal
from support.tables import Case, Table, delta_commit, delta_version

ALL = ("--older-than", "0s", "--unsafe-retention", "--yes", "--output", "json")

HISTORIES = {
    "vectors": (
        "CREATE TABLE {t} (id BIGINT, p STRING, v STRING) USING delta PARTITIONED BY (p) TBLPROPERTIES ('delta.enableDeletionVectors'='true')",
        "INSERT INTO {t} SELECT id, concat('p ', id % 3), concat('v', id) FROM range(0, 200)",
        "DELETE FROM {t} WHERE id % 7 = 0",
        "UPDATE {t} SET v = 'new' WHERE id % 11 = 0",
        "INSERT OVERWRITE {t} SELECT id, concat('p ', id % 2), 'over' FROM range(150, 300)",
        "DELETE FROM {t} WHERE p = 'p 1'",
        "INSERT INTO {t} SELECT id, 'p%', 'last' FROM range(900, 950)",
    ),
    "change_feed": (
        "CREATE TABLE {t} (id BIGINT, v STRING) USING delta TBLPROPERTIES ('delta.enableChangeDataFeed'='true')",
        "INSERT INTO {t} SELECT id, concat('v', id) FROM range(0, 100)",
        "UPDATE {t} SET v = 'new' WHERE id % 11 = 0",
        "DELETE FROM {t} WHERE id % 7 = 0",
        "OPTIMIZE {t}",
        "UPDATE {t} SET v = 'newer' WHERE id % 5 = 0",
    ),
    "columns": (
        "CREATE TABLE {t} (id BIGINT, d DATE, n DECIMAL(19,2), f DOUBLE, ts TIMESTAMP, s STRUCT<a: INT, b: STRING>) USING delta "
        "PARTITIONED BY (d) TBLPROPERTIES ('delta.checkpoint.writeStatsAsStruct'='true', 'delta.checkpoint.writeStatsAsJson'='false', "
        "'delta.columnMapping.mode'='name')",
        "INSERT INTO {t} SELECT id, date_add(DATE'2020-01-01', CAST(id % 3 AS INT)), id / 4, id / 3, timestamp_micros(id * 1000001), "
        "struct(CAST(id AS INT), concat('b', id)) FROM range(0, 100)",
        "ALTER TABLE {t} RENAME COLUMN f TO g",
        "INSERT INTO {t} SELECT id, NULL, NULL, NULL, NULL, NULL FROM range(100, 120)",
        "DELETE FROM {t} WHERE id < 20",
        "ALTER TABLE {t} ADD COLUMN later STRING",
        "INSERT INTO {t} SELECT id, DATE'2021-01-01', 1, 'NaN', NULL, NULL, 'x' FROM range(200, 210)",
    ),
    "row_tracking": (
        "CREATE TABLE {t} (id BIGINT, v STRING) USING delta TBLPROPERTIES ('delta.enableRowTracking'='true')",
        "INSERT INTO {t} SELECT id, concat('v', id) FROM range(0, 100)",
        "DELETE FROM {t} WHERE id % 7 = 0",
        "UPDATE {t} SET v = 'new' WHERE id % 11 = 0",
        "INSERT INTO {t} SELECT id, 'last' FROM range(900, 950)",
    ),
}
#: Readers that cannot read a history, each with the reason.
BLIND = {
    "columns": {
        "duckdb": "DuckDB gives null for partition columns under column mapping",
        "trino": "Trino keeps milliseconds",
        "chdb": "ClickHouse has no structs that are null",
    }
}
#: Properties that differ from table to table, or keep counting.
OWN = re.compile(r"(maxColumnId|materializedRow(?:Id|CommitVersion)ColumnName)=[^,\]]*")


def forget_caches(readers: Readers) -> None:
    """Spark keeps logs in memory; what another writer did to them is to be read anew."""
    readers.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def made(name: str, suffix: str, make: Maker) -> Table:
    """A table with this history."""
    return make("delta", Case(f"past_{name}_{suffix}", HISTORIES[name], 0))


def as_of(readers: Readers, table: Table, version: int) -> Counter[str]:
    """The rows of a version, as Spark reads them."""
    return multiset(readers.read_spark(table, str(version)))


def run(otf: Otf, *args: str) -> dict:
    """A run that has to succeed; its document."""
    done = otf.run(*args)
    assert done.status == 0, done.told()
    return done.document()


@pytest.mark.parametrize("name", HISTORIES)
def test_restore_is_what_spark_makes_of_it(name: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """Two tables of one history, restored to each version by one and the other: rows, columns, properties and metrics are the same."""
    ours, sparks = made(name, "restored", make), made(name, "by_spark", make)
    last = delta_version(ours.root)
    for to in (last - 2, 1, last - 1):
        before = as_of(readers, ours, to)
        document = run(otf, "restore", ours.reference, "--to", str(to), "--yes", "--output", "json")
        assert document["outcome"] == "landed", document
        readers.spark.sql(f"RESTORE TABLE {sparks.spark} TO VERSION AS OF {to}")
        forget_caches(readers)
        require_equal(before, multiset(readers.read_spark(ours)), f"{name} restored to {to}")
        require_equal(multiset(readers.read_spark(sparks)), multiset(readers.read_spark(ours)), f"{name} as Spark restored it to {to}")
        described = [readers.spark.sql(f"DESCRIBE TABLE EXTENDED {t.spark}").collect() for t in (ours, sparks)]
        shown = [
            [(row.col_name, OWN.sub("", row.data_type)) for row in rows if not row.col_name.startswith(("Name", "Location", "#"))] for rows in described
        ]
        assert shown[0] == shown[1], f"{name} restored to {to}"
        infos = [delta_commit(t.root, delta_version(t.root))[0]["commitInfo"] for t in (ours, sparks)]
        assert infos[0]["operation"] == infos[1]["operation"] == "RESTORE"
        assert infos[0]["operationParameters"] == infos[1]["operationParameters"]
        counts = [{k: v for k, v in info["operationMetrics"].items() if k.startswith("num")} for info in infos]
        assert counts[0] == counts[1], f"{name} restored to {to}"
        again = run(otf, "restore", ours.reference, "--to", str(to), "--yes", "--output", "json")
        assert again["outcome"] == "nothing-to-do", again
    readers.spark.sql(f"DELETE FROM {ours.spark} WHERE id % 2 = 0")
    assert readers.spark.sql(f"SELECT count(*) FROM {ours.spark} WHERE id % 2 = 0").collect()[0][0] == 0
    case = Case(f"past_{name}", (), 0, blind=BLIND.get(name, {}))
    readers.agreed(ours, case)


@pytest.mark.parametrize("name", HISTORIES)
def test_versions_that_stay_are_read_and_vacuum_finds_nothing(name: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """The log begins at a checkpoint of ours, which every reader has to read."""
    table = made(name, "expired", make)
    last = delta_version(table.root)
    kept = {version: as_of(readers, table, version) for version in (last - 1, last)}
    document = run(otf, "expire", table.reference, *ALL, "--retain-last", "2")
    assert document["report"]["expired"] == [str(v) for v in range(last - 1)], document
    forget_caches(readers)
    for version, rows in kept.items():
        require_equal(rows, as_of(readers, table, version), f"{name} at {version}")
    with pytest.raises(Exception, match="(?i)version|reproduce"):
        readers.read_spark(table, "0")
    assert run(otf, "expire", table.reference, *ALL, "--retain-last", "2")["outcome"] == "nothing-to-do"
    run(otf, "expire", table.reference, *ALL, "--retain-last", "1")
    forget_caches(readers)
    checkpoints = {path.name for path in (table.root / "_delta_log").glob("0*.checkpoint*.parquet")}
    assert checkpoints == {f"{last:020}.checkpoint.parquet"}
    assert [path.name for path in (table.root / "_delta_log").glob("0*.json")] == [f"{last:020}.json"]
    require_equal(kept[last], multiset(readers.read_spark(table)), name)
    require_equal(kept[last], readers.agreed(table, Case(name, (), 0, blind=BLIND.get(name, {}))), name)
    if name != "columns":
        require_equal(kept[last], multiset(deltalake_rows(str(table.root))), f"{name} as delta-rs reads our checkpoint")
    readers.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        found = [row[0] for row in readers.spark.sql(f"VACUUM {table.spark} RETAIN 0 HOURS DRY RUN").collect()]
    finally:
        readers.spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert [path for path in found if path.endswith((".parquet", ".bin"))] == [], found
    readers.spark.sql(f"INSERT INTO {table.spark} SELECT * FROM {table.spark} LIMIT 5")
    assert sum(multiset(readers.read_spark(table)).values()) == sum(kept[last].values()) + min(5, sum(kept[last].values()))


def test_a_checkpoint_with_columns_prunes_as_statistics_of_text_do(otf: Otf, make: Maker, readers: Readers) -> None:
    """Spark and delta-rs filter by what our checkpoint says of values and partitions, and find every row."""
    table = made("columns", "pruned", make)
    queries = ["id = 55", "d = DATE'2020-01-02'", "d IS NULL", "n > 20.5", "g < 8", "ts > TIMESTAMP'1970-01-01T00:01:00Z'", "s.a = 60", "later = 'x'"]

    def counted() -> list[int]:
        return [readers.spark.sql(f"SELECT count(*) FROM {table.spark} WHERE {query}").collect()[0][0] for query in queries]

    before = counted()
    assert run(otf, "manifests", table.reference, "--yes", "--output", "json")["outcome"] == "landed"
    assert run(otf, "manifests", table.reference, "--yes", "--output", "json")["outcome"] == "nothing-to-do"
    hint = json.loads((table.root / "_delta_log" / "_last_checkpoint").read_text())
    assert hint["version"] == delta_version(table.root)
    for commit in (table.root / "_delta_log").glob("0*.json"):
        if int(commit.stem) < hint["version"]:
            commit.unlink()
    forget_caches(readers)
    assert counted() == before
    # A row that comes keeps the table readable from that checkpoint on.
    readers.spark.sql(f"INSERT INTO {table.spark} SELECT id, d, n, g, ts, s, later FROM {table.spark} WHERE id = 55")
    assert counted()[0] == before[0] + 1
