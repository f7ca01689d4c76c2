"""Runs every step in turns, checks what it left, and prints medians and ratios.

One round runs each step once, so that a busy moment hits all alike. A step whose rows differ has no time: the run
ends with an error. CPU is user plus system time of everything the step started, and each step is a cold process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from data import Data, fingerprint, live_files, make

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Step:
    """One contestant."""

    name: str
    #: What it works on: `delta`, `iceberg` or `plain`.
    kind: str
    #: The command, given the fresh copy and an empty folder.
    command: Callable[[Path, Path], Sequence[str]]
    #: Whether the result is a table in place rather than files in the empty folder.
    in_place: bool = True


def otf(*options: str) -> Callable[[Path, Path], Sequence[str]]:
    """otf on a table in place, with two threads like all others."""
    return lambda table, _: [os.environ["OTF_BIN"], "compact", str(table), "--rewrite-all", "--yes", "--threads", "2",
                             "--target-file-size", "512MiB", "--output", "json", *options]


def peer(kind: str, python: Path = Path(sys.executable)) -> Callable[[Path, Path], Sequence[str]]:
    """A peer by peer.py."""
    return lambda source, target: [str(python), str(HERE / "peer.py"), kind, str(source), str(target)]


def steps(quick: bool) -> list[Step]:
    """All contestants; the first is the floor, the second the best known peer."""
    chosen = [
        Step("copy the bytes", "plain", peer("bytes"), in_place=False),
        Step("DuckDB COPY", "plain", peer("duckdb"), in_place=False),
        Step("delta-rs optimize.compact", "delta", peer("deltalake")),
        Step("otf delta, auto", "delta", otf()),
        Step("otf delta, copy", "delta", otf("--path", "copy")),
        Step("otf delta, encode", "delta", otf("--path", "encode", "--compression", "zstd:3")),
        Step("otf iceberg, auto", "iceberg", otf()),
        Step("otf iceberg, encode", "iceberg", otf("--path", "encode", "--compression", "zstd:3")),
    ]
    if not quick:
        python = Path(os.environ["OTF_INTEROP_HOME"]) / "venv" / "bin" / "python"
        chosen += [Step("Spark Delta OPTIMIZE", "delta", peer("spark-delta", python)),
                   Step("Spark Iceberg rewrite_data_files", "iceberg", peer("spark-iceberg", python))]
    return chosen


def run_step(step: Step, data: Data, wanted: tuple[int, int]) -> dict[str, float]:
    """One timed run of a step; checks its rows."""
    source = data.fresh(step.kind)
    target = data.work / "out"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    os.sync()
    log = data.work / "log"
    command = [sys.executable, str(HERE / "measure.py"), str(log), *step.command(source, target)]
    result = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    if result["status"] != 0:
        raise SystemExit(f"{step.name} failed:\n{log.read_text()[-2000:]}")
    files = live_files(step.kind, source) if step.in_place else live_files("plain", target)
    result["files"], result["mb"] = len(files), sum(os.path.getsize(f) for f in files) / 1e6
    if step.name != "copy the bytes":
        found = fingerprint(files)
        if found != wanted:
            raise SystemExit(f"{step.name} has other rows: {found}, wanted {wanted}")
    return result


def table(results: dict[str, list[dict[str, float]]], names: list[str]) -> str:
    """Medians, and CPU against the floor and against the best peer."""
    def median(name: str, key: str) -> float:
        return statistics.median(r[key] for r in results[name])
    floor = median(names[0], "cpu")
    peers = [n for n in names[1:] if not n.startswith("otf")]
    best = min((median(n, "cpu") for n in peers), default=floor)
    lines = [f"{'step':34} {'CPU s':>8} {'spread':>7} {'wall s':>8} {'RSS MiB':>8} {'files':>6} {'MB':>7} {'/bytes':>7} {'/best peer':>10}"]
    for name in names:
        cpus = [r["cpu"] for r in results[name]]
        lines.append(f"{name:34} {median(name, 'cpu'):8.2f} {max(cpus) - min(cpus):7.2f} {median(name, 'wall'):8.2f} "
                     f"{median(name, 'rss_mib'):8.0f} {median(name, 'files'):6.0f} {median(name, 'mb'):7.1f} "
                     f"{median(name, 'cpu') / floor:7.2f} {median(name, 'cpu') / best:10.2f}")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="without Spark")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor")
    parser.add_argument("--files", default="100,2000", help="how many files, one run each")
    parser.add_argument("--only", help="names of steps, or parts of them, separated by commas")
    parser.add_argument("--json", type=Path, help="where every single figure goes")
    return parser.parse_args()


def main() -> None:
    """Runs all shapes."""
    options = arguments()
    everything: dict[str, dict[str, list[dict[str, float]]]] = {}
    for files in (int(n) for n in options.files.split(",")):
        data = make(options.home, options.scale, files)
        wanted = fingerprint(data.inputs())
        size = sum(os.path.getsize(f) for f in data.inputs()) / 1e6
        print(f"\nlineitem SF{options.scale:g}: {wanted[0]:,} rows, {files} files, {size:.0f} MB, load before {os.getloadavg()[0]:.1f}", flush=True)
        contestants = steps(options.quick)
        if options.only:
            words = options.only.split(",")
            contestants = contestants[:1] + [s for s in contestants[1:] if any(w in s.name for w in words)]
        results: dict[str, list[dict[str, float]]] = {s.name: [] for s in contestants}
        for turn in range(options.rounds):
            for step in contestants:
                results[step.name].append(run_step(step, data, wanted))
                print(f"  round {turn + 1}: {step.name}: {results[step.name][-1]['cpu']:.2f} CPU s", file=sys.stderr, flush=True)
        print(table(results, [s.name for s in contestants]), flush=True)
        everything[str(files)] = results
        shutil.rmtree(data.work)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
