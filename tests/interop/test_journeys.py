"""Spark and otf take turns at one table, at random: no turn of otf changes a row, every version that is kept stays as it was, and all engines agree.

    tests/interop/run test_journeys.py --rounds 40 --seed 7
"""

from __future__ import annotations

import pytest
from conftest import Maker
from support.delta_cases import MAPPED_PARTITION, NO_WIDENING
from support.iceberg_cases import PARQUET_ALONE, VECTORS
from support.journeys import MADE, Journey
from support.otf import Otf
from support.readers import Readers
from support.tables import Case

#: What readers cannot read, by format and way; each is a gap of theirs.
BLIND: dict[tuple[str, int], dict[str, str]] = {
    ("iceberg", 1): VECTORS,
    ("iceberg", 4): {**VECTORS, **{name: PARQUET_ALONE for name in ("pyiceberg", "duckdb")}},
    ("delta", 2): {**NO_WIDENING, **MAPPED_PARTITION},
}
#: The same for all ways.
ALWAYS_BLIND = {"chdb": "ClickHouse has no null structs"}
#: What a run of the usual length takes; more rounds take all.
USUAL, USUAL_ROUNDS = {("iceberg", 0), ("iceberg", 4), ("delta", 0), ("delta", 2)}, 3


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("table_format", "way"), [(f, way) for f, ways in MADE.items() for way in range(len(ways))])
def test_a_life_of_turns(table_format: str, way: int, make: Maker, readers: Readers, otf: Otf, rounds: int, seed: int) -> None:
    """`rounds` times three turns."""
    if rounds <= USUAL_ROUNDS and (table_format, way) not in USUAL:
        pytest.skip("in long runs alone")
    case = Case(f"journey_{way}_{seed}", (), files_after=0, blind={**ALWAYS_BLIND, **BLIND.get((table_format, way), {})})
    table = make(table_format, case)
    journey = Journey(MADE[table_format][way], table, readers, otf, 100 * seed + way)
    for _ in range(3 * rounds):
        journey.turn()
    rows = readers.agreed(table, case)
    assert journey.otf_rows() == rows.total(), "\n".join(journey.told)
    sound = otf.run("fsck", table.reference, "--output", "json")
    assert sound.status == 0, "\n".join([*journey.told, sound.told()])
