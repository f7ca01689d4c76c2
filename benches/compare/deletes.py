#!/usr/bin/env python3
"""A compaction through very many delete files: lineitem under thousands of files with position deletes and thousands with equality deletes.

    OTF_BIN=target/release/otf PYTHON benches/compare/deletes.py [--scale 1] [--deletes 10000] [--memory 512MiB] [--home DIR]

PYTHON has what requirements.txt beside this file lists. Each delete file names 20 rows, each of which lies in any data file (by value) or in one
(by position). Prints CPU time, wall time and peak memory of the run, whose rows DuckDB holds against what it makes of the same files itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from data import COLUMNS, fingerprint, live_files, make
from pyiceberg.conversions import to_bytes
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import (DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile,
                                ManifestWriterV2, write_manifest_list)
from pyiceberg.table import StaticTable
from pyiceberg.typedef import Record
from pyiceberg.types import LongType

FILES = 100
#: Rows that a delete file names.
ROWS = 20
#: Reserved field ids of the specification ("Reserved Field IDs").
FILE_PATH, POS = 2147483546, 2147483545
KEYS = {"l_orderkey": 1, "l_linenumber": 4}


class DeleteManifest(ManifestWriterV2):
    """A manifest of delete files."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def field(name: str, kind: pa.DataType, number: int) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata={"PARQUET:field_id": str(number)})


def positions(inputs: list[str], count: int, chance: random.Random) -> Iterator[pa.Table]:
    """Deletes by position, each of rows of one file."""
    rows = [pq.read_metadata(path).num_rows for path in inputs]
    schema = pa.schema([field("file_path", pa.string(), FILE_PATH), field("pos", pa.int64(), POS)])
    for number in range(count):
        at = number % len(inputs)
        yield pa.table([[inputs[at]] * ROWS, sorted(chance.sample(range(rows[at]), ROWS))], schema=schema)


def keys(inputs: list[str], count: int, chance: random.Random) -> Iterator[pa.Table]:
    """Deletes by value, of rows of all files."""
    rows = pq.read_table(inputs[0], columns=list(KEYS)).schema
    held = pa.concat_tables(pq.read_table(path, columns=list(KEYS)) for path in inputs)
    schema = pa.schema([field(name, rows.field(name).type, number) for name, number in KEYS.items()])
    chosen = held.take(chance.sample(range(held.num_rows), count * ROWS))
    for number in range(count):
        yield pa.table(chosen.slice(number * ROWS, ROWS).columns, schema=schema)


def delete_file(path: Path, table: pa.Table, by_value: bool) -> DataFile:
    """Writes a delete file; what a manifest says of it."""
    pq.write_table(table, path)
    bounds = {}
    if by_value:
        bounds = {KEYS[name]: table.column(name).to_pylist() for name in KEYS}
    return DataFile.from_args(
        content=DataFileContent.EQUALITY_DELETES if by_value else DataFileContent.POSITION_DELETES,
        file_path=path.as_uri(), file_format=FileFormat.PARQUET, partition=Record(), record_count=table.num_rows,
        file_size_in_bytes=path.stat().st_size, equality_ids=sorted(KEYS.values()) if by_value else None,
        lower_bounds={number: to_bytes(LongType(), min(values)) for number, values in bounds.items() if number == 1},
        upper_bounds={number: to_bytes(LongType(), max(values)) for number, values in bounds.items() if number == 1})


