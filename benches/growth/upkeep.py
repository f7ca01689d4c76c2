#!/usr/bin/env python3
"""How plans, searches for orphans and expiries grow with a table.

    OTF_BIN=target/release/otf benches/growth/upkeep.py [--files 10000,100000] [--snapshots 1000,10000] [--rounds 3] [--only plan,orphans,expire]

Needs nothing but Python 3.9 and the binary. Tables are written by hand; only those of `orphans` have data files, which are empty and ten days old.
Prints a line a case: medians of CPU time, wall-clock time and peak memory, and the slope of CPU time per file or snapshot from the smaller table to
the larger (above 1 is worse than linear). Beside `orphans` stands what `find -printf` takes for the same tree.
Targets on two cores: a plan of 1,000,000 files in 6 CPU s (goal 2.5) and 400 MiB (goal 48), orphans over as many at half the speed of `find` (goal
four fifths), 10,000 snapshots expired in 20 s (goal 4) with a slope of 1.05 at most.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Callable

from tables import Cost, Manifest, aside, columns_bounds, delta_commit, delta_head, manifest, metadata, otf, run, snapshot, uri

COLUMNS = [(f"c{at}", "long") for at in range(1, 9)]
#: Entries of a manifest where manifests are as engines make them.
ENTRIES = 10_000
#: Entries of a manifest of the tables of `orphans` and `expire`: many small commits.
FEW = 100
#: Manifests that a snapshot of `expire` lists.
LISTED = 200
#: Files of a folder.
FOLDER = 1000
MIB = 1 << 20
ALL = ("--older-than", "0s", "--retain-last", "1", "--unsafe-retention")


class Report:
    """Prints costs, and how they have grown since the table before."""

    def __init__(self) -> None:
        self.before: dict[str, tuple[int, float]] = {}
        print(f"{'case':44} {'count':>9} {'CPU ms':>9} {'wall ms':>9} {'peak MiB':>9}  slope")

    def tell(self, case: str, count: int, costs: list[Cost], work: int = 0) -> Cost:
        """A line; `work` is what the cost is held against where that is not the count."""
        work = work or count
        cost = Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "peak")), costs[0].output)
        few, was = self.before.get(case, (0, 0.0))
        slope = f"{cost.cpu / was / (work / few):.2f}" if few else ""
        self.before[case] = (work, cost.cpu)
        print(f"{case:44} {count:9} {cost.cpu:9.0f} {cost.wall:9.0f} {cost.peak:9.0f}  {slope}", flush=True)
        return cost


def iceberg(table: Path, names: list[str], each: int, size: int) -> None:
    """A table of one snapshot."""
    (table / "metadata").mkdir(parents=True)
    manifests = []
    for start in range(0, len(names), each):
        chosen = [uri(table / name) for name in names[start:start + each]]
        bounds = [(columns_bounds(8, at * 1000), columns_bounds(8, at * 1000 + 999)) for at in range(start, start + len(chosen))]
        manifests.append(manifest(table / "metadata" / f"m{start}.avro", 1, chosen, 1000, size, bounds))
    metadata(table, [snapshot(table, 1, 1_700_000_000_000, manifests)], COLUMNS, {})


def delta(table: Path, names: list[str], size: int) -> None:
    """A table of one commit."""
    (table / "_delta_log").mkdir(parents=True)
    counts = {name: 0 for name, _ in COLUMNS}

    def add(at: int, name: str) -> dict:
        low, high = ({name: at * 1000 + more for name in counts} for more in (0, 999))
        stats = json.dumps({"numRecords": 1000, "minValues": low, "maxValues": high, "nullCount": counts})
        return {"add": {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True, "stats": stats}}

    delta_commit(table, 0, delta_head(COLUMNS))
    delta_commit(table, 1, (add(at, name) for at, name in enumerate(names)))


def checkpointed(table: Path, names: list[str], size: int) -> None:
    """A table of which nothing but a checkpoint is left."""
    delta(table, names, size)
    run([otf(), "manifests", str(table), "--yes", "--output", "json"], table)
    for log in (table / "_delta_log").glob("*.json"):
        log.unlink()


def plans(report: Report, folder: Path, count: int, rounds: int) -> None:
    """Plans of a compaction, where every file has the target's size and where every one is too small."""
    kinds: dict[str, Callable[[Path, list[str]], None]] = {
        "iceberg": lambda table, names: iceberg(table, names, ENTRIES, MIB),
        "delta, one commit": lambda table, names: delta(table, names, MIB),
        "delta, checkpoint": lambda table, names: checkpointed(table, names, MIB),
    }
    for kind, make in kinds.items():
        table = folder / f"plan-{kind.replace(', ', '-').replace(' ', '-')}-{count}"
        aside(lambda: make(table, [f"data/part-{at:07}-0d6a4d3b7a11.parquet" for at in range(count)]))
        for what, target in (("right", "1MiB"), ("too small", "512MiB")):
            words = [otf(), "compact", str(table), "--dry-run", "--target-file-size", target, "--output", "json"]
            plan = json.loads(report.tell(f"plan, {kind}, files {what}", count, [run(words, folder) for _ in range(rounds)]).output)
            assert plan["before"]["files"] == count and bool(plan["plan"]["groups"]) == (what == "too small"), plan["before"]
        shutil.rmtree(table)


