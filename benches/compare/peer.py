"""The work of one peer in a process of its own.

    python peer.py duckdb|deltalake|bytes|spark-delta|spark-iceberg INPUT OUTPUT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

TARGET = 512 << 20


def copy_bytes(source: Path, target: Path) -> None:
    """The floor: the same bytes into one file, by the kernel, and down to the disk."""
    with open(target / "out.parquet", "wb") as out:
        for path in sorted(source.glob("*.parquet")):
            with open(path, "rb") as data:
                left = path.stat().st_size
                while left:
                    left -= os.copy_file_range(data.fileno(), out.fileno(), left)
        os.fsync(out.fileno())


def duckdb_copy(source: Path, target: Path) -> None:
    """DuckDB reads all files and writes one; it commits nothing to any table."""
    import duckdb

    db = duckdb.connect(config={"threads": 2})
    db.execute(f"COPY (SELECT * FROM read_parquet('{source}/*.parquet')) TO '{target}/out.parquet' "
               "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)")


def deltalake_compact(table: Path) -> None:
    """delta-rs."""
    from deltalake import DeltaTable

    DeltaTable(str(table)).optimize.compact(target_size=TARGET)


def spark(kind: str, table: Path) -> None:
    """Spark, its start included, as in a job of its own."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "interop"))
    from support.spark import session

    scratch = table.parent / "spark"
    opened = session(scratch, Path(os.environ["OTF_INTEROP_HOME"]) / "jars", memory="4g", quick_start=False)
    if kind == "spark-delta":
        opened.conf.set("spark.databricks.delta.optimize.maxFileSize", str(TARGET))
        opened.sql(f"OPTIMIZE delta.`{table}`").collect()
    else:
        opened.conf.set("spark.sql.catalog.bench", "org.apache.iceberg.spark.SparkCatalog")
        opened.conf.set("spark.sql.catalog.bench.type", "hadoop")
        opened.conf.set("spark.sql.catalog.bench.warehouse", table.parent.as_uri())
        opened.sql(f"CALL bench.system.rewrite_data_files(table => '{table.name}', "
                   f"options => map('target-file-size-bytes', '{TARGET}', 'rewrite-all', 'true'))").collect()
    opened.stop()


def main() -> None:
    """Does what the command line says."""
    kind, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if kind == "bytes":
        copy_bytes(source, target)
    elif kind == "duckdb":
        duckdb_copy(source, target)
    elif kind == "deltalake":
        deltalake_compact(source)
    else:
        spark(kind, source)


if __name__ == "__main__":
    main()
