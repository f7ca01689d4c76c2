"""A writer in a process of its own: appends and deletes while otf compacts, and keeps its own account.

    python writer.py delta LOCATION SEED OPERATIONS
    python writer.py iceberg FOLDER SEED OPERATIONS

Prints `step` after each operation, and after the last one the ids that are in the table by its own account, as JSON. What lost a
race is tried again. Only operations are used whose conflict checks in the writer's own library are sound: delta-rs
1.6.6 overlooks compactions when it deletes without a predicate or overwrites the whole table, so Spark does those.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Callable, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.plain import iceberg_catalog, rows_of  # noqa: E402


class Target(Protocol):
    """A table that rows can be appended to and deleted from."""

    def ids(self) -> list[int]: ...
    def append(self, ids: range) -> None: ...
    def delete(self, first: int, last: int) -> None: ...
    def replace(self, first: int, last: int) -> None: ...


class Delta:
    """By delta-rs."""

    def __init__(self, location: str) -> None:
        self.location = location

    def ids(self) -> list[int]:
        from support.readers import deltalake_rows

        return deltalake_rows(self.location).column("id").to_pylist()

    def append(self, ids: range) -> None:
        from deltalake import write_deltalake

        write_deltalake(self.location, rows_of(ids), mode="append")

    def delete(self, first: int, last: int) -> None:
        from deltalake import DeltaTable

        DeltaTable(self.location).delete(f"id >= {first} AND id < {last}")

    def replace(self, first: int, last: int) -> None:
        from deltalake import DeltaTable

        DeltaTable(self.location).update(updates={"v": "v"}, predicate=f"id >= {first} AND id < {last}")


class Iceberg:
    """By pyiceberg, through its SQL catalog."""

    def __init__(self, folder: str) -> None:
        self.catalog = iceberg_catalog(Path(folder), f"file://{folder}/warehouse")

    def _table(self):  # type: ignore[no-untyped-def]
        return self.catalog.load_table("db.t")

    def ids(self) -> list[int]:
        return self._table().scan(selected_fields=("id",)).to_arrow().column("id").to_pylist()

    def append(self, ids: range) -> None:
        self._table().append(rows_of(ids))

    def delete(self, first: int, last: int) -> None:
        self._table().delete(f"id >= {first} AND id < {last}")

    def replace(self, first: int, last: int) -> None:
        table = self._table()
        chosen = f"id >= {first} AND id < {last}"
        kept = table.scan(row_filter=chosen).to_arrow()
        if kept.num_rows:
            table.overwrite(kept, overwrite_filter=chosen)


def lost_race(error: Exception) -> bool:
    """Whether the library says that another writer was first."""
    told = f"{type(error).__name__}: {error}".lower()
    return any(word in told for word in ("commit failed", "commitfailed", "conflict", "concurrent", "locked", "requirement", "validationexception"))


def work(target: Target, seed: int, operations: int) -> set[int]:
    """Does the operations in a seeded order; returns the account."""
    chance = random.Random(seed)
    account = set(target.ids())
    following = max(account) + 1
    done = 0
    while done < operations:
        first = chance.randrange(following)
        last = first + chance.randrange(1, 400)
        kind = chance.choice(("append", "append", "delete", "replace"))
        new = range(following, following + chance.randrange(1, 50))
        act: Callable[[], None] = {"append": lambda: target.append(new), "delete": lambda: target.delete(first, last),
                                   "replace": lambda: target.replace(first, last)}[kind]
        try:
            act()
        except Exception as error:  # each library has its own exceptions; anything but a lost race ends the run
            if not lost_race(error):
                raise
            continue
        done += 1
        print("step", flush=True)
        if kind == "append":
            account |= set(new)
            following = new.stop
        elif kind == "delete":
            account -= set(range(first, last))
    return account


def main() -> None:
    """Runs as the command line says."""
    kind, place, seed, operations = sys.argv[1:5]
    target: Target = Delta(place) if kind == "delta" else Iceberg(place)
    print(json.dumps(sorted(work(target, int(seed), int(operations)))))


if __name__ == "__main__":
    main()
