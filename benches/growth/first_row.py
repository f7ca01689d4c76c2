#!/usr/bin/env python3
"""How long the first row of a time-travel query takes from a cold process, and how much memory queries use.

    OTF_BIN=target/release/otf benches/growth/first_row.py [--files 1000,10000] [--rounds 9] [--only first-row,memory]

Needs nothing but Python 3.9 and the binary. Tables are written by hand: every data file is a hard link to the same small one.
Prints a line a case: median and worst wall-clock milliseconds, CPU time, peak memory, and how much more the larger table takes than the smaller.
Targets: 200 ms (goal 60) on 10,000 files; memory within --memory, plus what the program itself takes (see "floor").
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from tables import Manifest, aside, delta_commit, delta_head, manifest, metadata, otf, run, snapshot, uri

COMMITS = 20
COLUMNS = [("id", "long"), ("name", "string")]


def data_file(folder: Path) -> Path:
    """A Parquet file of ten rows, written by the tool itself."""
    sql = "SELECT value AS id, repeat('x', 20) AS name FROM generate_series(1, 10)"
    run([otf(), "query", sql, "--output", "parquet", "--to", "part.parquet"], folder)
    return folder / "part.parquet"


def links(source: Path, table: Path, files: int) -> list[str]:
    (table / "data").mkdir(parents=True)
    names = [f"data/part-{number:06}.parquet" for number in range(files)]
    for name in names:
        os.link(source, table / name)
    return names


def delta(table: Path, source: Path, files: int) -> None:
    """A Delta table of so many files in 20 commits, without a checkpoint."""
    names = links(source, table, files)
    (table / "_delta_log").mkdir()
    stats = json.dumps({"numRecords": 10, "minValues": {"id": 1, "name": "x"}, "maxValues": {"id": 10, "name": "y"},
                        "nullCount": {"id": 0, "name": 0}})
    size, each = source.stat().st_size, files // COMMITS
    for version in range(COMMITS):
        adds = [{"add": {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True, "stats": stats}}
                for name in names[version * each:(version + 1) * each]]
        delta_commit(table, version, (delta_head(COLUMNS) if version == 0 else []) + adds)


def iceberg(table: Path, source: Path, files: int) -> None:
    """An Iceberg table (version 2) of so many files in 20 snapshots of one manifest each."""
    names = links(source, table, files)
    (table / "metadata").mkdir()
    size, each = source.stat().st_size, files // COMMITS
    snapshots: list[dict] = []
    manifests: list[Manifest] = []
    for number in range(1, COMMITS + 1):
        locations = [uri(table / name) for name in names[(number - 1) * each:number * each]]
        manifests.append(manifest(table / "metadata" / f"m{number}.avro", number, locations, rows=10, size=size))
        snapshots.append(snapshot(table, number, 1_700_000_000_000 + number, manifests))
    names_of = [{"field-id": at, "names": [name]} for at, (name, _) in enumerate(COLUMNS, 1)]
    metadata(table, snapshots, COLUMNS, {"schema.name-mapping.default": json.dumps(names_of)})


def first_row(folder: Path, counts: list[int], rounds: int) -> None:
    source = data_file(folder)
    print(f"{'case':56} {'median ms':>10} {'worst ms':>10} {'CPU ms':>8} {'peak MiB':>9}  slope")
    before: dict[str, float] = {}
    for files in counts:
        tables = {name: folder / f"{name}-{files}" for name in ("delta", "iceberg")}
        aside(lambda: delta(tables["delta"], source, files))
        aside(lambda: iceberg(tables["iceberg"], source, files))
        for name, table in tables.items():
            old = COMMITS - 2 if name == "delta" else COMMITS - 1
            for what, sql in [
                ("now, one row", f"SELECT * FROM '{table}' LIMIT 1"),
                ("as of an earlier version, one row", f"SELECT * FROM '{table}' VERSION AS OF {old} LIMIT 1"),
                ("as of, filter that no row meets", f"SELECT * FROM '{table}' VERSION AS OF {old} WHERE id = 99 AND id < 0 LIMIT 1"),
            ]:
                runs = [run([otf(), "query", sql, "--output", "csv"], folder) for _ in range(rounds)]
                median, cpu = statistics.median(r.wall for r in runs), statistics.median(r.cpu for r in runs)
                case = f"{name} {what}"
                slope = f"{cpu / before[case]:.1f} times the CPU" if case in before else ""
                before[case] = cpu
                line = f"{case + f', {files} files':56} {median:10.0f} {max(r.wall for r in runs):10.0f}"
                print(f"{line} {cpu:8.0f} {max(r.peak for r in runs):9}  {slope}", flush=True)


def memory(folder: Path) -> None:
    print(f"{'case':44} {'ms':>10} {'peak MiB':>9}")
    columns = "value, repeat(CAST(value AS VARCHAR), 12) AS t"
    series = "generate_series(100000, 699999)"
    cases = [
        ("floor: SELECT 1", "SELECT 1", "64MiB"),
        ("600,000 rows, not sorted", f"SELECT {columns} FROM {series}", "64MiB"),
        ("600,000 rows sorted in 64 MiB", f"SELECT {columns} FROM {series} ORDER BY t DESC", "64MiB"),
        ("600,000 rows sorted in 128 MiB", f"SELECT {columns} FROM {series} ORDER BY t DESC", "128MiB"),
        ("600,000 rows sorted in 1 GiB", f"SELECT {columns} FROM {series} ORDER BY t DESC", "1GiB"),
        ("600,000 groups in 64 MiB", f"SELECT t, count(*) FROM (SELECT {columns} FROM {series}) GROUP BY t", "64MiB"),
    ]
    for case, sql, budget in cases:
        cost = run([otf(), "query", sql, "--memory", budget, "--threads", "2", "--temp-dir", ".", "--output", "csv", "--to", "x"], folder)
        print(f"{case:44} {cost.wall:10.0f} {cost.peak:9}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="1000,10000")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="first-row,memory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if "first-row" in given.only:
            first_row(Path(folder), [int(count) for count in given.files.split(",")], given.rounds)
        if "memory" in given.only:
            memory(Path(folder))


if __name__ == "__main__":
    main()
