"""Shapes in tables that Iceberg's own Java library wrote: it reads the same bytes after a compaction, and files still say what they are of."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Optional

import pyarrow.parquet as pq
import pytest
from support.otf import Otf
from support.readers import Readers
from support.tables import Table

ROWS = 40


def _point(number: int) -> Optional[bytes]:
    """A point as well-known binary; every seventh is null."""
    return None if number % 7 == 3 else struct.pack("<BIdd", 1, 1, number, -number / 2)


class Library:
    """Iceberg's Java library, as it lies in the jar that Spark runs with."""

    def __init__(self, readers: Readers) -> None:
        self.jvm: Any = readers.spark._jvm  # noqa: SLF001
        self.tables = self.jvm.org.apache.iceberg.hadoop.HadoopTables(readers.spark._jsc.hadoopConfiguration())  # noqa: SLF001

    def create(self, root: Path, shape: Any) -> None:
        """A table of version 3 with the columns `id` and `g`, in files of ten rows."""
        types = self.jvm.org.apache.iceberg.types.Types
        fields = self.jvm.java.util.ArrayList()
        fields.add(types.NestedField.required(1, "id", types.LongType.get()))
        fields.add(types.NestedField.optional(2, "g", shape))
        schema = self.jvm.org.apache.iceberg.Schema(fields)
        settings = self.jvm.java.util.HashMap()
        settings.put("format-version", "3")
        spec = self.jvm.org.apache.iceberg.PartitionSpec.unpartitioned()
        table = self.tables.create(schema, spec, settings, str(root))
        parquet = self.jvm.org.apache.iceberg.FileFormat.PARQUET
        for first in range(0, ROWS, 10):
            file = table.io().newOutputFile(f"{root}/data/{first}.parquet")
            appender = self.jvm.org.apache.iceberg.data.GenericAppenderFactory(table.schema()).newAppender(file, parquet)
            for number in range(first, first + 10):
                record = self.jvm.org.apache.iceberg.data.GenericRecord.create(table.schema())
                point = _point(number)
                record.setField("id", self.jvm.java.lang.Long.valueOf(number))
                record.setField("g", None if point is None else self.jvm.java.nio.ByteBuffer.wrap(point))
                appender.add(record)
            appender.close()
            data = self.jvm.org.apache.iceberg.DataFiles.builder(spec).withPath(file.location()).withFormat(parquet)
            data = data.withFileSizeInBytes(file.toInputFile().getLength()).withMetrics(appender.metrics()).build()
            table.newAppend().appendFile(data).commit()

    def rows(self, root: Path) -> list[tuple[int, Optional[bytes]]]:
        """What the library reads."""
        found = []
        records = self.jvm.org.apache.iceberg.data.IcebergGenerics.read(self.tables.load(str(root))).build()
        for record in records.iterator():
            shape = record.getField("g")
            found.append((record.getField("id"), None if shape is None else bytes(shape.array()[shape.position():shape.limit()])))
        return sorted(found)


@pytest.mark.parametrize(("name", "shown"), [("geometry", "Geometry(crs=srid:2056)"), ("geography", "Geography(crs=srid:4326, edges=karney)")])
@pytest.mark.parametrize("path", ["copy", "encode"])
def test_shapes_are_the_same_bytes_of_the_same_type(name: str, shown: str, path: str, otf: Otf, readers: Readers, warehouse: Path) -> None:
    """Copied or encoded; a query shows the bytes."""
    library = Library(readers)
    types = library.jvm.org.apache.iceberg.types
    karney = types.EdgeAlgorithm.KARNEY
    shape = types.Types.GeometryType.of("srid:2056") if name == "geometry" else types.Types.GeographyType.of("srid:4326", karney)
    root = warehouse / f"{name}_{path}"
    library.create(root, shape)
    expected = [(number, _point(number)) for number in range(ROWS)]
    assert library.rows(root) == expected
    table = Table("iceberg", root, "", str(root))
    before = set((root / "data").glob("*.parquet"))
    done = otf.compact(table.reference, "--rewrite-all", "--yes", "--path", path, table_format="iceberg", outcome="landed")
    assert done["after"]["files"] == 1
    assert library.rows(root) == expected
    [new] = set((root / "data").rglob("*.parquet")) - before
    assert str(pq.ParquetFile(new).schema.column(1).logical_type) == str(pq.ParquetFile(min(before)).schema.column(1).logical_type), shown
    result = otf.home / f"{name}-{path}.parquet"
    run = otf.run("query", f"SELECT id, g FROM '{root}' ORDER BY id", "--to", str(result))
    assert run.status == 0, run.told()
    assert [(row["id"], row["g"]) for row in pq.read_table(result).to_pylist()] == expected