def commit(root: Path, deletes: list[DataFile]) -> None:
    """Adds a snapshot with these delete files, in one manifest, to a table of path and number."""
    current = max((root / "metadata").glob("v*.metadata.json"), key=lambda path: int(path.name[1:].split(".")[0]))
    table, io, metadata = StaticTable.from_metadata(current.as_uri()), PyArrowFileIO(), json.loads(current.read_text())
    parent, sequence = metadata["current-snapshot-id"], metadata["last-sequence-number"] + 1
    snapshot = parent + 1
    manifests: list[ManifestFile] = table.current_snapshot().manifests(io)
    place = root / "metadata" / f"deletes-{sequence}.avro"
    with DeleteManifest(table.spec(), table.schema(), io.new_output(place.as_uri()), snapshot, "deflate") as writer:
        for file in deletes:
            writer.add_entry(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=snapshot, data_file=file))
    manifests.append(writer.to_manifest_file())
    listed = root / "metadata" / f"snap-{snapshot}.avro"
    with write_manifest_list(2, io.new_output(listed.as_uri()), snapshot, parent, sequence, "deflate") as written:
        written.add_manifests(manifests)
    moment = metadata["last-updated-ms"] + 1
    metadata["snapshots"].append({
        "snapshot-id": snapshot, "parent-snapshot-id": parent, "sequence-number": sequence, "timestamp-ms": moment,
        "manifest-list": listed.as_uri(), "summary": {"operation": "delete"}, "schema-id": metadata["current-schema-id"]})
    metadata["snapshot-log"].append({"snapshot-id": snapshot, "timestamp-ms": moment})
    metadata.update({"current-snapshot-id": snapshot, "last-sequence-number": sequence, "last-updated-ms": moment})
    metadata["refs"]["main"]["snapshot-id"] = snapshot
    number = int(current.name[1:].split(".")[0]) + 1
    (root / "metadata" / f"v{number}.metadata.json").write_text(json.dumps(metadata))
    (root / "metadata" / "version-hint.text").write_text(str(number))


def remaining(inputs: list[str], by_position: Path, by_value: Path) -> tuple[int, int]:
    """Rows, and a hash sum over all columns, of what the deletes leave, as DuckDB finds it."""
    row = duckdb.connect().execute(f"""
        SELECT count(*), sum(hash({COLUMNS})) FROM read_parquet($files, filename = true, file_row_number = true) AS f
        ANTI JOIN read_parquet('{by_position}/*.parquet') AS p ON p.file_path = f.filename AND p.pos = f.file_row_number
        ANTI JOIN read_parquet('{by_value}/*.parquet') AS v USING (l_orderkey, l_linenumber)""", {"files": inputs}).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def main() -> int:
    """Makes the table, compacts it, compares the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--deletes", type=int, default=10_000)
    parser.add_argument("--memory", default="512MiB")
    parser.add_argument("--home", type=Path)
    given = parser.parse_args()
    binary = os.path.realpath(os.environ.get("OTF_BIN", "target/release/otf"))
    with tempfile.TemporaryDirectory() as scratch:
        data = make((given.home or Path(scratch)).resolve(), given.scale, FILES)
        root = data.fresh("iceberg")
        inputs = sorted(str(path) for path in (root / "data").glob("*.parquet"))
        folders = {by_value: root / ("by-value" if by_value else "by-position") for by_value in (False, True)}
        for by_value, folder in folders.items():
            folder.mkdir()
            tables = (keys if by_value else positions)(inputs, given.deletes, random.Random(7))
            commit(root, [delete_file(folder / f"{number:06}.parquet", table, by_value) for number, table in enumerate(tables)])
        wanted = remaining(inputs, folders[False], folders[True])
        words = [binary, "compact", str(root), "--rewrite-all", "--remove-dangling-deletes", "--yes", "--memory", given.memory,
                 "--threads", "2", "--output", "json"]
        process = subprocess.run([sys.executable, str(Path(__file__).with_name("measure.py")), str(root / "output"), *words],
                                 stdout=subprocess.PIPE, check=False)
        cost = json.loads(process.stdout)
        assert cost["status"] == 0, (root / "output").read_text()
        found = fingerprint(live_files("iceberg", root))
        print(f"{wanted[0]} rows, {'equal' if found == wanted else f'NOT EQUAL: {found[0]}'}; "
              f"{cost['cpu']:.1f} CPU s, {cost['wall']:.1f} s, {cost['rss_mib']:.0f} MiB of {given.memory}")
        return int(found != wanted)


if __name__ == "__main__":
    sys.exit(main())
