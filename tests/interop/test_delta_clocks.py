"""Delta's two clocks beside Spark: files go after a week, log entries after a month, and neither tool leaves work to the other. Sums of commits are read."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import Maker
from support.otf import Otf
from support.readers import Readers, deltalake_rows
from support.rows import multiset, require_equal
from support.tables import Case, Table, delta_version
from test_delta_past import BLIND, HISTORIES, as_of, forget_caches, made, run

DAY = 24 * 60 * 60
#: How many days ago each version was made; the last two are always the newest.
AGES = (41, 35, 20, 12, 9)
DOCUMENT = ("--output", "json")


def backdate(table: Table, now: float) -> list[int]:
    """Spreads the versions over the last 41 days, as if they had been made then; returns the age of each, in days."""
    log = table.root / "_delta_log"
    for side in [*table.root.rglob("*.crc")]:
        side.unlink()
    versions = range(delta_version(table.root) + 1)
    ages = [*AGES[: len(versions) - 2], 5, 1]
    assert len(ages) == len(versions), versions
    commits = [log / f"{version:020}.json" for version in versions]
    written = [commit.stat().st_mtime for commit in commits]
    times = [now - age * DAY for age in ages]
    for path in [path for path in table.root.rglob("*") if path.is_file() and log not in path.parents]:
        at = next(made_at for made_at, known in zip(times, written) if known >= path.stat().st_mtime)
        os.utime(path, (at, at))
    for commit, at in zip(commits, times):
        lines = [json.loads(line) for line in commit.read_text().splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["timestamp"] = int(at * 1000)
                if "inCommitTimestamp" in line["commitInfo"]:
                    line["commitInfo"]["inCommitTimestamp"] = int(at * 1000)
            if "remove" in line:
                line["remove"]["deletionTimestamp"] = int(at * 1000)
        commit.write_text("".join(json.dumps(line) + "\n" for line in lines))
        os.utime(commit, (at, at))
    return ages


def vacuum(readers: Readers, table: Table, how: str) -> list[str]:
    """The files that Spark's VACUUM names at its own retention; it names folders, too, that have become empty."""
    named = [row[0] for row in readers.spark.sql(f"VACUUM {table.spark} {how}").collect()]
    return [path for path in named if path.endswith((".parquet", ".bin"))]


def files(root: Path) -> set[str]:
    """Files that hold rows, vectors and changes."""
    return {str(path.relative_to(root)) for kind in ("*.parquet", "*.bin") for path in root.rglob(kind) if "_delta_log" not in path.parts}


def counted(otf: Otf, table: Table, version: int) -> str:
    """How many rows our own reader finds in a version."""
    done = otf.run("query", "SELECT count(*) AS n FROM t", "--table", f"t={table.reference}", "--as-of", str(version), *DOCUMENT)
    assert done.status == 0, done.told()
    return done.stdout


