"""Marks rows as deleted through the core: the integration tests' binary does what no verb does alone."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .tables import Table

TEST = "marks::rows_are_marked_in_the_table_that_the_environment_names"


def binary_of_tests() -> Path:
    """The binary of `tests/it`: `OTF_TEST_BIN`, or what cargo builds."""
    if named := os.environ.get("OTF_TEST_BIN"):
        return Path(named)
    manifest = Path(__file__).resolve().parents[3] / "Cargo.toml"
    built = subprocess.run(["cargo", "test", "--locked", "--no-run", "--test", "it", "--message-format=json", "--manifest-path", manifest],
                           check=True, capture_output=True, text=True)
    messages = (json.loads(line) for line in built.stdout.splitlines() if line.startswith("{"))
    found = [m["executable"] for m in messages if m.get("target", {}).get("name") == "it" and m.get("executable")]
    return Path(found[-1])


@dataclass(frozen=True)
class Marker:
    """The binary."""

    binary: Path

    def run(self, table: Table, every: int, rest: int) -> None:
        """Marks the rows whose position leaves `rest` when divided by `every`."""
        asked = {"OTF_MARK_TABLE": str(table.root), "OTF_MARK_FORMAT": table.format, "OTF_MARK_EVERY": str(every), "OTF_MARK_REST": str(rest)}
        done = subprocess.run([str(self.binary), TEST, "--exact"], env={**os.environ, **asked}, capture_output=True, text=True)
        assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout[-3000:]
