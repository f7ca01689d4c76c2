"""What another writer does to a table while otf compacts it, and what that makes of the rows.

A racer acts once, on the version it has read before; its account is the rows that must be there if its library says that it succeeded.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Callable, Iterable

import pyarrow as pa

from .plain import iceberg_catalog, iceberg_table
from .writer import lost_race

#: The value of each id.
Account = dict[int, str]
#: What an operation makes of the account.
Effect = Callable[[Account], Account]

OPERATIONS = {
    "delta": ("append", "delete", "delete-all", "overwrite", "update", "schema", "properties", "compact", "otf"),
    "iceberg": ("append", "delete", "delete-all", "overwrite", "update", "schema", "properties", "spec", "otf"),
}
#: Operations of delta-rs that do not notice when a compaction replaced the files they read: its conflict checker passes over removals that
#: change no data, and takes these operations to have read nothing (crates/core/src/kernel/transaction/conflict_checker.rs in version 1.6.6).
#: Landing after a compaction, they leave its files live beside what they wrote, or leave live what they were to delete.
HEEDLESS = {"delete-all", "overwrite", "compact"}


def rows_of(account: Account) -> pa.Table:
    """The rows of an account; a third of all ids in each partition."""
    ids = sorted(account)
    return pa.table({"id": pa.array(ids, pa.int64()), "p": pa.array([i % 3 for i in ids], pa.int32()),
                     "v": pa.array([account[i] for i in ids], pa.string())})


def account_of(rows: pa.Table) -> list[tuple[int, int, str]]:
    """Rows as a sorted list: doubled ones show."""
    return sorted(zip(*(rows.column(name).to_pylist() for name in ("id", "p", "v"))))


def rows_wanted(account: Account) -> list[tuple[int, int, str]]:
    """What `account_of` has to give."""
    return sorted((i, i % 3, v) for i, v in account.items())


class Chance:
    """The seeded choices of one round."""

    def __init__(self, seed: int, account: Account) -> None:
        dice = random.Random(seed)
        #: Who begins, and after which part of the time a compaction takes the other follows.
        self.first_move, self.delay = dice.random() < 0.5, dice.random()
        following = max(account, default=0) + 1
        self.new: Account = {i: f"new-{i}-{seed}" for i in range(following, following + dice.randrange(1, 30))}
        self.first = dice.randrange(following)
        self.last = self.first + dice.randrange(1, 60)
        self.seed = seed
        self.word = f"updated-{seed}"

    def chosen(self, i: int) -> bool:
        """Whether a delete or an update of this round is about the row."""
        return self.first <= i < self.last

    @property
    def condition(self) -> str:
        """The same in SQL."""
        return f"id >= {self.first} AND id < {self.last}"


def effect_of(operation: str, chance: Chance) -> Effect:
    """What the operation makes of an account."""
    effects: dict[str, Effect] = {
        "append": lambda rows: {**rows, **chance.new},
        "delete": lambda rows: {i: v for i, v in rows.items() if not chance.chosen(i)},
        "delete-all": lambda rows: {},
        "overwrite": lambda rows: dict(chance.new),
        "update": lambda rows: {i: chance.word if chance.chosen(i) else v for i, v in rows.items()},
    }
    return effects.get(operation, lambda rows: dict(rows))


class DeltaRacer:
    """By delta-rs."""

    def __init__(self, folder: Path) -> None:
        self.location = str(folder / "t")

    def create(self, parts: Iterable[Account]) -> None:
        """A new table with a file (and a commit) a part and partition."""
        from deltalake import write_deltalake

        for part in parts:
            write_deltalake(self.location, rows_of(part), mode="append", partition_by=["p"])

    def ready(self) -> Any:
        """The version the operation will be made on."""
        from deltalake import DeltaTable

        return DeltaTable(self.location)

    def act(self, table: Any, operation: str, chance: Chance) -> None:
        """Does the operation on `table`."""
        from deltalake import Field, write_deltalake
        from deltalake.schema import PrimitiveType

        if operation in ("append", "overwrite"):
            write_deltalake(table, rows_of(chance.new), mode=operation, schema_mode="merge")
        elif operation == "delete":
            table.delete(chance.condition)
        elif operation == "delete-all":
            table.delete()
        elif operation == "update":
            table.update(updates={"v": f"'{chance.word}'"}, predicate=chance.condition)
        elif operation == "schema":
            table.alter.add_columns([Field(f"c{len(table.schema().fields)}", PrimitiveType("long"))])
        elif operation == "properties":
            table.alter.set_table_properties({"delta.logRetentionDuration": f"interval {30 + chance.first} days"})
        elif operation == "compact":
            table.optimize.compact()

    def versions(self) -> list[int]:
        """Every version, oldest first."""
        return list(range(self.ready().version() + 1))

    def rows_at(self, version: int) -> list[tuple[int, int, str]]:
        """The rows of a version."""
        from deltalake import DeltaTable, QueryBuilder

        opened = DeltaTable(self.location, version=version)
        return account_of(pa.table(QueryBuilder().register("t", opened).execute("SELECT id, p, v FROM t").read_all()))

    def overlooked(self, operation: str, ours: list[str]) -> bool:
        """Whether the operation, which succeeded, landed after a compaction that it cannot have noticed."""
        return operation in HEEDLESS and bool(ours) and self.ready().version() > min(map(int, ours))


class IcebergRacer:
    """By pyiceberg, through its SQL catalog."""

    def __init__(self, folder: Path) -> None:
        self.catalog = iceberg_catalog(folder, f"file://{folder}/warehouse")

    def create(self, parts: Iterable[Account]) -> None:
        """A new table with a file (and a commit) a part and partition."""
        table = iceberg_table(self.catalog, "t")
        for part in parts:
            table.append(rows_of(part))

    def ready(self) -> Any:
        """The version the operation will be made on."""
        return self.catalog.load_table("db.t")

    def act(self, table: Any, operation: str, chance: Chance) -> None:
        """Does the operation on `table`."""
        from pyiceberg.transforms import BucketTransform
        from pyiceberg.types import LongType

        if operation == "append":
            table.append(rows_of(chance.new))
        elif operation == "overwrite":
            table.overwrite(rows_of(chance.new))
        elif operation == "delete":
            table.delete(chance.condition)
        elif operation == "delete-all":
            table.delete("id >= 0")
        elif operation == "update":
            found = account_of(table.scan(row_filter=chance.condition, selected_fields=("id", "p", "v")).to_arrow())
            if found:
                table.overwrite(rows_of({i: chance.word for i, _, _ in found}), overwrite_filter=chance.condition)
        elif operation == "schema":
            with table.update_schema() as change:
                change.add_column(f"c{len(table.schema().fields)}", LongType())
        elif operation == "properties":
            with table.transaction() as change:
                change.set_properties({"comment": chance.word})
        elif operation == "spec":
            with table.update_spec() as change:
                change.add_field("id", BucketTransform(2 + chance.seed), f"b{chance.seed}")

    def versions(self) -> list[int]:
        """Every version from the first to the current one."""
        table, found = self.ready(), []
        snapshot = table.current_snapshot()
        while snapshot is not None:
            found.insert(0, snapshot.snapshot_id)
            snapshot = table.snapshot_by_id(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id else None
        return found

    def rows_at(self, version: int) -> list[tuple[int, int, str]]:
        """The rows of a version."""
        return account_of(self.ready().scan(snapshot_id=version, selected_fields=("id", "p", "v")).to_arrow())

    def overlooked(self, operation: str, ours: list[str]) -> bool:
        """pyiceberg requires the version it has read."""
        return False


def try_to(act: Callable[[], None]) -> bool:
    """Whether it succeeded; a lost race is no failure of a test, everything else is."""
    try:
        act()
    except Exception as error:  # each library has its own exceptions
        if lost_race(error):
            return False
        raise
    return True
