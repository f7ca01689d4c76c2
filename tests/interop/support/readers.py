"""Foreign readers: each gives a table's current rows as Arrow, through an implementation of its own."""

from __future__ import annotations

import glob
import sysconfig
from collections import Counter
from typing import TYPE_CHECKING, Callable, Mapping, Optional

import pyarrow as pa

from .rows import multiset, require_equal
from .tables import Case, Table, metadata_file

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession

    from .trino import Trino

Reader = Callable[..., pa.Table]


def read_pyiceberg(table: Table, version: Optional[str] = None) -> pa.Table:
    """pyiceberg, from the current metadata file."""
    from pyiceberg.table import StaticTable

    snapshot = None if version is None else int(version)
    return StaticTable.from_metadata(metadata_file(table).as_uri()).scan(snapshot_id=snapshot).to_arrow()


def read_deltalake(table: Table, version: Optional[str] = None) -> pa.Table:
    """delta-rs through its query engine, which knows deletion vectors and column mapping."""
    return deltalake_rows(str(table.root), version=version)


def deltalake_rows(location: str, options: Optional[Mapping[str, str]] = None, version: Optional[str] = None) -> pa.Table:
    """Rows of a Delta table anywhere delta-rs reaches."""
    from deltalake import DeltaTable, QueryBuilder

    opened = DeltaTable(location, version=None if version is None else int(version), storage_options=dict(options or {}))
    return pa.table(QueryBuilder().register("t", opened).execute("SELECT * FROM t").read_all())


def duckdb_connection(scratch: str) -> "duckdb.DuckDBPyConnection":
    """DuckDB with its extensions loaded from wheels: signed files, no network."""
    import duckdb

    db = duckdb.connect(config={"autoinstall_known_extensions": "false", "extension_directory": scratch})
    packages = sysconfig.get_paths()["purelib"]
    for name in ("avro", "httpfs", "iceberg", "delta"):
        pattern = f"{packages}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension"
        db.execute(f"LOAD '{glob.glob(pattern)[0]}'")
    db.execute("SET TimeZone = 'UTC'")
    return db


def _quoted(path: object) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def chdb_rows(source: str, settings: str = "") -> pa.Table:
    """ClickHouse; without the first setting a count would ignore deletion vectors."""
    import chdb

    result = chdb.query(f"SELECT * FROM {source} SETTINGS {settings}optimize_trivial_count_query = 0, "
                        "output_format_arrow_string_as_string = 1, output_format_arrow_low_cardinality_as_dictionary = 0, "
                        "session_timezone = 'UTC'", "ArrowStream")
    return pa.ipc.open_stream(result.bytes()).read_all()


class Readers:
    """All readers over one Spark session, one Trino server and one DuckDB connection."""

    def __init__(self, spark: "SparkSession", trino: "Trino", scratch: str) -> None:
        self.spark = spark
        self.trino = trino
        self.duckdb = duckdb_connection(scratch)

    def for_format(self, table_format: str) -> dict[str, Reader]:
        """The readers of a format by name; Spark first, for it wrote the tables."""
        if table_format == "delta":
            return {"spark": self.read_spark, "deltalake": read_deltalake, "duckdb": self.read_duckdb, "chdb": self.read_chdb,
                    "trino": self.read_trino}
        return {"spark": self.read_spark, "pyiceberg": read_pyiceberg, "duckdb": self.read_duckdb, "chdb": self.read_chdb,
                "trino": self.read_trino}

    def read_spark(self, table: Table, version: Optional[str] = None) -> pa.Table:
        """Spark, now or as of a version."""
        at = f" VERSION AS OF {version}" if version is not None else ""
        return self.spark.sql(f"SELECT * FROM {table.spark}{at}").toArrow()

    def read_duckdb(self, table: Table, version: Optional[str] = None) -> pa.Table:
        """DuckDB's own Iceberg and Delta extensions."""
        function, place, option = (("delta_scan", table.root, "version") if table.format == "delta"
                                   else ("iceberg_scan", metadata_file(table), "snapshot_from_id"))
        at = f", {option} => {version}" if version is not None else ""
        return self.duckdb.execute(f"SELECT * FROM {function}({_quoted(place)}{at})").to_arrow_table()

    def read_chdb(self, table: Table, version: Optional[str] = None) -> pa.Table:
        """ClickHouse's own Iceberg and Delta engines."""
        option = "delta_lake_snapshot_version" if table.format == "delta" else "iceberg_snapshot_id"
        at = f"{option} = {version}, " if version is not None else ""
        if table.format == "delta":
            return chdb_rows(f"deltaLakeLocal({_quoted(table.root)})", at)
        chosen = metadata_file(table).relative_to(table.root)
        return chdb_rows(f"icebergLocal({_quoted(table.root)}, SETTINGS iceberg_metadata_file_path = {_quoted(chosen)})", at)

    def read_trino(self, table: Table) -> pa.Table:
        """Trino's own Iceberg and Delta connectors; it says nothing of Arrow, so Spark says which types the columns have."""
        return self.trino.read(table, self.spark.sql(f"SELECT * FROM {table.spark} LIMIT 0").toArrow().schema)

    def agreed(self, table: Table, case: Case) -> Counter[str]:
        """The rows that every reader of the case sees; fails where one sees others."""
        wanted: Optional[Counter[str]] = None
        for name, read in self.for_format(table.format).items():
            if name in case.blind:
                continue
            rows = multiset(read(table))
            if wanted is None:
                wanted = rows
            require_equal(wanted, rows, f"{case.name} as {name} reads it")
        assert wanted is not None
        return wanted

    def row_ids(self, table: Table, case: Case) -> Counter[str]:
        """Rows with their stable identities, as Spark gives them."""
        chosen = ", ".join(f"{expression} AS `identity{i}`" for i, expression in enumerate(case.row_ids))
        return multiset(self.spark.sql(f"SELECT *, {chosen} FROM {table.spark}").toArrow())

    def live_files(self, table: Table) -> int:
        """Live data files as Spark counts them."""
        if table.format == "delta":
            return int(self.spark.sql(f"DESCRIBE DETAIL {table.spark}").collect()[0]["numFiles"])
        return int(self.spark.sql(f"SELECT count(*) FROM {table.spark}.data_files").collect()[0][0])

    def version(self, table: Table) -> str:
        """The current version (Delta) or snapshot id (Iceberg) as Spark names it."""
        if table.format == "delta":
            return str(self.spark.sql(f"DESCRIBE HISTORY {table.spark} LIMIT 1").collect()[0]["version"])
        return str(self.spark.sql(f"SELECT snapshot_id FROM {table.spark}.refs WHERE name = 'main'").collect()[0][0])
