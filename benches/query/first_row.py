#!/usr/bin/env python3
"""How long the first row of a time-travel query takes from a cold process, and how much memory queries use.

    OTF_BIN=target/release/otf benches/query/first_row.py [--files 1000,10000] [--rounds 9] [--only first-row,memory]

Needs nothing but Python 3.9 and the binary. Tables are written by hand: every data file is a hard link to the same small one.
Prints a line a case: median and worst wall-clock milliseconds, CPU time, peak memory, and how much more the larger table takes than the smaller.
Targets: 200 ms (goal 60) on 10,000 files; memory within --memory, plus what the program itself takes (see "floor").
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMITS = 20


def run(words: list[str], folder: Path) -> tuple[float, int, float]:
    """Milliseconds, peak resident MiB and milliseconds of CPU of one run."""
    start = time.perf_counter()
    process = subprocess.Popen([os.environ["OTF_BIN"], *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out = process.stdout.read() if process.stdout else b""
    error = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = (time.perf_counter() - start) * 1000
    if status:
        sys.exit(f"{words}: {error.decode()}{out.decode()}")
    return elapsed, usage.ru_maxrss // 1024, (usage.ru_utime + usage.ru_stime) * 1000


def data_file(folder: Path) -> Path:
    """A Parquet file of ten rows, written by the tool itself."""
    sql = "SELECT value AS id, repeat('x', 20) AS name FROM generate_series(1, 10)"
    run(["query", sql, "--output", "parquet", "--to", "part.parquet"], folder)
    return folder / "part.parquet"


def links(source: Path, table: Path, files: int) -> list[str]:
    (table / "data").mkdir(parents=True)
    names = [f"data/part-{number:06}.parquet" for number in range(files)]
    for name in names:
        os.link(source, table / name)
    return names


def delta(folder: Path, source: Path, files: int) -> Path:
    """A Delta table of so many files in 20 commits, without a checkpoint."""
    table = folder / f"delta-{files}"
    names = links(source, table, files)
    log = table / "_delta_log"
    log.mkdir()
    fields = [("id", "long"), ("name", "string")]
    schema = {"type": "struct", "fields": [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in fields]}
    head = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(schema),
                      "partitionColumns": [], "configuration": {}, "createdTime": 0}},
    ]
    stats = json.dumps({"numRecords": 10, "minValues": {"id": 1, "name": "x"}, "maxValues": {"id": 10, "name": "y"},
                        "nullCount": {"id": 0, "name": 0}})
    size, each = source.stat().st_size, files // COMMITS
    for version in range(COMMITS):
        adds = [{"add": {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True, "stats": stats}}
                for name in names[version * each:(version + 1) * each]]
        lines = (head if version == 0 else []) + adds
        (log / f"{version:020}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return table


def long(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(value: str) -> bytes:
    return long(len(value.encode())) + value.encode()


def avro(schema: dict, header: dict[str, str], records: list[bytes]) -> bytes:
    """An object container file of one block, not compressed."""
    pairs = {"avro.schema": json.dumps(schema), "avro.codec": "null", **header}
    entries = b"".join(text(key) + text(value) for key, value in pairs.items())
    sync = b"0123456789abcdef"
    body = b"".join(records)
    return b"Obj\x01" + long(len(pairs)) + entries + b"\0" + sync + long(len(records)) + long(len(body)) + body + sync


def record(name: str, fields: list[tuple[str, object, int]]) -> dict:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t, "field-id": i} for n, t, i in fields]}


ENTRY = record("manifest_entry", [
    ("status", "int", 0), ("snapshot_id", "long", 1), ("sequence_number", "long", 3), ("file_sequence_number", "long", 4),
    ("data_file", record("r2", [
        ("content", "int", 134), ("file_path", "string", 100), ("file_format", "string", 101),
        ("partition", {"type": "record", "name": "r102", "fields": []}, 102),
        ("record_count", "long", 103), ("file_size_in_bytes", "long", 104)]), 2)])
COUNTS = ["added_files_count", "existing_files_count", "deleted_files_count", "added_rows_count", "existing_rows_count", "deleted_rows_count"]
LISTED = record("manifest_file", [
    ("manifest_path", "string", 500), ("manifest_length", "long", 501), ("partition_spec_id", "int", 502), ("content", "int", 517),
    ("sequence_number", "long", 515), ("min_sequence_number", "long", 516), ("added_snapshot_id", "long", 503),
    *((name, "int" if name.endswith("files_count") else "long", 504 + at) for at, name in enumerate(COUNTS))])


def iceberg(folder: Path, source: Path, files: int) -> Path:
    """An Iceberg table (version 2) of so many files in 20 snapshots of one manifest each."""
    table = folder / f"iceberg-{files}"
    names = links(source, table, files)
    place = table / "metadata"
    place.mkdir()
    size, each, listed, snapshots = source.stat().st_size, files // COMMITS, b"", []
    lists: list[bytes] = []
    for number in range(1, COMMITS + 1):
        entries = [long(1) + long(number) + long(number) + long(number) + long(0) + text(f"file://{table}/{name}") + text("PARQUET")
                   + long(10) + long(size) for name in names[(number - 1) * each:number * each]]
        schema = {"type": "struct", "schema-id": 0, "fields": []}
        manifest = avro(ENTRY, {"schema": json.dumps(schema), "partition-spec": "[]", "partition-spec-id": "0", "format-version": "2",
                                "content": "data"}, entries)
        (place / f"m{number}.avro").write_bytes(manifest)
        lists.append(text(f"file://{place}/m{number}.avro") + long(len(manifest)) + long(0) + long(0) + long(number) + long(number)
                     + long(number) + long(each) + long(0) + long(0) + long(each * 10) + long(0) + long(0))
        (place / f"snap-{number}.avro").write_bytes(avro(LISTED, {"format-version": "2"}, lists))
        snapshots.append({"snapshot-id": number, "sequence-number": number, "timestamp-ms": 1_700_000_000_000 + number, "schema-id": 0,
                          "manifest-list": f"file://{place}/snap-{number}.avro", "summary": {"operation": "append"}})
    fields = [{"id": 1, "name": "id", "required": False, "type": "long"}, {"id": 2, "name": "name", "required": False, "type": "string"}]
    names_of = [{"field-id": 1, "names": ["id"]}, {"field-id": 2, "names": ["name"]}]
    metadata = {"format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": f"file://{table}",
                "last-sequence-number": COMMITS, "last-updated-ms": 1_700_000_000_100, "last-column-id": 2, "current-schema-id": 0,
                "schemas": [{"type": "struct", "schema-id": 0, "fields": fields}], "default-spec-id": 0,
                "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999, "default-sort-order-id": 0,
                "sort-orders": [{"order-id": 0, "fields": []}], "current-snapshot-id": COMMITS, "snapshots": snapshots,
                "properties": {"schema.name-mapping.default": json.dumps(names_of)},
                "snapshot-log": [{"timestamp-ms": s["timestamp-ms"], "snapshot-id": s["snapshot-id"]} for s in snapshots]}
    (place / "v1.metadata.json").write_text(json.dumps(metadata))
    (place / "version-hint.text").write_text("1")
    return table


def first_row(folder: Path, counts: list[int], rounds: int) -> None:
    source = data_file(folder)
    print(f"{'case':56} {'median ms':>10} {'worst ms':>10} {'CPU ms':>8} {'peak MiB':>9}  slope")
    before: dict[str, float] = {}
    for files in counts:
        tables = {"delta": delta(folder, source, files), "iceberg": iceberg(folder, source, files)}
        for name, table in tables.items():
            old = COMMITS - 2 if name == "delta" else COMMITS - 1
            for what, sql in [
                ("now, one row", f"SELECT * FROM '{table}' LIMIT 1"),
                ("as of an earlier version, one row", f"SELECT * FROM '{table}' VERSION AS OF {old} LIMIT 1"),
                ("as of, filter that no row meets", f"SELECT * FROM '{table}' VERSION AS OF {old} WHERE id = 99 AND id < 0 LIMIT 1"),
            ]:
                runs = [run(["query", sql, "--output", "csv"], folder) for _ in range(rounds)]
                median, cpu = (statistics.median(r[at] for r in runs) for at in (0, 2))
                case = f"{name} {what}"
                slope = f"{cpu / before[case]:.1f} times the CPU" if case in before else ""
                before[case] = cpu
                line = f"{case + f', {files} files':56} {median:10.0f} {max(r[0] for r in runs):10.0f}"
                print(f"{line} {cpu:8.0f} {max(r[1] for r in runs):9}  {slope}", flush=True)


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
        elapsed, peak, _ = run(["query", sql, "--memory", budget, "--threads", "2", "--temp-dir", ".", "--output", "csv", "--to", "x"], folder)
        print(f"{case:44} {elapsed:10.0f} {peak:9}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="1000,10000")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="first-row,memory")
    given = parser.parse_args()
    os.environ["OTF_BIN"] = str(Path(os.environ.get("OTF_BIN", "target/release/otf")).resolve())
    with tempfile.TemporaryDirectory() as folder:
        if "first-row" in given.only:
            first_row(Path(folder), [int(count) for count in given.files.split(",")], given.rounds)
        if "memory" in given.only:
            memory(Path(folder))


if __name__ == "__main__":
    main()
