"""Plain tables in many small files, made without Spark: for races, kills, servers and failures.

Every row follows from its id, so that a set of ids is a complete account of what a table has to hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Mapping, Optional

import pyarrow as pa
import pyarrow.compute as pc

PARTITIONS = 4


def rows_of(ids: Iterable[int]) -> pa.Table:
    """The rows with these ids."""
    id_column = pa.array(list(ids), pa.int64())
    text = pc.cast(id_column, pa.string())
    # Text that compresses badly, so that rewriting takes a while.
    value = pc.binary_join_element_wise("row", text, pc.cast(pc.multiply(id_column, 7919 * 104729), pa.string()), "-")
    partition = pc.cast(pc.bit_wise_and(id_column, PARTITIONS - 1), pa.int32())
    return pa.table({"id": id_column, "p": partition, "v": value})


def require_rows(found: pa.Table, ids: Iterable[int], label: str) -> None:
    """Fails unless the table holds exactly the rows with these ids, each once."""
    wanted = sorted(ids)
    got = found.select(["id", "p", "v"]).cast(rows_of([]).schema).sort_by("id")
    seen = got.column("id").to_pylist()
    if seen != wanted:
        doubled = len(seen) - len(set(seen))
        missing, extra = set(wanted) - set(seen), set(seen) - set(wanted)
        raise AssertionError(f"{label}: {len(wanted)} rows wanted, {len(seen)} found: {doubled} doubled, "
                             f"{len(missing)} missing (e.g. {sorted(missing)[:3]}), {len(extra)} too many (e.g. {sorted(extra)[:3]})")
    expected = rows_of(wanted)
    for name in ("p", "v"):
        assert got.column(name).equals(expected.column(name)), f"{label}: other values in column {name}"


def write_delta(location: str, files: int, rows: int, partitioned: bool = True, options: Optional[Mapping[str, str]] = None) -> range:
    """Writes `files` commits of `rows` rows each by delta-rs; returns the ids."""
    from deltalake import write_deltalake

    for n in range(files):
        write_deltalake(location, rows_of(range(n * rows, (n + 1) * rows)), mode="append", storage_options=dict(options or {}),
                        partition_by=["p"] if partitioned else None)
    return range(files * rows)


def iceberg_catalog(folder: Path, warehouse: str, properties: Optional[Mapping[str, str]] = None):  # type: ignore[no-untyped-def]
    """pyiceberg's SQL catalog `sql` in `folder`; Java's JDBC catalog has the same tables."""
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=warehouse, **dict(properties or {}))
    catalog.create_namespace_if_not_exists("db")
    return catalog


def iceberg_table(catalog, name: str, partitioned: bool = True):  # type: ignore[no-untyped-def]
    """A new table for rows with the columns of `rows_of`."""
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import IntegerType, LongType, NestedField, StringType

    schema = Schema(NestedField(1, "id", LongType()), NestedField(2, "p", IntegerType()), NestedField(3, "v", StringType()))
    fields = [PartitionField(2, 1000, IdentityTransform(), "p")] if partitioned else []
    return catalog.create_table(f"db.{name}", schema, partition_spec=PartitionSpec(*fields))


def write_iceberg(catalog, name: str, files: int, rows: int, partitioned: bool = True) -> range:  # type: ignore[no-untyped-def]
    """Writes `files` commits of `rows` rows each by pyiceberg; returns the ids."""
    table = iceberg_table(catalog, name, partitioned)
    for n in range(files):
        table.append(rows_of(range(n * rows, (n + 1) * rows)))
    return range(files * rows)


def otf_config(folder: Path, warehouse: str) -> list[str]:
    """Options that make otf find the tables of `iceberg_catalog` as `sql.db.<name>`."""
    config = folder / "otf.toml"
    config.write_text(f'[catalog.sql]\ntype = "sql"\nuri = "sqlite:///{folder}/catalog.db"\nwarehouse = "{warehouse}"\n')
    return ["--config", str(config)]
