"""Lives of tables: Spark and otf take turns at one table, in an order that a seed chooses."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable

from .otf import Otf
from .readers import Readers
from .rows import multiset, require_equal
from .tables import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Ways a table can be made: what stands behind the columns in CREATE TABLE.
MADE = {
    "iceberg": (
        "PARTITIONED BY (p) TBLPROPERTIES ('format-version'='2', 'write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read',"
        " 'write.merge.mode'='merge-on-read')",
        "TBLPROPERTIES ('format-version'='3', 'write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read')",
        "PARTITIONED BY (bucket(3, id), days(t)) TBLPROPERTIES ('format-version'='2', 'write.metadata.previous-versions-max'='2',"
        " 'write.metadata.delete-after-commit.enabled'='true')",
        "PARTITIONED BY (truncate(2, s)) TBLPROPERTIES ('format-version'='1')",
        "PARTITIONED BY (p) TBLPROPERTIES ('format-version'='3', 'write.delete.mode'='merge-on-read', 'write.format.default'='orc')",
    ),
    "delta": (
        "PARTITIONED BY (p) TBLPROPERTIES ('delta.enableDeletionVectors'='true', 'delta.checkpointInterval'='4')",
        "TBLPROPERTIES ('delta.enableDeletionVectors'='true', 'delta.columnMapping.mode'='name', 'delta.enableRowTracking'='true')",
        "PARTITIONED BY (p) TBLPROPERTIES ('delta.columnMapping.mode'='name', 'delta.enableInCommitTimestamps'='true',"
        " 'delta.enableTypeWidening'='true', 'delta.checkpointPolicy'='v2', 'delta.checkpointInterval'='3')",
        "TBLPROPERTIES ('delta.enableChangeDataFeed'='true', 'delta.enableDeletionVectors'='true')",
        "CLUSTER BY (id, s)",
    ),
}
COLUMNS = "(id BIGINT, p INT, s STRING, t TIMESTAMP, i INT, d DECIMAL(12,2), n STRUCT<a: INT, b: ARRAY<STRING>>)"
#: A row for each id of a range; nulls in every column but the first two.
VALUES = ("id, CAST(id % 3 AS INT) AS p, IF(id % 7 = 0, NULL, concat('ü', id % 11, '-', id)) AS s,"
          " IF(id % 5 = 0, NULL, TIMESTAMP'1969-12-30 23:59:59.999Z' + make_interval(0, 0, 0, CAST(id % 9 AS INT), CAST(id % 24 AS INT))) AS t,"
          " IF(id % 4 = 0, NULL, CAST(id * 37 AS INT)) AS i, CAST(IF(id % 6 = 0, NULL, id * 1.01 - 50) AS DECIMAL(12,2)) AS d,"
          " IF(id % 8 = 0, NULL, named_struct('a', CAST(id AS INT), 'b', IF(id % 3 = 0, array(), array(concat('b', id), NULL)))) AS n")
#: So many versions an expiry leaves.
KEPT = 3


class Journey:
    """One table, the rows that each of its versions has, and the dice."""

    def __init__(self, made: str, table: Table, readers: Readers, otf: Otf, seed: int) -> None:
        self.table, self.readers, self.otf = table, readers, otf
        self.dice = random.Random(seed)
        self.next_id, self.columns = 0, 0
        self.told: list[str] = []
        self.sql(f"CREATE TABLE {{t}} {COLUMNS} USING {table.format} {made}")
        for _ in range(3):
            self.insert()
        #: The rows of every version since the beginning that has not been expired.
        self.known: dict[str, Counter[str]] = {}
        self.note()

    @property
    def spark(self) -> "SparkSession":
        """The session."""
        return self.readers.spark

    def sql(self, statement: str) -> list[Any]:
        """Runs a statement over the table `{t}`."""
        self.told.append(statement)
        return self.spark.sql(statement.replace("{t}", self.table.spark)).collect()

    def rows(self, version: str | None = None) -> Counter[str]:
        """The rows as Spark reads them."""
        return multiset(self.readers.read_spark(self.table, version))

    def note(self) -> None:
        """Remembers the rows of the current version."""
        version = self.readers.version(self.table)
        self.known[version] = self.rows(version)

    # Spark's turns.

    def insert(self) -> None:
        """New rows in one to three files; columns that came later stay null."""
        count = self.dice.randrange(5, 60)
        names = "id, p, s, t, i, d, n"
        have = {field.name for field in self.spark.table(self.table.spark).schema} if self.next_id else set(names.split(", "))
        chosen = ", ".join(name for name in names.split(", ") if name in have)
        source = f"SELECT /*+ REPARTITION({self.dice.randrange(1, 4)}) */ {VALUES} FROM range({self.next_id}, {self.next_id + count})"
        self.next_id += count
        self.sql(f"INSERT INTO {{t}} ({chosen}) SELECT {chosen} FROM ({source})")

    def some_rows(self) -> str:
        """A condition that a part of the rows meets."""
        low = self.dice.randrange(self.next_id)
        return self.dice.choice([f"id BETWEEN {low} AND {low + 40}", f"id % {self.dice.randrange(3, 9)} = 0", f"p = {self.dice.randrange(3)} AND id < {low}"])

    def delete(self) -> None:
        """Some rows go."""
        self.sql(f"DELETE FROM {{t}} WHERE {self.some_rows()}")

    def update(self) -> None:
        """Some rows get another value, and another partition."""
        self.sql(f"UPDATE {{t}} SET i = id % 100, p = CAST(({self.dice.randrange(3)} + id) % 3 AS INT) WHERE {self.some_rows()}")

    def merge(self) -> None:
        """Some rows are replaced, others come."""
        low = self.dice.randrange(self.next_id)
        source = f"SELECT CAST(id AS BIGINT) AS id FROM range({low}, {low + 30})"
        self.sql(f"MERGE INTO {{t}} t USING ({source}) x ON t.id = x.id WHEN MATCHED AND x.id % 2 = 0 THEN DELETE"
                 " WHEN MATCHED THEN UPDATE SET i = -1 WHEN NOT MATCHED THEN INSERT (id, p) VALUES (x.id, 1)")

    def add_column(self) -> None:
        """A column, which old files do not have."""
        self.columns += 1
        self.sql(f"ALTER TABLE {{t}} ADD COLUMNS (c{self.columns} {self.dice.choice(['INT', 'STRING', 'DOUBLE', 'DATE'])})")

    def widen(self) -> None:
        """A wider type, where the table may have it."""
        if self.table.format == "iceberg":
            self.sql("ALTER TABLE {t} ALTER COLUMN i TYPE BIGINT")

    def another_spec(self) -> None:
        """Another layout for what is written from now on."""
        if self.table.format == "iceberg":
            self.columns += 1
            self.sql(f"ALTER TABLE {{t}} ADD PARTITION FIELD bucket({self.dice.randrange(2, 5)}, id) AS b{self.columns}")

    def maintain(self) -> None:
        """Spark's own upkeep."""
        if self.table.format == "delta":
            self.sql("OPTIMIZE {t}")
            return
        name = self.table.spark.split(".", 1)[1]
        procedure = self.dice.choice(["rewrite_manifests", "rewrite_position_delete_files", "rewrite_data_files"])
        self.sql(f"CALL {self.table.spark.split('.')[0]}.system.{procedure}('{name}')")

    # otf's turns.

    def run(self, *words: str) -> dict[str, Any]:
        """One run that has to end well."""
        command = (words[0], self.table.reference, *words[1:], "--yes", "--output", "json")
        self.told.append("otf " + " ".join(command))
        run = self.otf.run(*command)
        assert run.status == 0, "\n".join([*self.told, run.told()])
        return run.document()

    def twice(self, *words: str) -> None:
        """A run that changes no row, and a second one that finds nothing to do."""
        before = self.rows()
        document = self.run(*words)
        assert document["outcome"] in ("landed", "nothing-to-do"), document
        require_equal(before, self.rows(), "\n".join(self.told))
        again = self.run(*words)
        assert again["outcome"] == "nothing-to-do", "\n".join([*self.told, str(again)])

    def compact(self) -> None:
        """By one of the ways."""
        self.twice("compact", *self.dice.choice([(), ("--min-input-files", "2"), ("--delete-file-threshold", "1"), ("--path", "encode"),
                                                 ("--remove-dangling-deletes",), ("--target-file-size", "64KiB")]))

    def compact_all(self) -> None:
        """Everything, whatever its size."""
        before = self.rows()
        self.run("compact", "--rewrite-all")
        require_equal(before, self.rows(), "\n".join(self.told))

    def manifests(self) -> None:
        """New manifests, or a checkpoint."""
        self.twice("manifests")

    def line(self) -> list[str]:
        """The last versions that led to the current one, newest first."""
        current = self.readers.version(self.table)
        if self.table.format == "delta":
            return [str(version) for version in range(int(current), max(int(current) - KEPT, -1), -1)]
        parents = {str(s): None if p is None else str(p) for s, p in self.spark.sql(
            f"SELECT snapshot_id, parent_id FROM {self.table.spark}.snapshots").collect()}
        found: list[str] = []
        version: str | None = current
        while version in parents and len(found) < KEPT:
            found.append(version)
            version = parents[version]
        return found

    def expire(self) -> None:
        """All versions but the last few."""
        kept = self.line()
        self.twice("expire", "--older-than", "0s", "--retain-last", str(KEPT), "--unsafe-retention")
        assert self.line() == kept, "\n".join(self.told)
        self.known = {version: rows for version, rows in self.known.items() if version in kept}

    def orphans(self) -> None:
        """There are none that are old."""
        self.twice("orphans")

    def restore(self) -> None:
        """Back to a version that is there for sure."""
        version = self.dice.choice(list(self.known))
        self.run("restore", "--to", version)
        require_equal(self.known[version], self.with_columns_of(version), "\n".join([*self.told, f"restored {version}"]))

    def with_columns_of(self, version: str) -> Counter[str]:
        """The current rows; columns that came after `version` are in no file of it, and are left out."""
        then = [field.name for field in self.spark.sql(f"SELECT * FROM {self.table.spark} VERSION AS OF {version}").schema]
        now = {field.name for field in self.spark.table(self.table.spark).schema}
        chosen = ", ".join(f"`{name}`" for name in then if name in now)
        return multiset(self.spark.sql(f"SELECT {chosen} FROM {self.table.spark}").toArrow())

    def turn(self) -> None:
        """One turn of somebody."""
        spark: list[tuple[int, Callable[[], None]]] = [
            (5, self.insert), (3, self.delete), (3, self.update), (2, self.merge), (1, self.add_column), (1, self.widen), (1, self.another_spec),
            (1, self.maintain)]
        otf: list[tuple[int, Callable[[], None]]] = [
            (4, self.compact), (2, self.compact_all), (1, self.manifests), (2, self.expire), (1, self.orphans), (1, self.restore)]
        turns = self.dice.choice([spark, otf])
        weights, acts = zip(*turns)
        act = self.dice.choices(acts, weights)[0]
        act()
        self.note()
        version = self.dice.choice(list(self.known))
        require_equal(self.known[version], self.rows(version), "\n".join([*self.told, f"version {version}"]))

    def otf_rows(self) -> int:
        """How many rows a query of otf counts."""
        counted = self.otf.run("query", f"SELECT count(*) AS n FROM '{self.table.reference}'", "--output", "json")
        assert counted.status == 0, counted.told()
        return int(counted.document()["n"])
