"""Expiry beside other engines: what stays is read by all of them, and they find nothing that ours should have deleted."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest
from conftest import Maker
from support.iceberg_cases import VECTORS
from support.otf import Otf
from support.readers import Readers
from support.rows import multiset, require_equal
from support.tables import Case, Table, metadata_file

ALL = ("--older-than", "0s", "--retain-last", "1", "--unsafe-retention", "--yes", "--output", "json")
#: Spark's procedure refuses to look for orphans younger than a day.
OLD = 5 * 24 * 60 * 60


def history(readers: Readers, name: str, version: int) -> None:
    """Appends, deletes, an overwrite, branches and tags."""
    sql = readers.spark.sql
    sql(f"CREATE TABLE {name} (id BIGINT, p STRING, v STRING) USING iceberg PARTITIONED BY (p) TBLPROPERTIES ('format-version' = '{version}', "
        "'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read')")
    for start in range(0, 300, 100):
        sql(f"INSERT INTO {name} SELECT id, concat('p', id % 3), concat('v', id) FROM range({start}, {start + 100})")
    sql(f"ALTER TABLE {name} CREATE TAG loaded")
    sql(f"DELETE FROM {name} WHERE id % 7 = 0")
    sql(f"ALTER TABLE {name} CREATE BRANCH audit WITH SNAPSHOT RETENTION 2 SNAPSHOTS")
    sql(f"UPDATE {name} SET v = 'new' WHERE id % 11 = 0")
    for start in (1000, 1010, 1020):
        sql(f"INSERT INTO {name}.branch_audit SELECT id, 'p9', concat('a', id) FROM range({start}, {start + 10})")
    sql(f"INSERT OVERWRITE {name} SELECT id, concat('p', id % 2), 'over' FROM range(500, 700)")
    sql(f"DELETE FROM {name} WHERE id = 501")
    sql(f"INSERT INTO {name} SELECT id, 'p5', 'last' FROM range(900, 950)")


def expire(otf: Otf, table: Table, options: list[str]) -> dict:
    """A run that has to succeed; its document."""
    run = otf.run("expire", table.reference, *ALL, *(options if table.catalog else []))
    assert run.status == 0, run.told()
    return run.document()


def snapshots(readers: Readers, name: str) -> dict[str, Counter[str]]:
    """The rows of every snapshot that is listed, as Spark reads them."""
    ids = [str(row[0]) for row in readers.spark.sql(f"SELECT snapshot_id FROM {name}.snapshots").collect()]
    return {i: multiset(readers.spark.sql(f"SELECT * FROM {name} VERSION AS OF {i}").toArrow()) for i in ids}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("catalog", ["ice", "sql"])
def test_every_version_that_stays_is_read_and_nothing_else_is_left(
        catalog: str, version: int, readers: Readers, otf: Otf, make: Maker, sql_options: list[str]) -> None:
    """Branches and tags keep what they hold; Spark's own procedures have nothing left to do."""
    case = Case(f"expire_v{version}", (), 0, catalog=catalog, blind=VECTORS if version == 3 else {})
    table = make("iceberg", case)
    history(readers, table.spark, version)
    before = snapshots(readers, table.spark)
    now = readers.agreed(table, case)
    document = expire(otf, table, sql_options)
    assert document["outcome"] == "landed" and document["report"]["failed"] == 0, document
    after = snapshots(readers, table.spark)
    assert set(before) - set(after) == set(document["report"]["expired"])
    # The head of main, the tag, and two of the branch.
    assert len(after) == 4, after.keys()
    for snapshot, rows in after.items():
        require_equal(before[snapshot], rows, f"snapshot {snapshot} afterwards")
    require_equal(now, readers.agreed(table, case), "the current rows afterwards")
    if "pyiceberg" not in case.blind:
        pyiceberg_reads_all(table, after)
    assert expire(otf, table, sql_options)["outcome"] == "nothing-to-do"
    spark_finds_nothing(readers, table)


def pyiceberg_reads_all(table: Table, wanted: dict[str, Counter[str]]) -> None:
    """Every snapshot through pyiceberg."""
    from pyiceberg.table import StaticTable

    opened = StaticTable.from_metadata(metadata_file(table).as_uri())
    for snapshot, rows in wanted.items():
        require_equal(rows, multiset(opened.scan(snapshot_id=int(snapshot)).to_arrow()), f"snapshot {snapshot} as pyiceberg reads it")


def spark_finds_nothing(readers: Readers, table: Table) -> None:
    """`expire_snapshots` deletes nothing, `remove_orphan_files` sees no orphan."""
    catalog, name = table.spark.split(".", 1)
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    done = readers.spark.sql(f"CALL {catalog}.system.expire_snapshots(table => '{name}', older_than => TIMESTAMP '{moment}', retain_last => 1)")
    assert not any(done.collect()[0]), done.collect()
    for path in table.root.rglob("*"):
        os.utime(path, (time.time() - OLD, time.time() - OLD))
    orphans = readers.spark.sql(f"CALL {catalog}.system.remove_orphan_files(table => '{name}', dry_run => true)").collect()
    assert not orphans, orphans
