"""otf is killed at random moments: the table stays readable and whole, and the next run clears up."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from support.otf import Otf
from support.plain import require_rows
from support.tables import strays
from test_races import plain_table, read

KILLS = 20


@pytest.mark.parametrize("table_format", ["delta", "iceberg", "iceberg-path"])
def test_killed_runs_leave_a_whole_table(table_format: str, tmp_path: Path, otf: Otf) -> None:
    """`SIGKILL` at seeded moments of the run; then a run that is left alone, after which no stray file remains."""
    table, ids, options = plain_table(table_format, tmp_path, files=10, rows=20_000)
    command = ("compact", table.reference, "--rewrite-all", "--path", "encode", "--yes", "--output", "json", *options)
    # The second run has the files that all further ones will have.
    assert otf.run(*command).status == 0
    usual = otf.run(*command)
    assert usual.status == 0, usual.told()

    chance = random.Random(4711)
    killed = 0
    for turn in range(KILLS):
        process = otf.start(*command)
        time.sleep(chance.uniform(0, usual.seconds))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        require_rows(read(table), ids, f"after kill {turn}")
    assert killed >= KILLS // 2, f"only {killed} of {KILLS} runs were still under way when killed"

    otf.compact(table.reference, "--rewrite-all", "--yes", *options, table_format=table.format, outcome="landed")
    require_rows(read(table), ids, "after the run that was left alone")
    assert strays(table) == set(), "files of dead runs remain"


@pytest.mark.parametrize("signalled", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_says_try_again(signalled: signal.Signals, tmp_path: Path, otf: Otf) -> None:
    """It ends soon with status 75 (or was already done), and the table is whole."""
    table, ids, _ = plain_table("delta", tmp_path, files=10, rows=50_000)
    process = otf.start("compact", table.reference, "--rewrite-all", "--yes", "--output", "json")
    time.sleep(0.15)
    process.send_signal(signalled)
    process.communicate(timeout=20)
    assert process.returncode in (0, 75)
    require_rows(read(table), ids, f"after {signalled.name}")
    otf.compact(table.reference, "--rewrite-all", "--yes", table_format="delta", outcome="landed")
    assert strays(table) == set()
