"""Branches, tags, restores and new manifests of otf are those of other engines, and theirs are otf's."""

from __future__ import annotations

from typing import Any

from conftest import Maker
from support.iceberg_cases import insert
from support.otf import Otf
from support.readers import Readers
from support.rows import multiset, require_equal
from support.tables import Case, Table, metadata_file

V2 = "USING iceberg TBLPROPERTIES ('format-version'='2', 'write.delete.mode'='merge-on-read')"
TABLE = f"CREATE TABLE {{t}} (id BIGINT, v STRING) {V2}"


def _done(otf: Otf, *words: str, outcome: str = "landed") -> dict[str, Any]:
    run = otf.run(*words, "--yes", "--output", "json")
    assert run.status == 0, run.told()
    document = run.document()
    assert document["outcome"] == outcome, run.told()
    return document


def _call(readers: Readers, table: Table, procedure: str, *arguments: str) -> dict[str, Any]:
    catalog, name = table.spark.split(".", 1)
    given = ", ".join((f"table => '{name}'", *arguments))
    return dict(readers.spark.sql(f"CALL {catalog}.system.{procedure}({given})").collect()[0].asDict())


def _snapshots(readers: Readers, table: Table) -> list[str]:
    rows = readers.spark.sql(f"SELECT snapshot_id FROM {table.spark}.snapshots ORDER BY committed_at").collect()
    return [str(row[0]) for row in rows]


def test_references_are_the_same_for_spark_pyiceberg_and_otf(otf: Otf, make: Maker, readers: Readers) -> None:
    """Spark reads and writes our branches and reads our tags; we read its own and write to its branch; both drop the other's."""
    from pyiceberg.table import StaticTable

    case = Case("references", (TABLE, insert("id, concat('v', id)", 0, 30), insert("id, concat('w', id)", 30, 60),
                               "DELETE FROM {t} WHERE id % 4 = 0"), files_after=0)
    table = make("iceberg", case)
    first, second, _ = _snapshots(readers, table)
    main = multiset(readers.read_spark(table))
    _done(otf, "tag", table.reference, "create", "ours", "--at", first, "--retain", "30d")
    _done(otf, "branch", table.reference, "create", "work", "--at", second, "--min-snapshots-to-keep", "4", "--max-snapshot-age", "2d")
    assert multiset(readers.read_spark(table, "'ours'")).total() == 30
    refs = {row.name: row for row in readers.spark.sql(f"SELECT * FROM {table.spark}.refs").collect()}
    assert (refs["ours"].type, str(refs["ours"].snapshot_id), refs["ours"].max_reference_age_in_ms) == ("TAG", first, 30 * 86_400_000)
    assert (refs["work"].type, refs["work"].min_snapshots_to_keep, refs["work"].max_snapshot_age_in_ms) == ("BRANCH", 4, 2 * 86_400_000)

    readers.spark.sql(f"INSERT INTO {table.spark}.branch_work VALUES (1000, 'by Spark')")
    assert multiset(readers.read_spark(table, "'work'")).total() == 61
    count = otf.run("query", f"SELECT count(*) AS n FROM '{table.reference}#work'", "--output", "json")
    assert count.document() == {"n": 61}, count.told()
    otf.compact(f"{table.reference}#work", "--rewrite-all", "--yes", table_format="iceberg", outcome="landed")
    assert multiset(readers.read_spark(table, "'work'")).total() == 61
    opened = StaticTable.from_metadata(metadata_file(table).as_uri())
    seen = {name: ref.snapshot_id for name, ref in opened.metadata.refs.items()}
    assert seen["ours"] == int(first) and {"main", "work"} < set(seen)
    assert opened.scan(snapshot_id=seen["work"]).to_arrow().num_rows == 61

    readers.spark.sql(f"ALTER TABLE {table.spark} CREATE TAG theirs AS OF VERSION {second} RETAIN 7 DAYS")
    listed = otf.run("tag", table.reference, "list", "--output", "json").document()["tags"]
    assert [(tag["name"], tag["version"], tag["max_ref_age_ms"]) for tag in listed] == [
        ("ours", first, 30 * 86_400_000), ("theirs", second, 7 * 86_400_000)]
    _done(otf, "tag", table.reference, "create", "theirs", "--at", second, outcome="nothing-to-do")
    _done(otf, "tag", table.reference, "drop", "theirs")
    readers.spark.sql(f"ALTER TABLE {table.spark} DROP TAG ours")
    _done(otf, "tag", table.reference, "drop", "ours", outcome="nothing-to-do")
    require_equal(main, readers.agreed(table, case), "main")


