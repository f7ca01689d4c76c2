"""Tables of every feature are compacted; all readers see the same rows, and Spark carries on with the result."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Maker
from support import delta_cases, iceberg_cases
from support.otf import Otf
from support.readers import Readers
from support.rows import multiset, require_equal
from support.tables import Case, Table, delta_commit, delta_version, files_below, strays

ALL = ([pytest.param("iceberg", case, id=f"iceberg-{case.name}") for case in iceberg_cases.CASES]
       + [pytest.param("delta", case, id=f"delta-{case.name}") for case in delta_cases.CASES])


@pytest.mark.parametrize(("table_format", "case"), ALL)
def test_compaction_keeps_every_row(table_format: str, case: Case, otf: Otf, make: Maker, readers: Readers,
                                    sql_options: list[str]) -> None:
    """One table's whole life: made, planned, compacted, compacted again, read as of before, written to, compacted."""
    table = make(table_format, case)
    options = sql_options if table.catalog else []
    rows = readers.agreed(table, case)
    identities = readers.row_ids(table, case) if case.row_ids else None
    base, files = readers.version(table), readers.live_files(table)
    bytes_before = files_below(table.root)

    planned = otf.compact(table.reference, "--rewrite-all", "--dry-run", *options, table_format=table_format, outcome="planned")
    assert files_below(table.root) == bytes_before, "a dry run wrote"
    assert planned["before"]["files"] == files

    done = otf.compact(table.reference, "--rewrite-all", "--yes", *options, table_format=table_format, outcome="landed")
    assert done["base_version"] == base
    assert done["before"] == planned["before"]
    assert done["before"]["files"] == files
    assert done["before"]["rows"] == rows.total()
    assert done["after"]["files"] == case.files_after == readers.live_files(table)
    assert done["after"]["delete_files"] == 0
    assert done["versions"][-1] == readers.version(table)
    _old_bytes_stay(table, bytes_before)

    require_equal(rows, readers.agreed(table, case), "after the compaction")
    if identities is not None:
        require_equal(identities, readers.row_ids(table, case), "identities of rows after the compaction")
    require_equal(rows, multiset(readers.read_spark(table, base)), f"as of version {base}")
    assert strays(table) == set(), "the run left files that nothing refers to"

    again = otf.compact(table.reference, "--yes", *options, table_format=table_format, outcome="nothing-to-do")
    assert again["before"]["files"] == case.files_after
    assert readers.version(table) == done["versions"][-1]
    _afterlife(otf, table, case, readers, options)


def _old_bytes_stay(table: Table, before: dict[str, bytes]) -> None:
    """No file of an older version is gone or altered; pointers may move."""
    now = files_below(table.root)
    pointers = ("version-hint.text", "_last_checkpoint")
    changed = [name for name, data in before.items()
               if now.get(name) != data and not name.removesuffix(".crc").endswith(pointers)]
    assert changed == [], f"files of older versions were touched: {changed[:3]}"


def _afterlife(otf: Otf, table: Table, case: Case, readers: Readers, options: list[str]) -> None:
    """Spark writes to, deletes from and optimises what otf wrote, and otf compacts that again."""
    spark = readers.spark
    if case.copyable:
        spark.sql(f"INSERT INTO {table.spark} SELECT /*+ REPARTITION(3) */ * FROM {table.spark} WHERE id % 5 = 1")
    if case.name != "append_only":
        spark.sql(f"DELETE FROM {table.spark} WHERE id % 4 = 1")
    rows = readers.agreed(table, case)
    if table.format == "delta":
        spark.sql(f"OPTIMIZE {table.spark}")
    else:
        catalog, name = table.spark.split(".", 1)
        spark.sql(f"CALL {catalog}.system.rewrite_data_files(table => '{name}', options => map('min-input-files', '2'))")
    require_equal(rows, multiset(readers.read_spark(table)), "after Spark's own compaction")
    otf.compact(table.reference, "--rewrite-all", "--yes", *options, table_format=table.format)
    require_equal(rows, readers.agreed(table, case), "after otf compacted what Spark had compacted")


def test_defaults_compact_only_what_is_worth_it(otf: Otf, make: Maker, readers: Readers) -> None:
    """Partitions with at least five small files are compacted, the others keep their files."""
    statements = ("CREATE TABLE {t} (id BIGINT, p INT) USING delta PARTITIONED BY (p)",
                  iceberg_cases.insert("id, 0", 0, 60, files=6), iceberg_cases.insert("id, 1", 0, 20, files=2))
    case = Case("defaults", statements, files_after=3)
    table = make("delta", case)
    rows = readers.agreed(table, case)
    done = otf.compact(str(table.root), "--yes", table_format="delta", outcome="landed")
    assert (done["before"]["files"], done["after"]["files"]) == (8, 3)
    assert (done["report"]["files_removed"], done["report"]["files_added"]) == (6, 1)
    assert sum(left["files"] for left in done["plan"]["left"]) == 2
    require_equal(rows, readers.agreed(table, case), "after the compaction")


def test_a_delta_compaction_is_no_change_of_data(otf: Otf, make: Maker, readers: Readers) -> None:
    """Streams and the change feed see nothing: every action says `dataChange: false`."""
    statements = ("CREATE TABLE {t} (id BIGINT) USING delta TBLPROPERTIES ('delta.enableChangeDataFeed'='true')",
                  iceberg_cases.insert("id", 0, 60), "DELETE FROM {t} WHERE id < 5")
    table = make("delta", Case("no_change", statements, files_after=1))
    changes = _changes(readers, table)
    done = otf.compact(str(table.root), "--rewrite-all", "--yes", table_format="delta", outcome="landed")
    actions = delta_commit(table.root, int(done["versions"][-1]))
    data = [action[kind] for action in actions for kind in ("add", "remove") if kind in action]
    assert data and all(entry["dataChange"] is False for entry in data)
    assert delta_version(table.root) == int(done["versions"][-1])
    assert _changes(readers, table) == changes


def _changes(readers: Readers, table: Table) -> Any:
    """The whole change feed."""
    frame = readers.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 0)
    return multiset(frame.load(str(table.root)).toArrow())


def test_tags_and_branches_of_iceberg_keep_their_rows(otf: Otf, make: Maker, readers: Readers) -> None:
    """Only main moves; a tag and a branch read as before."""
    statements = ("CREATE TABLE {t} (id BIGINT) USING iceberg TBLPROPERTIES ('format-version'='2')",
                  iceberg_cases.insert("id", 0, 60), "ALTER TABLE {t} CREATE TAG kept", "ALTER TABLE {t} CREATE BRANCH side",
                  "INSERT INTO {t}.branch_side SELECT id FROM range(100, 110)", iceberg_cases.insert("id", 60, 90))
    table = make("iceberg", Case("refs", statements, files_after=1))
    before = {ref: multiset(readers.read_spark(table, f"'{ref}'")) for ref in ("kept", "side", "main")}
    otf.compact(str(table.root), "--rewrite-all", "--yes", table_format="iceberg", outcome="landed")
    for ref, rows in before.items():
        require_equal(rows, multiset(readers.read_spark(table, f"'{ref}'")), ref)
