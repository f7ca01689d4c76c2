"""Rows that otf marks as deleted where they lie are gone for every reader, beside rows that others had deleted before.

No verb does that alone, so the test binary does: it marks every row whose position in its file leaves a given rest.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from conftest import Maker
from support import delta_cases, iceberg_cases
from support.marker import Marker
from support.otf import Otf
from support.readers import Readers
from support.rows import multiset, require_equal
from support.tables import Case, Table, strays

ICEBERG = ("v2_identity_odd_values", "v2_position_deletes", "v2_position_deletes_partitioned", "v2_evolved_spec", "v3_deletion_vectors",
           "v3_partitioned_lineage", "v3_upgraded")
DELTA = ("deletion_vectors", "deletion_vectors_partitioned", "row_tracking")
ALL = ([pytest.param("iceberg", case, id=f"iceberg-{case.name}") for case in iceberg_cases.CASES if case.name in ICEBERG]
       + [pytest.param("delta", case, id=f"delta-{case.name}") for case in delta_cases.CASES if case.name in DELTA])


def with_positions(table: Table, case: Case, readers: Readers) -> pa.Table:
    """Spark's rows with the position each has in its file, and its identity where the table keeps one."""
    position = "_metadata.row_index" if table.format == "delta" else "_pos"
    identity = "".join(f", {expression} AS `identity{i}`" for i, expression in enumerate(case.row_ids))
    return readers.spark.sql(f"SELECT *, {position} AS `position`{identity} FROM {table.spark}").toArrow()


@pytest.mark.parametrize(("table_format", "case"), ALL)
def test_rows_marked_by_otf_are_gone_for_every_reader(table_format: str, case: Case, otf: Otf, make: Maker, readers: Readers,
                                                      marker: Marker) -> None:
    """Marked once, and once more over the marks; then Spark deletes on top, and a compaction takes all of it away."""
    case = replace(case, name=f"marked_{case.name}")
    table = make(table_format, case)
    rows = with_positions(table, case, readers)
    for every, rest in ((5, 3), (3, 1)):
        marker.run(table, every, rest)
        place = rows.column("position").to_numpy()
        rows = rows.filter(pa.array(place % every != rest))
        wanted = rows.drop_columns(["position"])
        identities = [name for name in wanted.column_names if name.startswith("identity")]
        require_equal(multiset(wanted.drop_columns(identities)), readers.agreed(table, case), f"marked, {every} and {rest}")
        if identities:
            # Which version a row was last changed in does not move because others of its file went.
            require_equal(multiset(wanted), readers.row_ids(table, case), "identities of the rows that stay")
        assert strays(table) == set()
    assert rows.num_rows > 0
    readers.spark.sql(f"DELETE FROM {table.spark} WHERE id % 4 = 1")
    left = readers.agreed(table, case)
    require_equal(multiset(_without(rows)), left, "after Spark's own delete")
    otf.compact(table.reference, "--rewrite-all", "--remove-dangling-deletes", "--yes", table_format=table_format, outcome="landed")
    require_equal(left, readers.agreed(table, case), "after the compaction")


def _without(rows: pa.Table) -> pa.Table:
    """The rows that `DELETE … WHERE id % 4 = 1` leaves, without positions and identities."""
    kept = rows.filter(pa.array(rows.column("id").to_numpy() % 4 != 1))
    return kept.drop_columns([name for name in kept.column_names if name == "position" or name.startswith("identity")])
