"""Shapes in tables that Iceberg's own Java library wrote: it reads the same bytes after a compaction, and files still say what they are of."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Iterator, Optional

import pyarrow.parquet as pq
import pyspark
import pytest
from py4j.java_gateway import JavaGateway
from support.otf import Otf

ROWS = 40


def _point(number: int) -> Optional[bytes]:
    """A point as well-known binary; every seventh is null."""
    return None if number % 7 == 3 else struct.pack("<BIdd", 1, 1, number, -number / 2)


class Library:
    """Iceberg's Java library, as it lies in the jar that Spark runs with; without Spark."""

    def __init__(self, jars: Path) -> None:
        spark = Path(pyspark.__file__).parent / "jars"
        self.gateway = JavaGateway.launch_gateway(jarpath=str(next(spark.glob("py4j-*.jar"))), classpath=f"{jars}/*:{spark}/*",
                                                  javaopts=["-Xmx512m", "-XX:TieredStopAtLevel=1"], die_on_exit=True)
        self.jvm: Any = self.gateway.jvm
        self.tables = self.jvm.org.apache.iceberg.hadoop.HadoopTables(self.jvm.org.apache.hadoop.conf.Configuration())

    def create(self, root: Path, shape: Any) -> None:
        """A table of version 3 with the columns `id` and `g`, in files of ten rows."""
        types = self.jvm.org.apache.iceberg.types.Types
        fields = self.jvm.java.util.ArrayList()
        fields.add(types.NestedField.required(1, "id", types.IntegerType.get()))
        fields.add(types.NestedField.optional(2, "g", shape))
        schema = self.jvm.org.apache.iceberg.Schema(fields)
        settings = self.jvm.java.util.HashMap()
        settings.put("format-version", "3")
        spec = self.jvm.org.apache.iceberg.PartitionSpec.unpartitioned()
        table = self.tables.create(schema, spec, settings, str(root))
        parquet = self.jvm.org.apache.iceberg.FileFormat.PARQUET
        for first in range(0, ROWS, 10):
            file = table.io().newOutputFile(f"{root}/data/{first}.parquet")
            encrypted = self.jvm.org.apache.iceberg.encryption.EncryptedFiles.plainAsEncryptedOutput(file)
            record_class = self.jvm.java.lang.Class.forName("org.apache.iceberg.data.Record")
            builder = self.jvm.org.apache.iceberg.formats.FormatModelRegistry.dataWriteBuilder(parquet, record_class, encrypted)
            writer = builder.schema(table.schema()).spec(spec).build()
            for number in range(first, first + 10):
                record = self.jvm.org.apache.iceberg.data.GenericRecord.create(table.schema())
                point = _point(number)
                record.setField("id", number)
                record.setField("g", None if point is None else self.jvm.java.nio.ByteBuffer.wrap(point))
                writer.write(record)
            writer.close()
            table.newAppend().appendFile(writer.toDataFile()).commit()

    def rows(self, root: Path) -> list[tuple[int, Optional[bytes]]]:
        """What the library reads."""
        found = []
        records = self.jvm.org.apache.iceberg.data.IcebergGenerics.read(self.tables.load(str(root))).build()
        for record in records.iterator():
            shape = record.getField("g")
            found.append((record.getField("id"), None if shape is None else bytes(shape.array()[shape.position():shape.limit()])))
        return sorted(found)


@pytest.fixture(scope="module")
def library(home: Path) -> Iterator[Library]:
    """One Java for all tests."""
    started = Library(home / "jars")
    yield started
    started.gateway.shutdown()


@pytest.mark.parametrize(("name", "shown"), [("geometry", "Geometry(crs=srid:2056)"), ("geography", "Geography(crs=srid:4326, edges=karney)")])
def test_shapes_are_the_same_bytes_of_the_same_type(name: str, shown: str, otf: Otf, library: Library, warehouse: Path) -> None:
    """A query shows the bytes. (Row ids, which version 3 always has, rule copying out.)"""
    types = library.jvm.org.apache.iceberg.types
    karney = types.EdgeAlgorithm.KARNEY
    shape = types.Types.GeometryType.of("srid:2056") if name == "geometry" else types.Types.GeographyType.of("srid:4326", karney)
    root = warehouse / name
    library.create(root, shape)
    expected = [(number, _point(number)) for number in range(ROWS)]
    assert library.rows(root) == expected
    before = set((root / "data").glob("*.parquet"))
    done = otf.compact(str(root), "--rewrite-all", "--yes", table_format="iceberg", outcome="landed")
    assert done["after"]["files"] == 1
    assert library.rows(root) == expected
    [new] = set((root / "data").rglob("*.parquet")) - before
    assert str(pq.ParquetFile(new).schema.column(1).logical_type) == str(pq.ParquetFile(min(before)).schema.column(1).logical_type), shown
    result = otf.home / f"{name}.parquet"
    run = otf.run("query", f"SELECT id, g FROM '{root}' ORDER BY id", "--output", "parquet", "--to", str(result))
    assert run.status == 0, run.told()
    assert [(row["id"], row["g"]) for row in pq.read_table(result).to_pylist()] == expected
