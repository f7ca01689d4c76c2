"""Each engine's VACUUM compares the paths of the log with those of a listing in its own way: none takes for a stray what we wrote, however it is named."""

from __future__ import annotations

import shutil
import string

from conftest import Maker
from support.otf import Otf
from support.readers import Readers, deltalake_rows
from support.rows import multiset, require_equal
from support.tables import Case, Table

#: Partition values that writers spell in their own ways: ASCII, controls, spaces of Unicode, marks that combine, and signs of two halves.
ODD = [*string.punctuation, " ", "\t", "\n", "\x01", "\x7f", "\x85", "\xa0", "\xad", "é", "e\u0301", "ß", "中", "\u200b", "\u2028", "\u3000", "\ufeff", "🦊"]
VALUES = [f"a{sign}b" for sign in ODD] + ["%2F", "%25", "+", " ", "é%20 +"]


def _files(table: Table) -> set[str]:
    return {str(path.relative_to(table.root)) for path in table.root.rglob("*.parquet") if "_delta_log" not in path.parts}


def _rewritten(otf: Otf, make: Maker, readers: Readers) -> tuple[Table, set[str]]:
    """A table with two files in each odd partition, compacted to one; with the files that it had before."""
    table = make("delta", Case("odd_partitions", ("CREATE TABLE {t} (id BIGINT, `p+é` STRING) USING delta PARTITIONED BY (`p+é`)",), 0))
    frame = readers.spark.createDataFrame(list(enumerate(VALUES)), "id BIGINT, `p+é` STRING")
    for _ in range(2):
        frame.coalesce(1).write.format("delta").mode("append").save(str(table.root))
    old = _files(table)
    assert len(old) == 2 * len(VALUES)
    otf.compact(table.reference, "--rewrite-all", "--yes", table_format="delta", outcome="landed")
    assert len(_files(table)) == 3 * len(VALUES)
    return table, old


def _copy(table: Table, name: str) -> Table:
    root = table.root.with_name(f"{table.root.name}_{name}")
    shutil.copytree(table.root, root)
    return Table("delta", root, f"delta.`{root}`", str(root))


def test_what_we_wrote_stays(otf: Otf, make: Maker, readers: Readers) -> None:
    """What the compaction replaced goes, what it wrote stays and is read."""
    from deltalake import DeltaTable

    table, old = _rewritten(otf, make, readers)
    rows = multiset(readers.read_spark(table))
    new = _files(table) - old
    trino, rust, ours = (_copy(table, name) for name in ("trino", "rust", "ours"))
    readers.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    readers.spark.sql(f"VACUUM {table.spark} RETAIN 0 HOURS").collect()
    assert _files(table) == new, "Spark"
    require_equal(rows, multiset(readers.read_spark(table)), "after Spark's VACUUM")
    readers.trino.vacuum(trino)
    assert _files(trino) == new, "Trino"
    require_equal(rows, multiset(readers.read_spark(trino)), "after Trino's VACUUM")
    DeltaTable(str(rust.root)).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    assert _files(rust) == new, "delta-rs"
    require_equal(rows, multiset(deltalake_rows(str(rust.root))), "after the VACUUM of delta-rs")
    done = otf.run("expire", ours.reference, "--older-than", "0s", "--unsafe-retention", "--yes", "--output", "json").document()
    assert done["report"]["deleted"]["data"] == len(old), done
    strays = otf.run("orphans", ours.reference, "--older-than", "0s", "--unsafe-retention", "--yes", "--output", "json").document()
    assert strays["outcome"] == "nothing-to-do" and _files(ours) == new, strays
    require_equal(rows, multiset(readers.read_spark(ours)), "after our own expiry")
