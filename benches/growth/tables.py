"""Runs of the binary, and metadata of tables written by hand: nothing but Python is needed, and a million files take seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, Sequence

UUID = "9c12d441-03fe-4693-9a96-a0705ddf69c1"


@dataclass(frozen=True)
class Cost:
    """What a run has taken: milliseconds of time and of CPU, peak resident MiB; and what it printed."""

    wall: float
    cpu: float
    peak: int
    output: str


def run(words: Sequence[str], folder: Path) -> Cost:
    """One run of a command, which has to succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out = process.stdout.read() if process.stdout else b""
    error = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = (time.perf_counter() - start) * 1000
    if status:
        sys.exit(f"{words}: {error.decode()}{out.decode()}")
    return Cost(elapsed, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss // 1024, out.decode())


def aside(work: Callable[[], None]) -> None:
    """Does work in a process of its own: the peak of a run counts what the process held that started it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        sys.exit("a table could not be made")


def otf() -> str:
    """The binary under test."""
    return str(Path(os.environ.get("OTF_BIN", "target/release/otf")).resolve())


def uri(place: Path) -> str:
    """A place as engines spell it: nothing in it is percent-encoded."""
    return f"file://{place}"


def long(number: int) -> bytes:
    """An Avro int or long."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(value: str) -> bytes:
    """An Avro string."""
    return long(len(value.encode())) + value.encode()


def avro(schema: dict, header: dict[str, str], records: Sequence[bytes], packed: bool = False) -> bytes:
    """An object container file of one block."""
    pairs = {"avro.schema": json.dumps(schema), "avro.codec": "deflate" if packed else "null", **header}
    entries = b"".join(text(key) + text(value) for key, value in pairs.items())
    sync, body = b"0123456789abcdef", b"".join(records)
    if packed:
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
        body = deflate.compress(body) + deflate.flush()
    return b"Obj\x01" + long(len(pairs)) + entries + b"\0" + sync + long(len(records)) + long(len(body)) + body + sync


def record(name: str, fields: list[tuple[str, object, int]]) -> dict:
    """An Avro record with field ids."""
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t, "field-id": i} for n, t, i in fields]}


def _bounds(keys: tuple[int, int]) -> dict:
    """Bounds by column id: a map, which Avro has as an array of pairs."""
    pair = record(f"k{keys[0]}_v{keys[1]}", [("key", "int", keys[0]), ("value", "bytes", keys[1])])
    return {"type": "array", "logicalType": "map", "items": pair}


ENTRY = record("manifest_entry", [
    ("status", "int", 0), ("snapshot_id", "long", 1), ("sequence_number", "long", 3), ("file_sequence_number", "long", 4),
    ("data_file", record("r2", [
        ("content", "int", 134), ("file_path", "string", 100), ("file_format", "string", 101),
        ("partition", {"type": "record", "name": "r102", "fields": []}, 102),
        ("record_count", "long", 103), ("file_size_in_bytes", "long", 104),
        ("lower_bounds", _bounds((126, 127)), 125), ("upper_bounds", _bounds((129, 130)), 128)]), 2)])
COUNTS = ["added_files_count", "existing_files_count", "deleted_files_count", "added_rows_count", "existing_rows_count", "deleted_rows_count"]
LISTED = record("manifest_file", [
    ("manifest_path", "string", 500), ("manifest_length", "long", 501), ("partition_spec_id", "int", 502), ("content", "int", 517),
    ("sequence_number", "long", 515), ("min_sequence_number", "long", 516), ("added_snapshot_id", "long", 503),
    *((name, "int" if name.endswith("files_count") else "long", 504 + at) for at, name in enumerate(COUNTS))])


@dataclass(frozen=True)
class Manifest:
    """A manifest, as lists have it."""

    listed: bytes


def manifest(place: Path, snapshot: int, locations: Iterable[str], rows: int, size: int, bounds: Sequence[tuple[bytes, bytes]] = ()) -> Manifest:
    """Writes a manifest of files that `snapshot` added, each of so many rows and bytes, with bounds (of all their columns) or without."""
    head = long(1) + long(snapshot) * 3 + long(0)
    middle = text("PARQUET") + long(rows) + long(size)
    none = (long(0), long(0))
    entries = [b"".join((head, text(location), middle, *(bounds[at] if bounds else none))) for at, location in enumerate(locations)]
    header = {"schema": json.dumps({"type": "struct", "schema-id": 0, "fields": []}), "partition-spec": "[]", "partition-spec-id": "0",
              "format-version": "2", "content": "data"}
    written = avro(ENTRY, header, entries, packed=True)
    place.write_bytes(written)
    counts = b"".join(long(count) for count in (len(entries), 0, 0, len(entries) * rows, 0, 0))
    return Manifest(text(uri(place)) + long(len(written)) + long(0) + long(0) + long(snapshot) * 3 + counts)


def columns_bounds(columns: int, value: int) -> bytes:
    """The same bound for each of so many columns of 64 bits."""
    each = value.to_bytes(8, "little")
    return long(columns) + b"".join(long(column) + long(8) + each for column in range(1, columns + 1)) + long(0)


def snapshot(table: Path, number: int, moment: int, manifests: Sequence[Manifest]) -> dict:
    """Writes the list of a snapshot; its entry in the table's metadata."""
    place = table / "metadata" / f"snap-{number}.avro"
    place.write_bytes(avro(LISTED, {"format-version": "2"}, [one.listed for one in manifests]))
    parent = {"parent-snapshot-id": number - 1} if number > 1 else {}
    return {"snapshot-id": number, "sequence-number": number, "timestamp-ms": moment, "schema-id": 0, "manifest-list": uri(place),
            "summary": {"operation": "append"}, **parent}


def metadata(table: Path, snapshots: list[dict], columns: list[tuple[str, str]], properties: dict[str, str]) -> None:
    """Writes the metadata of a table (version 2) whose newest snapshot is current."""
    fields = [{"id": at, "name": name, "required": False, "type": kind} for at, (name, kind) in enumerate(columns, 1)]
    last = snapshots[-1]
    written = {"format-version": 2, "table-uuid": UUID, "location": uri(table), "last-sequence-number": last["sequence-number"],
               "last-updated-ms": last["timestamp-ms"], "last-column-id": len(fields), "current-schema-id": 0,
               "schemas": [{"type": "struct", "schema-id": 0, "fields": fields}], "default-spec-id": 0,
               "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999, "default-sort-order-id": 0,
               "sort-orders": [{"order-id": 0, "fields": []}], "current-snapshot-id": last["snapshot-id"], "snapshots": snapshots,
               "refs": {"main": {"snapshot-id": last["snapshot-id"], "type": "branch"}}, "properties": properties,
               "snapshot-log": [{"timestamp-ms": s["timestamp-ms"], "snapshot-id": s["snapshot-id"]} for s in snapshots]}
    (table / "metadata" / "v1.metadata.json").write_text(json.dumps(written))
    (table / "metadata" / "version-hint.text").write_text("1")


def delta_head(columns: list[tuple[str, str]]) -> list[dict]:
    """The first actions of a Delta table."""
    schema = {"type": "struct", "fields": [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in columns]}
    return [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(schema),
                      "partitionColumns": [], "configuration": {}, "createdTime": 0}},
    ]


def delta_commit(table: Path, version: int, actions: Iterable[dict]) -> None:
    """Writes a commit."""
    with (table / "_delta_log" / f"{version:020}.json").open("w") as log:
        log.writelines(json.dumps(action) + "\n" for action in actions)