def test_fast_forward_publishes_what_spark_wrote_to_a_branch(otf: Otf, make: Maker, readers: Readers) -> None:
    """Write, audit, publish: main is moved to the branch, and refuses once it has commits of its own."""
    case = Case("published", (TABLE, insert("id, concat('v', id)", 0, 30), "ALTER TABLE {t} CREATE BRANCH audit",
                              "INSERT INTO {t}.branch_audit SELECT id, 'audited' FROM range(30, 40)"), files_after=0)
    table = make("iceberg", case)
    done = _done(otf, "branch", table.reference, "fast-forward", "main", "--to", "audit")
    assert (done["before"]["rows"], done["after"]["rows"]) == (30, 40)
    assert readers.agreed(table, case).total() == 40
    _done(otf, "branch", table.reference, "fast-forward", "main", "--to", "audit", outcome="nothing-to-do")
    readers.spark.sql(f"INSERT INTO {table.spark} VALUES (2000, 'main alone')")
    otf.run("branch", table.reference, "fast-forward", "main", "--to", "audit", "--output", "json").error(4, "refused")
    behind = _call(readers, table, "fast_forward", "branch => 'audit'", "to => 'main'")
    assert str(behind["updated_ref"]) == readers.version(table)


def test_a_restore_and_sparks_rollback_agree(otf: Otf, make: Maker, readers: Readers) -> None:
    """The same table is rolled back by Spark and restored by otf, from deletes and back again."""
    statements = (TABLE, insert("id, concat('v', id)", 0, 30), insert("id, concat('w', id)", 30, 60), "DELETE FROM {t} WHERE id % 4 = 0")
    ours, theirs = (make("iceberg", Case(f"restored_by_{who}", statements, files_after=0)) for who in ("otf", "spark"))
    case = Case("restored", statements, files_after=0)
    for table in (ours, theirs):
        second = _snapshots(readers, table)[1]
        if table is ours:
            done = _done(otf, "restore", table.reference, "--to", second)
            assert (done["before"]["rows"], done["after"]["rows"], done["versions"]) == (45, 60, [])
        else:
            _call(readers, table, "rollback_to_snapshot", f"snapshot_id => {second}")
        assert readers.version(table) == second
    require_equal(readers.agreed(theirs, case), readers.agreed(ours, case), "after both went back")
    history = [[row.is_current_ancestor for row in readers.spark.sql(f"SELECT * FROM {table.spark}.history").collect()] for table in (ours, theirs)]
    assert history[0] == history[1]
    readers.spark.sql(f"INSERT INTO {ours.spark} VALUES (1000, 'after')")
    assert readers.agreed(ours, case).total() == 61
    _done(otf, "restore", theirs.reference, "--to", _snapshots(readers, theirs)[1], outcome="nothing-to-do")