def tree(table: Path, count: int, strays: int) -> None:
    """A table with its files, and others."""
    names = [f"data/day={at // FOLDER:05}/{at % FOLDER:05}-0-4f1c9a77-52c1-4d6e-9f5f-0d9f3f{at:06x}-00001.parquet" for at in range(count + strays)]
    iceberg(table, names[:count], FEW, 0)
    old = time.time() - 10 * 86400
    for at, name in enumerate(names):
        if at % FOLDER == 0:
            (table / name).parent.mkdir(parents=True)
        os.close(os.open(table / name, os.O_CREAT))
        os.utime(table / name, (old, old))


def orphans(report: Report, folder: Path, count: int, rounds: int) -> None:
    """A search for files that nothing refers to, one in a hundred; and what `find` takes to list all of them."""
    table = folder / f"orphans-{count}"
    strays = count // 100
    aside(lambda: tree(table, count, strays))
    words = [otf(), "orphans", str(table), "--dry-run", "--output", "json"]
    ours = report.tell("orphans", count, [run(words, folder) for _ in range(rounds)])
    plan = json.loads(ours.output)["plan"]
    assert plan["found"] == strays and not plan["skipped"], (plan["found"], plan["skipped"])
    find = ["find", str(table), "-type", "f", "-fprintf", "/dev/null", "%p %s %T@\\n"]
    theirs = report.tell("find -printf", count, [run(find, folder) for _ in range(rounds)])
    print(f"{'':4}orphans at {theirs.wall / ours.wall:.0%} of the speed of find")
    shutil.rmtree(table)


def history(table: Path, count: int) -> None:
    """A table of many snapshots, each of which adds a manifest of a hundred files and lists the last two hundred."""
    (table / "metadata").mkdir(parents=True)
    manifests: list[Manifest] = []
    snapshots: list[dict] = []
    for number in range(1, count + 1):
        locations = [uri(table / f"data/part-{number:06}-{at:03}.parquet") for at in range(FEW)]
        manifests.append(manifest(table / "metadata" / f"m{number}.avro", number, locations, 1000, MIB))
        snapshots.append(snapshot(table, number, 1_600_000_000_000 + number, manifests[-LISTED:]))
    metadata(table, snapshots, COLUMNS, {})


def link(master: Path, table: Path) -> None:
    """A copy that may be changed: runs delete files, and never alter one."""
    shutil.copytree(master, table, copy_function=os.link)


def expire(report: Report, folder: Path, count: int, rounds: int) -> None:
    """All but the last of many snapshots go."""
    table, master = folder / f"expire-{count}", folder / f"expire-{count}-master"
    aside(lambda: history(table, count))
    # What goes, about: the manifests that the last snapshot does not list.
    work = count - LISTED
    words = [otf(), "expire", str(table), *ALL, "--output", "json"]
    planned = report.tell("expire, plan", count, [run([*words, "--dry-run"], folder) for _ in range(rounds)], work)
    deleted = {"data": work * FEW, "manifests": work, "manifest_lists": count - 1}
    assert deleted.items() <= json.loads(planned.output)["plan"]["delete"].items(), planned.output[:2000]
    table.rename(master)
    costs = []
    for _ in range(rounds):
        aside(lambda: link(master, table))
        costs.append(run([*words, "--yes"], folder))
        shutil.rmtree(table)
    done = json.loads(report.tell("expire, run", count, costs, work).output)
    assert done["outcome"] == "landed" and len(done["report"]["expired"]) == count - 1, done["outcome"]
    shutil.rmtree(master)


def main() -> None:
    """Tells what is asked for, from small tables to large ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="10000,100000")
    parser.add_argument("--snapshots", default="1000,10000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="plan,orphans,expire")
    given = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        for name, measure, counts in (("plan", plans, given.files), ("orphans", orphans, given.files), ("expire", expire, given.snapshots)):
            for count in counts.split(",") if name in given.only.split(",") else []:
                measure(report, folder, int(count), given.rounds)


if __name__ == "__main__":
    main()
