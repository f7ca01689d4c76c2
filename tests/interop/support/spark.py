"""One Spark session that writes and reads both formats; starting it is the dearest step, so tests share it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ICEBERG = "org.apache.iceberg.spark"
LOGGING = """\
rootLogger.level = off
rootLogger.appenderRef.e.ref = e
appender.e.type = Console
appender.e.name = e
appender.e.target = SYSTEM_ERR
appender.e.layout.type = PatternLayout
appender.e.layout.pattern = %p %c{1}: %m%n
"""


def _catalog(name: str, settings: dict[str, str]) -> dict[str, str]:
    """An Iceberg catalog without a cache: other writers' commits have to be seen at once."""
    prefix = f"spark.sql.catalog.{name}"
    return {prefix: f"{ICEBERG}.SparkCatalog", f"{prefix}.cache-enabled": "false",
            **{f"{prefix}.{key}": value for key, value in settings.items()}}


def session(root: Path, jars: Path, memory: str = "2g", quick_start: bool = True) -> "SparkSession":
    """Starts Spark over `root`: catalog `ice` (path tables), `sql` (JDBC over SQLite), and Delta by path.

    `quick_start` leaves out the JVM's optimising compiler: many tiny statements are faster, real work is slower.
    """
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    for folder in ("ice", "sql", "spark"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    logging = root / "log4j2.properties"
    logging.write_text(LOGGING)
    found = sorted(str(jar) for jar in jars.glob("*.jar"))
    assert found, f"no jars in {jars}: start the tests by tests/interop/run"
    settings = {
        "spark.master": "local[2]",
        "spark.jars": ",".join(found),
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()}"
                                         + (" -XX:TieredStopAtLevel=1" if quick_start else ""),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Plans of old queries are kept for a page that nobody looks at.
        "spark.sql.ui.retainedExecutions": "1",
        "spark.ui.retainedJobs": "1",
        "spark.ui.retainedStages": "1",
        "spark.local.dir": str(root / "local"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": (root / "spark").as_uri(),
        # Settings for clusters that make small local tables slow.
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        "spark.sql.extensions": f"{ICEBERG}.extensions.IcebergSparkSessionExtensions,"
                                "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        **_catalog("ice", {"type": "hadoop", "warehouse": (root / "ice").as_uri()}),
        **_catalog("sql", {"type": "jdbc", "uri": f"jdbc:sqlite:{root}/sql.db", "jdbc.schema-version": "V1",
                           "jdbc.initialize": "true", "warehouse": (root / "sql").as_uri()}),
    }
    builder = SparkSession.builder.appName("otf-interop")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
