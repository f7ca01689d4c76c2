"""Real processes on one table at the same time: no row is lost, doubled or brought back."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable

import pytest
from conftest import Maker
from support.iceberg_cases import WRITE
from support.otf import Otf, Run, finish
from support.plain import iceberg_catalog, otf_config, require_rows, rows_of, write_delta, write_iceberg
from support.readers import Readers, read_deltalake, read_pyiceberg
from support.tables import Case, Table, strays

WRITER = Path(__file__).parent / "support" / "writer.py"
#: What a run may end with when others write: done, or try again.
FAIR = {0, 75}


def plain_table(table_format: str, folder: Path, files: int, rows: int) -> tuple[Table, range, list[str]]:
    """A plain table in `folder`, its ids and the options by which otf finds it."""
    if table_format == "delta":
        root = folder / "t"
        return Table("delta", root, f"delta.`{root}`", str(root)), write_delta(str(root), files, rows), []
    catalog = iceberg_catalog(folder, f"file://{folder}/warehouse")
    ids = write_iceberg(catalog, "t", files, rows)
    root = folder / "warehouse" / "db" / "t"
    if table_format == "iceberg-path":
        return Table("iceberg", root, "", str(root)), ids, []
    return Table("iceberg", root, "sql.db.t", "sql.db.t", folder / "catalog.db"), ids, otf_config(folder, f"file://{folder}/warehouse")


def read(table: Table):  # type: ignore[no-untyped-def]
    """The rows by a library that has not written them with us."""
    return read_deltalake(table) if table.format == "delta" else read_pyiceberg(table)


def judged(run: Run) -> str:
    """The outcome of a run among others; fails where it is neither done nor told to try again."""
    assert run.status in FAIR, run.told()
    document = run.document()
    return document["outcome"] if run.status == 0 else document["error"]["kind"] if "error" in document else document["outcome"]


@pytest.mark.parametrize("table_format", ["delta", "iceberg", "iceberg-path"])
def test_two_compactions_at_once(table_format: str, tmp_path: Path, otf: Otf) -> None:
    """Both may land one after the other, or one gives up; the rows are there once, and no file is left over."""
    table, ids, options = plain_table(table_format, tmp_path, files=12, rows=2000)
    command = ("compact", table.reference, "--rewrite-all", "--yes", "--output", "json", *options)
    for turn in range(6):
        processes = [otf.start(*command), otf.start(*command)]
        outcomes = [judged(finish(process)) for process in processes]
        assert "landed" in outcomes, outcomes
        require_rows(read(table), ids, f"turn {turn}: {outcomes}")
    otf.compact(table.reference, "--rewrite-all", "--yes", *options, table_format=table.format, outcome="landed")
    assert strays(table) == set()


class Writer:
    """A writer in another process; every line it prints is passed on as it comes."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen([sys.executable, str(WRITER), *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._pass_on, daemon=True).start()

    def _pass_on(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def news(self) -> str:
        """The latest line, once there is a new one; empty when the writer has ended."""
        line = self.lines.get(timeout=100)
        while line == "step\n" and not self.lines.empty():
            line = self.lines.get()
        return line


@pytest.mark.parametrize(("table_format", "operations"), [("delta", 60), ("iceberg", 30)])
def test_compaction_against_a_writer_in_another_process(table_format: str, operations: int, tmp_path: Path, otf: Otf) -> None:
    """The rows are those of the writer's own account."""
    table, _, options = plain_table(table_format, tmp_path, files=8, rows=500)
    writer = Writer(table_format, str(table.root) if table_format == "delta" else str(tmp_path), "17", str(operations))
    outcomes: list[str] = []
    try:
        # A compaction begins when a step has ended and meets the next ones; without a step in between, neither
        # library would ever get a rewrite of its own through.
        while (line := writer.news()) == "step\n":
            outcomes.append(judged(otf.run("compact", table.reference, "--rewrite-all", "--yes", "--output", "json", *options)))
    finally:
        writer.process.kill()
        writer.process.wait()
    assert line, writer.process.stderr.read()[-2000:]  # type: ignore[union-attr]
    assert outcomes.count("landed") >= 2, f"hardly a race: {outcomes}"
    account = json.loads(line)
    require_rows(read(table), account, f"after {outcomes}")
    otf.compact(table.reference, "--rewrite-all", "--yes", *options, table_format=table.format, outcome="landed")
    require_rows(read(table), account, "after a last compaction")


#: What Spark does in the race, and what that makes of the account.
Step = tuple[str, Callable[[set[int]], set[int]]]


#: Spark's own compaction.
OPTIMIZE = {"delta": "OPTIMIZE {t}",
            "iceberg": "CALL sql.system.rewrite_data_files(table => 'db.spark_race', options => map('rewrite-all', 'true'))"}


def spark_steps(turn: int, table_format: str) -> list[Step]:
    """Statements of one turn: delete, update, merge, append, compact, overwrite, add a column."""
    first, new = 100 * turn, 100_000 + 10 * turn
    values = "concat_ws('-', 'row', CAST(id AS STRING), CAST(id * 829348951 AS STRING))"
    rows = f"SELECT id, CAST(id & 3 AS INT) AS p, {values} AS v FROM range({new}, {new + 10})"
    steps: list[Step] = [
        (f"DELETE FROM {{t}} WHERE id >= {first} AND id < {first + 40}", lambda ids: ids - set(range(first, first + 40))),
        (f"UPDATE {{t}} SET v = v WHERE id >= {first + 40} AND id < {first + 60}", lambda ids: ids),
        (f"INSERT INTO {{t}} {rows}", lambda ids: ids | set(range(new, new + 10))),
        (f"MERGE INTO {{t}} USING (SELECT id FROM range({first + 60}, {first + 70})) s ON {{t}}.id = s.id WHEN MATCHED THEN DELETE",
         lambda ids: ids - set(range(first + 60, first + 70))),
        (OPTIMIZE[table_format], lambda ids: ids),
    ]
    if turn == 1:
        steps.append((f"INSERT OVERWRITE {{t}} {rows}", lambda ids: set(range(new, new + 10))))
        steps.append((f"INSERT INTO {{t}} SELECT id, CAST(id & 3 AS INT), {values} FROM range(0, 4000)",
                      lambda ids: ids | set(range(4000))))
        steps.append(("ALTER TABLE {t} ADD COLUMN added INT", lambda ids: ids))
    return steps


def spark_writes(readers: Readers, table: Table, account: set[int], done: "queue.SimpleQueue[str]") -> None:
    """Runs all turns, retrying what lost a race; leaves the account in `account` and says after each step how it went."""
    for turn in range(2):
        for statement, effect in spark_steps(turn, table.format):
            for _ in range(20):
                try:
                    readers.spark.sql(statement.replace("{t}", table.spark))
                except Exception as error:  # py4j wraps every Java exception
                    if not any(word in str(error) for word in ("Concurrent", "CONCURRENT", "ValidationException", "CommitFailed", "conflict")):
                        done.put(f"failed: {error}"[:2000])
                        return
                    continue
                ids = effect(set(account))
                account.clear()
                account.update(ids)
                done.put("step")
                break
            else:
                done.put(f"failed: never succeeded: {statement}")
                return
    done.put("end")


@pytest.mark.timeout(480)  # Spark starts statements again that lost
@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_compaction_against_spark(table_format: str, otf: Otf, make: Maker, readers: Readers, sql_options: list[str]) -> None:
    """Spark deletes (with deletion vectors or position deletes), updates, merges, appends and overwrites meanwhile."""
    settings = ", ".join("'{}'='{}'".format(*p.split("=")) for p in ("format-version=2", *WRITE))
    if table_format == "delta":
        settings = "'delta.enableDeletionVectors'='true'"
    create = f"CREATE TABLE {{t}} (id BIGINT, p INT, v STRING) USING {table_format} PARTITIONED BY (p) TBLPROPERTIES ({settings})"
    table = make(table_format, Case("spark_race", (create,), files_after=4, catalog="sql"))
    options = sql_options if table.catalog else []
    account = set(range(4000))
    rows = rows_of(sorted(account))
    frame = readers.spark.createDataFrame(rows).repartition(4)
    frame.write.format("delta").mode("append").save(str(table.root)) if table_format == "delta" else frame.writeTo(table.spark).append()

    # One compaction a step, begun when a step has ended: it meets the next one, and neither side can starve the other.
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    spark = threading.Thread(target=spark_writes, args=(readers, table, account, done))
    spark.start()
    outcomes: list[str] = []
    while (word := done.get(timeout=200)) == "step":
        outcomes.append(judged(otf.run("compact", table.reference, "--rewrite-all", "--yes", "--output", "json", *options)))
    spark.join()
    assert word == "end", word
    assert outcomes.count("landed") >= 2, f"hardly a race: {outcomes}"
    require_rows(readers.read_spark(table), account, f"after {outcomes}")
    otf.compact(table.reference, "--rewrite-all", "--yes", *options, table_format=table.format, outcome="landed")
    require_rows(read(table), account, "after a last compaction")