@pytest.mark.parametrize("name", HISTORIES)
def test_after_expire_vacuum_finds_nothing(name: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """At the table's own durations, files go by one clock and log entries by the other; what is promised is read by Spark."""
    table = made(name, "clocks", make)
    ages = backdate(table, time.time())
    forget_caches(readers)
    last = len(ages) - 1
    whole = [version for version in range(last + 1) if version == last or ages[version + 1] < 7]
    listed = [version for version in range(last + 1) if version == last or ages[version + 1] < 30]
    # Spark itself refuses to read what was made before the retention, though its files are there.
    kept = {version: as_of(readers, table, version) for version in whole if ages[version] < 7}
    oldest = counted(otf, table, whole[0])
    assert vacuum(readers, table, "DRY RUN"), "there is something to delete"
    document = run(otf, "expire", table.reference, "--yes", *DOCUMENT)
    report = document["report"]
    assert document["outcome"] == "landed" and report["deleted"]["data"] > 0, document
    assert report["expired"] == [str(v) for v in range(listed[0])], document
    assert report["emptied"] == [str(v) for v in range(listed[0], whole[0])], document
    forget_caches(readers)
    assert vacuum(readers, table, "DRY RUN") == []
    for version, rows in kept.items():
        require_equal(rows, as_of(readers, table, version), f"{name} at {version}")
    assert counted(otf, table, whole[0]) == oldest
    require_equal(kept[last], readers.agreed(table, Case(name, (), 0, blind=BLIND.get(name, {}))), name)
    assert run(otf, "expire", table.reference, "--yes", *DOCUMENT)["outcome"] == "nothing-to-do"
    before = files(table.root)
    vacuum(readers, table, "")
    assert files(table.root) == before
    # A version that is listed and empty says so, whoever asks.
    empty = whole[0] - 1
    read = otf.run("query", "SELECT * FROM t", "--table", f"t={table.reference}", "--as-of", str(empty), *DOCUMENT)
    assert read.status == 3, read.told()
    # Which of its files is missed first, one of rows or one of deletes, decides which error it is.
    refused = otf.run("restore", table.reference, "--to", str(empty), "--yes", *DOCUMENT)
    assert refused.status in (3, 4) and refused.document()["error"]["hint"], refused.told()


@pytest.mark.parametrize("name", ["vectors", "change_feed"])
def test_after_a_vacuum_expire_finds_no_file(name: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """What VACUUM left is what we would leave."""
    table = made(name, "vacuumed", make)
    ages = backdate(table, time.time())
    forget_caches(readers)
    last = as_of(readers, table, len(ages) - 1)
    vacuum(readers, table, "")
    left = files(table.root)
    plan = run(otf, "expire", table.reference, "--dry-run", *DOCUMENT)["plan"]
    assert [plan["delete"].get(kind, 0) for kind in ("data", "deletion_vectors", "cdc")] == [0, 0, 0], plan
    done = run(otf, "expire", table.reference, "--yes", *DOCUMENT)
    assert done["outcome"] == "landed" and done["report"]["deleted"]["log"] > 0, done
    assert files(table.root) == left
    assert run(otf, "expire", table.reference, "--yes", *DOCUMENT)["outcome"] == "nothing-to-do"
    forget_caches(readers)
    require_equal(last, multiset(readers.read_spark(table)), name)


@pytest.mark.parametrize("name", ["vectors", "columns"])
def test_vacuum_finds_nothing_where_the_log_went_first(name: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """What was removed is named by a checkpoint alone, and no version that is listed has anything to lose: it goes all the same."""
    table = made(name, "log_first", make)
    last = multiset(readers.read_spark(table))
    readers.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    everything = ("--older-than", "0s", "--unsafe-retention", "--yes", *DOCUMENT)
    first = run(otf, "expire", table.reference, "--metadata-only", *everything)
    assert first["outcome"] == "landed" and first["report"]["deleted"]["data"] == 0, first
    forget_caches(readers)
    found = vacuum(readers, table, "RETAIN 0 HOURS DRY RUN")
    assert found, "there is something to delete"
    report = run(otf, "expire", table.reference, *everything)["report"]
    assert (report["expired"], report["emptied"]) == ([], []), report
    assert report["deleted"]["data"] + report["deleted"]["deletion_vectors"] == len(found), (report, found)
    forget_caches(readers)
    assert vacuum(readers, table, "RETAIN 0 HOURS DRY RUN") == []
    assert run(otf, "expire", table.reference, *everything)["outcome"] == "nothing-to-do"
    require_equal(last, readers.agreed(table, Case(name, (), 0, blind=BLIND.get(name, {}))), name)


def rows_now(readers: Readers, table: Table) -> Counter[str]:
    """The rows as Spark reads them from sums of commits."""
    readers.spark.conf.set("spark.databricks.delta.deltaLog.minorCompaction.useForReads", "true")
    forget_caches(readers)
    return multiset(readers.read_spark(table))


@pytest.mark.parametrize("name", ["vectors", "columns"])
def test_every_reader_reads_a_table_with_sums_of_commits(name: str, otf: Otf, make: Maker, readers: Readers) -> None:
    """Spark, delta-rs, DuckDB and the others see the same rows, also after further commits and deletes."""
    table = made(name, "summed", make)
    before = multiset(readers.read_spark(table))
    done = run(otf, "manifests", table.reference, "--log-compaction", "--yes", *DOCUMENT)
    last = delta_version(table.root)
    assert done["outcome"] == "landed" and done["report"]["lists_added"] == 1, done
    assert (table.root / "_delta_log" / f"{0:020}.{last:020}.compacted.json").is_file()
    assert run(otf, "manifests", table.reference, "--log-compaction", "--yes", *DOCUMENT)["outcome"] == "nothing-to-do"
    require_equal(before, rows_now(readers, table), name)
    case = Case(name, (), 0, blind=BLIND.get(name, {}))
    require_equal(before, readers.agreed(table, case), name)
    if name != "columns":
        require_equal(before, multiset(deltalake_rows(str(table.root))), f"{name} as delta-rs reads it")
    readers.spark.sql(f"DELETE FROM {table.spark} WHERE id % 2 = 0")
    after = rows_now(readers, table)
    assert after != before
    require_equal(after, readers.agreed(table, case), f"{name} after a delete")
    assert run(otf, "manifests", table.reference, "--log-compaction", "--yes", *DOCUMENT)["outcome"] == "landed"
    require_equal(after, rows_now(readers, table), f"{name} summed up again")
    assert run(otf, "fsck", table.reference, *DOCUMENT)