def test_manifests_of_otf_are_read_by_all_and_spark_has_nothing_left_to_rewrite(otf: Otf, make: Maker, readers: Readers) -> None:
    """Small manifests of appends, deletes and a compaction become one of each kind; entries keep what they had."""
    appends = tuple(insert(f"id, concat('v', id), id % {3 + at}", at * 30, at * 30 + 30) for at in range(4))
    create = f"CREATE TABLE {{t}} (id BIGINT, v STRING, p BIGINT) USING iceberg PARTITIONED BY (p) {V2.removeprefix('USING iceberg ')}"
    case = Case("rewritten_manifests", (create, *appends, "DELETE FROM {t} WHERE id % 7 = 0", "DELETE FROM {t} WHERE id % 11 = 0"), files_after=0)
    table = make("iceberg", case)
    rows, files = readers.agreed(table, case), readers.live_files(table)
    entries = f"SELECT snapshot_id, sequence_number, file_sequence_number, data_file FROM {table.spark}.entries WHERE status < 2"
    before = multiset(readers.spark.sql(entries).toArrow())
    done = _done(otf, "manifests", table.reference)
    assert done["before"] == done["after"] and done["before"]["files"] == files
    assert done["report"]["lists_added"] == 2 and done["report"]["lists_removed"] > 4
    require_equal(before, multiset(readers.spark.sql(entries).toArrow()), "entries of the new manifests")
    require_equal(rows, readers.agreed(table, case), "after the manifests were rewritten")
    again = _call(readers, table, "rewrite_manifests")
    assert (again["rewritten_manifests_count"], again["added_manifests_count"]) == (0, 0)
    readers.spark.sql(f"DELETE FROM {table.spark} WHERE id % 5 = 0")
    readers.spark.sql(f"INSERT INTO {table.spark} SELECT id + 1000, v, p FROM {table.spark} WHERE id % 5 = 1")
    rows = readers.agreed(table, case)
    _call(readers, table, "rewrite_manifests")
    _done(otf, "manifests", table.reference, outcome="nothing-to-do")
    require_equal(rows, readers.agreed(table, case), "after Spark went on and rewrote them too")


def test_row_ids_survive_new_manifests(otf: Otf, make: Maker, readers: Readers) -> None:
    """Format version 3: every row keeps its id, and new rows get ids that nobody had."""
    case = Case("manifests_with_row_ids", ("CREATE TABLE {t} (id BIGINT, v STRING) USING iceberg TBLPROPERTIES ('format-version'='3', "
                                           "'write.delete.mode'='merge-on-read')", insert("id, concat('v', id)", 0, 30),
                                           insert("id, concat('w', id)", 30, 60), "DELETE FROM {t} WHERE id % 4 = 0"), files_after=0,
                row_ids=("_row_id", "_last_updated_sequence_number"))
    table = make("iceberg", case)
    before = readers.row_ids(table, case)
    _done(otf, "manifests", table.reference)
    require_equal(before, readers.row_ids(table, case), "row ids after the manifests were rewritten")
    readers.spark.sql(f"INSERT INTO {table.spark} VALUES (1000, 'after')")
    ids = [row[0] for row in readers.spark.sql(f"SELECT _row_id FROM {table.spark}").collect()]
    assert len(ids) == len(set(ids)) == before.total() + 1


def test_a_delta_table_is_restored_and_gets_a_checkpoint(otf: Otf, make: Maker, readers: Readers) -> None:
    """Spark reads what otf restored as it reads what it restored itself, and starts from the checkpoint of otf."""
    statements = ("CREATE TABLE {t} (id BIGINT, v STRING) USING delta TBLPROPERTIES ('delta.enableDeletionVectors'='true')",
                  insert("id, concat('v', id)", 0, 30), insert("id, concat('w', id)", 30, 60), "DELETE FROM {t} WHERE id % 4 = 0")
    ours, theirs = (make("delta", Case(f"restored_by_{who}", statements, files_after=0)) for who in ("otf", "spark"))
    case = Case("restored", statements, files_after=0)
    done = _done(otf, "restore", ours.reference, "--to", "2")
    assert (done["before"]["rows"], done["after"]["rows"], done["versions"]) == (45, 60, ["4"])
    readers.spark.sql(f"RESTORE TABLE {theirs.spark} TO VERSION AS OF 2")
    require_equal(readers.agreed(theirs, case), readers.agreed(ours, case), "after both went back")
    _done(otf, "restore", theirs.reference, "--to", "2", outcome="nothing-to-do")
    _done(otf, "manifests", ours.reference)
    assert (ours.root / "_delta_log" / "00000000000000000004.checkpoint.parquet").exists()
    _done(otf, "manifests", ours.reference, outcome="nothing-to-do")
    readers.spark.sql(f"INSERT INTO {ours.spark} VALUES (1000, 'after')")
    assert readers.agreed(ours, case).total() == 61
