"""What a table under test is, where its parts lie, and which files of it are live or stray."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Optional
from urllib.parse import unquote, urlparse


@dataclass(frozen=True)
class Table:
    """A table on the local disk, with the names by which Spark and otf know it."""

    format: str
    root: Path
    #: The table's name in Spark SQL.
    spark: str
    #: The reference given to otf; a path unless a catalog holds the table.
    reference: str
    #: SQLite file of the catalog that holds the table, if one does.
    catalog: Optional[Path] = None
    #: The current Iceberg metadata file, where neither a catalog nor the numbers of the files tell.
    metadata: Optional[Path] = None


@dataclass(frozen=True)
class Case:
    """How a table is made and what its compaction has to give."""

    name: str
    #: Spark SQL with `{t}` for the table's name.
    statements: tuple[str, ...]
    #: Live data files after `--rewrite-all`.
    files_after: int
    #: Readers that cannot read the feature, each with the reason.
    blind: Mapping[str, str] = field(default_factory=dict)
    #: Spark's expressions for the stable identity of a row, if the table has one.
    row_ids: tuple[str, ...] = ()
    #: `ice` (path table) or `sql` (JDBC catalog); Delta tables are always read by path.
    catalog: str = "ice"
    #: Whether every row can be inserted a second time (not so with generated identities).
    copyable: bool = True


def local_path(location: str) -> Path:
    """The path of a `file:` location or of a bare path; Iceberg's locations are not percent-encoded."""
    return Path(re.sub(r"^file:/{0,2}(?=/)", "", location))


def metadata_file(table: Table) -> Path:
    """The current Iceberg metadata file: the one that is known, the catalog's, or that with the highest number in the folder."""
    if table.metadata:
        return table.metadata
    if table.catalog:
        namespace, name = table.spark.split(".")[-2:]
        with sqlite3.connect(table.catalog) as db:
            row = db.execute("SELECT metadata_location FROM iceberg_tables WHERE table_namespace = ? AND table_name = ?",
                             (namespace, name)).fetchone()
        return local_path(row[0])
    return newest_metadata(table.root)


def newest_metadata(root: Path) -> Path:
    """The metadata file with the highest version number below `root`."""
    named = ((re.match(r"v?(\d+)[.-].*metadata\.json(\.gz)?$", path.name), path) for path in (root / "metadata").iterdir())
    numbered = [(int(match.group(1)), path) for match, path in named if match]
    return max(numbered)[1]


def delta_version(root: Path) -> int:
    """The newest version in a Delta log."""
    return max(int(p.stem) for p in (root / "_delta_log").glob("*.json") if p.stem.isdigit())


def delta_commit(root: Path, version: int) -> list[dict]:
    """The actions of one commit."""
    text = (root / "_delta_log" / f"{version:020}.json").read_text()
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def files_below(root: Path) -> dict[str, bytes]:
    """Every file with its bytes: what has to stay as it is."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def delta_strays(root: Path) -> set[str]:
    """Files outside the log that no version names: left behind by runs that died."""
    named: set[str] = set()
    for version in range(delta_version(root) + 1):
        for action in delta_commit(root, version):
            for kind in ("add", "remove", "cdc"):
                if kind in action:
                    named.add(unquote(action[kind]["path"]))
    present = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    data = {name for name in present if not name.startswith("_delta_log/") and not name.endswith((".bin", ".crc"))}
    log = {name for name in present if name.startswith("_delta_log/")
           and not re.fullmatch(r"_delta_log/(\.?\d{20}\..*(?<!\.unfinished)|_last_checkpoint|\._last_checkpoint\.crc|_sidecars/.*)", name)}
    return (data - named) | log


def iceberg_strays(table: Table) -> set[str]:
    """Files below the root that neither the metadata's history nor any of its snapshots reaches."""
    from pyiceberg.table import StaticTable

    current = metadata_file(table)
    opened = StaticTable.from_metadata(current.as_uri())
    reached = {current.resolve()} | {local_path(e.metadata_file).resolve() for e in opened.metadata.metadata_log}
    for snapshot in opened.snapshots():
        reached.add(local_path(snapshot.manifest_list).resolve())
        for manifest in snapshot.manifests(opened.io):
            reached.add(local_path(manifest.manifest_path).resolve())
            for entry in manifest.fetch_manifest_entry(opened.io, discard_deleted=False):
                reached.add(local_path(entry.data_file.file_path).resolve())
    present = {p.resolve() for p in table.root.rglob("*") if p.is_file()}
    kept = {p for p in present if p.name.endswith(".crc") or p.name.startswith("version-hint") or p.suffix == ".puffin"}
    return {str(p.relative_to(table.root.resolve())) for p in present - kept - reached}


def strays(table: Table) -> set[str]:
    """Files of the table that nothing refers to."""
    return delta_strays(table.root) if table.format == "delta" else iceberg_strays(table)


def bucket_and_key(location: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` location."""
    parts = urlparse(location)
    return parts.netloc, parts.path.lstrip("/")
