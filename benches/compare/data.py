"""TPC-H lineitem in many small files, as a Delta and as an Iceberg table over the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

#: All columns of lineitem.
COLUMNS = ("l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, "
           "l_returnflag, l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment")


@dataclass(frozen=True)
class Data:
    """One shape: master copies that are never written to, and the place where steps work on fresh copies."""

    files: int
    master: Path
    work: Path

    def fresh(self, kind: str) -> Path:
        """A fresh copy of `delta`, `iceberg` or `plain` by hard links: compaction never alters a file."""
        place = self.work / kind
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.master / kind, place, copy_function=os.link)
        return place

    def inputs(self) -> list[str]:
        """The Parquet files."""
        return sorted(str(p) for p in (self.master / "plain").glob("*.parquet"))


def make(home: Path, scale: float, files: int) -> Data:
    """Makes the shape unless it is already there."""
    folder = home / f"lineitem-{scale:g}-{files}"
    data = Data(files, folder / "master", folder / "work")
    if (folder / ".complete").exists():
        return data
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "made").mkdir(parents=True)
    data.master.mkdir()
    plain = data.master / "plain"
    _generate(folder / "made", scale, files)
    shutil.copytree(folder / "made" / "lineitem", plain, copy_function=shutil.move)
    _delta(plain, data.master / "delta")
    # Iceberg names absolute paths: the table is made where the steps will find its copies, then moved aside.
    iceberg = data.work / "iceberg"
    _iceberg(plain, iceberg)
    shutil.move(iceberg, data.master / "iceberg")
    (folder / ".complete").touch()
    return data


def _generate(folder: Path, scale: float, files: int) -> None:
    generator = Path(os.sys.executable).with_name("tpchgen-cli")  # type: ignore[attr-defined]
    subprocess.run([str(generator), "parquet", "-s", f"{scale:g}", "--tables=lineitem", f"--parts={files}",
                    f"--output-dir={folder}"], check=True, stdout=subprocess.DEVNULL)


def _delta(plain: Path, root: Path) -> None:
    """A Delta table whose single commit adds the files as they are."""
    from deltalake import Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions

    root.mkdir()
    actions = []
    for path in sorted(plain.glob("*.parquet")):
        os.link(path, root / path.name)
        stats = json.dumps({"numRecords": pq.read_metadata(path).num_rows})
        actions.append(AddAction(path.name, path.stat().st_size, {}, int(path.stat().st_mtime * 1000), True, stats))
    schema = Schema.from_arrow(pq.read_schema(path))
    create_table_with_add_actions(str(root), schema, actions)


def _iceberg(plain: Path, root: Path) -> None:
    """An Iceberg table to which the files are added as they are, as a path table with one metadata file."""
    from pyiceberg.catalog.memory import InMemoryCatalog

    (root / "data").mkdir(parents=True)
    paths = []
    for path in sorted(plain.glob("*.parquet")):
        os.link(path, root / "data" / path.name)
        paths.append(str(root / "data" / path.name))
    catalog = InMemoryCatalog("bench", warehouse=root.as_uri())
    catalog.create_namespace("db")
    table = catalog.create_table("db.lineitem", pq.read_schema(plain / Path(paths[0]).name), location=root.as_uri())
    table.add_files(paths, check_duplicate_files=False)
    # The highest number is the table; Spark's path catalog wants its own names.
    current = Path(table.metadata_location.removeprefix("file://"))
    for other in (root / "metadata").glob("*.metadata.json"):
        if other != current:
            other.unlink()
    current.rename(root / "metadata" / "v1.metadata.json")
    (root / "metadata" / "version-hint.text").write_text("1")


def fingerprint(files: list[str]) -> tuple[int, int]:
    """Rows and a hash sum over all columns, by DuckDB."""
    db = duckdb.connect()
    row = db.execute(f"SELECT count(*), sum(hash({COLUMNS})) FROM read_parquet($files)", {"files": files}).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def live_files(kind: str, root: Path) -> list[str]:
    """The live files of what a step has left, by a library that is not under test."""
    if kind == "plain":
        return sorted(str(p) for p in root.glob("*.parquet"))
    if kind == "delta":
        from deltalake import DeltaTable

        return [uri.removeprefix("file://") for uri in DeltaTable(str(root)).file_uris()]
    from pyiceberg.table import StaticTable

    newest = max((root / "metadata").glob("v*.metadata.json"), key=lambda p: int(p.name[1:].split(".")[0]))
    return [t.file.file_path.removeprefix("file://").removeprefix("file:") for t in StaticTable.from_metadata(newest.as_uri()).scan().plan_files()]
