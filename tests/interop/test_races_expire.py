"""Each operation of another writer against an expiry, many times, at seeded moments: what is current afterwards has the rows of the account, and
every version that is kept can be read whole.

    tests/interop/run test_races_expire.py --rounds 60 --seed 7
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.otf import Otf, Run, finish
from support.plain import otf_config
from support.racers import OPERATIONS, Account, Chance, DeltaRacer, IcebergRacer, effect_of, rows_wanted, try_to
from test_races import judged

#: So many versions are kept whatever their age.
KEPT = 4
FILES, ROWS = 4, 30
#: pyiceberg cannot append to a table of the spec that `spec` makes.
PAIRS = [(form, operation) for form in OPERATIONS for operation in (*OPERATIONS[form], "expire") if operation != "spec"]


class Field:
    """A table with its racer and the account of its rows."""

    def __init__(self, table_format: str, folder: Path, otf: Otf) -> None:
        folder.mkdir()
        self.otf, self.format = otf, table_format
        self.racer: DeltaRacer | IcebergRacer = DeltaRacer(folder) if table_format == "delta" else IcebergRacer(folder)
        self.account: Account = {i: f"old-{i}" for i in range(FILES * ROWS)}
        self.racer.create({i: self.account[i] for i in range(n * ROWS, (n + 1) * ROWS)} for n in range(FILES))
        self.reference, self.options = ("sql.db.t", otf_config(folder, f"file://{folder}/warehouse"))
        if table_format == "delta":
            self.reference, self.options = str(folder / "t"), []
        # No age protects anything here: only what is kept by its number, and what the other writer makes meanwhile.
        self.expiry = self.command("expire", "--older-than", "0s", "--retain-last", str(KEPT), "--unsafe-retention")

    def command(self, verb: str, *wishes: str) -> list[str]:
        """The command line of a verb on the table."""
        return [verb, self.reference, *wishes, "--yes", "--output", "json", *self.options]

    def kept(self) -> list[int]:
        """The last versions, newest last."""
        return self.racer.versions()[-KEPT:]

    def grow(self, seed: int) -> None:
        """Two commits, so that there is something to expire."""
        for turn in range(2):
            rows = Chance(-1 - 2 * seed - turn, self.account)
            self.racer.act(self.racer.ready(), "append", rows)
            self.account = effect_of("append", rows)(self.account)

    def race(self, operation: str, chance: Chance, usual: float) -> str:
        """One round; says who did something."""
        table = self.racer.ready()
        commands = {"otf": self.command("compact", "--rewrite-all"), "expire": self.expiry}
        known = {version: self.racer.rows_at(version) for version in self.kept()}

        def other() -> bool | Run:
            if operation in commands:
                return finish(self.otf.start(*commands[operation]))
            return try_to(lambda: self.racer.act(table, operation, chance))

        with ThreadPoolExecutor(1) as thread:
            if chance.first_move:
                begun = thread.submit(other)
                time.sleep(chance.delay * usual)
                ours = self.otf.start(*self.expiry)
            else:
                ours = self.otf.start(*self.expiry)
                time.sleep(chance.delay * usual)
                begun = thread.submit(other)
            answer, run = begun.result(), finish(ours)
        ends = [judged(run)] + ([judged(answer)] if isinstance(answer, Run) else [])
        label = f"{operation}, seed {chance.seed}: {ends}, other: {answer}"
        if answer is True:
            self.account = effect_of(operation, chance)(self.account)
        kept = self.kept()
        for version in kept:
            rows = self.racer.rows_at(version)
            assert version not in known or rows == known[version], f"{label}: version {version}"
        assert self.racer.rows_at(kept[-1]) == rows_wanted(self.account), label
        return f"{ends[0]} beside {ends[1] if len(ends) > 1 else 'landed' if answer else 'lost'}"

    def end(self) -> None:
        """Alone, a second expiry has nothing to do, and the table is sound."""
        self.otf.run(*self.expiry)
        again = self.otf.run(*self.expiry)
        assert again.document()["outcome"] == "nothing-to-do", again.told()
        sound = self.otf.run("fsck", self.reference, "--output", "json", *self.options)
        assert sound.status == 0, sound.told()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("table_format", "operation"), PAIRS)
def test_an_operation_against_an_expiry(table_format: str, operation: str, tmp_path: Path, otf: Otf, rounds: int, seed: int) -> None:
    """Rounds of one pair on one table; a new one is begun where little is left to race for."""
    ends: Counter[str] = Counter()
    field = Field(table_format, tmp_path / "first", otf)
    usual = otf.run(*field.expiry).seconds
    for turn in range(rounds):
        if len(field.account) < ROWS:
            field.end()
            field = Field(table_format, tmp_path / str(turn), otf)
        chosen = 1000 * seed + turn
        field.grow(chosen)
        ends[field.race(operation, Chance(chosen, field.account), usual)] += 1
    field.end()
    print(f"expiry: {table_format} {operation}: {dict(ends)}")
