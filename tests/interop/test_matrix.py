"""Each operation of another writer against a compaction, many times, at seeded moments.

What otf answers for is judged for itself: a version that it made has the rows of the version before it. What the table holds in the end is
judged against the other writer's account, save where delta-rs is known to overlook a compaction that landed before it (support/racers.py).

    tests/interop/run test_matrix.py --rounds 60 --seed 7
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Union

import pytest
from support.otf import Otf, Run, finish
from support.plain import otf_config
from support.racers import OPERATIONS, Account, Chance, DeltaRacer, IcebergRacer, effect_of, rows_wanted, try_to
from support.tables import Table, strays
from test_races import judged

#: After so many rounds a table is looked at for stray files and a new one begun.
ROUNDS_A_TABLE = 8
FILES, ROWS = 5, 30
#: The other writer landed last and did not notice the compaction: what came of the rows is its doing.
OVERLOOKED = "other overlooked otf"

Racer = Union[DeltaRacer, IcebergRacer]


class Field:
    """A table, its two racers and the account."""

    def __init__(self, table_format: str, folder: Path, otf: Otf) -> None:
        folder.mkdir()
        self.otf = otf
        self.racer: Racer = DeltaRacer(folder) if table_format == "delta" else IcebergRacer(folder)
        self.account: Account = {i: f"old-{i}" for i in range(FILES * ROWS)}
        self.racer.create({i: self.account[i] for i in range(n * ROWS, (n + 1) * ROWS)} for n in range(FILES))
        if table_format == "delta":
            root = folder / "t"
            self.table, options = Table("delta", root, "", str(root)), []
        else:
            self.table = Table("iceberg", folder / "warehouse" / "db" / "t", "sql.db.t", "sql.db.t", folder / "catalog.db")
            options = otf_config(folder, f"file://{folder}/warehouse")
        self.rounds = 0
        self.operations: set[str] = set()
        self.command = ("compact", self.table.reference, "--rewrite-all", "--yes", "--output", "json", *options)

    def compact(self) -> Run:
        """A compaction with nobody beside it."""
        run = self.otf.run(*self.command)
        assert run.status == 0, run.told()
        return run

    def race(self, operation: str, chance: Chance, usual: float) -> str:
        """One round; says who landed."""
        table = self.racer.ready()
        other: Callable[[], Union[bool, Run]] = lambda: try_to(lambda: self.racer.act(table, operation, chance))
        if operation == "otf":
            other = lambda: finish(self.otf.start(*self.command))  # noqa: E731
        with ThreadPoolExecutor(1) as thread:
            if chance.first_move:
                begun = thread.submit(other)
                time.sleep(chance.delay * usual)
                ours_first = self.otf.start(*self.command)
            else:
                ours_first = self.otf.start(*self.command)
                time.sleep(chance.delay * usual)
                begun = thread.submit(other)
            answer, runs = begun.result(), [finish(ours_first)]
        theirs = answer is True
        runs += [answer] if isinstance(answer, Run) else []
        ends = [judged(run) for run in runs]
        self.operations.update(run.document().get("operation_id", "") for run in runs)
        ours = [version for run in runs for version in run.document().get("versions", [])]
        return self.judge(operation, chance, theirs, ours, f"{operation}, seed {chance.seed}: {ends}, other landed: {theirs}")

    def judge(self, operation: str, chance: Chance, theirs: bool, ours: list[str], label: str) -> str:
        """What otf made has the rows of what was there before; in the end there is what the account says."""
        versions = self.racer.versions()
        for version in ours:
            place = versions.index(int(version))
            assert self.racer.rows_at(versions[place]) == self.racer.rows_at(versions[place - 1]), f"{label}: version {version}"
        if theirs and self.racer.overlooked(operation, ours):
            return OVERLOOKED
        if theirs:
            self.account = effect_of(operation, chance)(self.account)
        assert self.racer.rows_at(versions[-1]) == rows_wanted(self.account), label
        return " and ".join(["other"] * theirs + ["otf"] * len(ours)) or "nobody"

    def end(self) -> None:
        """A last compaction with nobody beside it leaves the rows and no stray file."""
        self.compact()
        assert self.racer.rows_at(self.racer.versions()[-1]) == rows_wanted(self.account)
        of_ours = [name for name in strays(self.table) if is_of_otf(name, self.operations)]
        assert of_ours == []


def is_of_otf(name: str, operations: set[str]) -> bool:
    """Whether a file is one of otf's: the other writers leave files of their lost races behind."""
    return name.startswith("_otf/") or name.endswith(".unfinished") or any(operation and operation in name for operation in operations)


def usual_seconds(field: Field) -> float:
    """How long a compaction takes that nobody disturbs."""
    field.compact()
    return field.compact().seconds


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("table_format", "operation"), [(f, o) for f, all_of in OPERATIONS.items() for o in all_of])
def test_an_operation_against_a_compaction(table_format: str, operation: str, tmp_path: Path, otf: Otf, rounds: int, seed: int) -> None:
    """Rounds of one pair; tables are begun anew now and then, and when a round has left little to race for."""
    ends: Counter[str] = Counter()
    field = Field(table_format, tmp_path / "first", otf)
    usual = usual_seconds(field)
    for turn in range(rounds):
        if field.rounds == ROUNDS_A_TABLE or len(field.account) < ROWS:
            field.end()
            field = Field(table_format, tmp_path / str(turn), otf)
        field.rounds += 1
        end = field.race(operation, Chance(1000 * seed + turn, field.account), usual)
        ends[end] += 1
        if end == OVERLOOKED:
            field = Field(table_format, tmp_path / f"{turn}-again", otf)
    field.end()
    print(f"matrix: {table_format} {operation}: {dict(ends)}")
