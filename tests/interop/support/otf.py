"""Runs the binary under test and checks the JSON document that every operation prints."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

OUTCOMES = {"landed", "nothing-to-do", "planned", "partial", "lost", "unknown"}
MEASURES = ("files", "bytes", "rows", "delete_files")
COUNTS = ("groups_done", "files_removed", "files_added", "bytes_removed", "bytes_added",
          "delete_files_removed", "bytes_copied", "bytes_encoded")


@dataclass(frozen=True)
class Run:
    """One finished process."""

    args: Sequence[str]
    status: int
    stdout: str
    stderr: str
    seconds: float

    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        try:
            document = json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"standard output is not one JSON document: {self.told()}") from None
        assert isinstance(document, dict), self.told()
        return document

    def error(self, status: int, kind: str) -> dict[str, Any]:
        """The error document, after checking that the failure is of the wanted kind."""
        assert self.status == status, f"exit status {self.status}, wanted {status}: {self.told()}"
        error = self.document().get("error")
        assert isinstance(error, dict), self.told()
        assert error.get("kind") == kind, f"kind {error.get('kind')!r}, wanted {kind!r}: {self.told()}"
        for key in ("message", "hint"):
            assert isinstance(error.get(key), str) and error[key].strip(), f"error.{key} is empty: {self.told()}"
        assert isinstance(error.get("context", {}), dict), self.told()
        for word in ("panicked", "unwrap()", "RUST_BACKTRACE"):
            assert word not in self.stdout + self.stderr, f"shows internals: {self.told()}"
        return error

    def told(self) -> str:
        """What the process said, for messages of failed tests."""
        return (f"otf {' '.join(self.args)} -> {self.status}\n"
                f"stdout: {self.stdout[-1500:]}\nstderr: {self.stderr[-1500:]}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_document(document: Mapping[str, Any], table_format: str) -> None:
    """The shape that docs/cli.md promises for `compact`."""
    assert document["command"] == "compact"
    assert document["format"] == table_format
    assert document["outcome"] in OUTCOMES
    for key in ("table", "operation_id"):
        assert isinstance(document[key], str) and document[key], key
    assert document["base_version"] is None or isinstance(document["base_version"], str)
    assert all(isinstance(v, str) for v in document["versions"])
    for key in ("elapsed_ms", "peak_memory_bytes"):
        assert _whole(document[key]), key
    assert all(_whole(document["before"][m]) for m in MEASURES), document["before"]
    plan = document["plan"]
    assert all({"files", "bytes", "why"} <= group.keys() for group in plan["groups"]), plan
    assert all({"why", "files"} <= left.keys() for left in plan["left"]), plan
    if document["outcome"] == "planned":
        assert "after" not in document
        return
    if document["outcome"] == "nothing-to-do":
        assert document["versions"] == []
        return
    report = document["report"]
    assert all(_whole(report[count]) for count in COUNTS), report
    assert isinstance(report["groups_failed"], list), report
    assert all(_whole(report["row_groups"][k]) for k in ("copied", "spliced", "encoded")), report
    if document["outcome"] == "landed":
        before, after = document["before"], document["after"]
        assert document["versions"], "landed without a version"
        assert all(_whole(after[m]) for m in MEASURES), after
        assert after["rows"] == before["rows"], "compaction changed the number of rows"
        assert after["files"] == before["files"] - report["files_removed"] + report["files_added"], document
        assert report["groups_failed"] == [], report


@dataclass(frozen=True)
class Otf:
    """The binary with its own empty home and an environment that holds nothing of ours by accident."""

    binary: Path
    home: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The environment of every run."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTF_", "AWS_", "RUST_"))}
        places = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home), "TMPDIR": str(self.home)}
        return {**kept, **places, "TZ": "UTC", "NO_COLOR": "1", **self.extra}

    def having(self, extra: Mapping[str, str]) -> "Otf":
        """The same binary with further environment variables."""
        return Otf(self.binary, self.home, {**self.extra, **extra})

    def start(self, *args: str, prefix: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Starts a run; the caller waits for it or kills it."""
        return subprocess.Popen([*prefix, str(self.binary), *args], env=self.environment(), cwd=self.home, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *args: str, prefix: Sequence[str] = (), timeout: float = 120) -> Run:
        """Runs to the end, whatever the end is."""
        began = time.monotonic()
        process = self.start(*args, prefix=prefix)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"no end within {timeout} s: otf {' '.join(args)}\n{out[-500:]}\n{err[-500:]}") from None
        return Run(args, process.returncode, out, err, time.monotonic() - began)

    def compact(self, table: str, *options: str, table_format: str, outcome: Optional[str] = None) -> dict[str, Any]:
        """A compaction that has to succeed; returns its checked document."""
        run = self.run("compact", table, *options, "--output", "json")
        assert run.status == 0, run.told()
        document = run.document()
        check_document(document, table_format)
        assert outcome in (None, document["outcome"]), f"outcome {document['outcome']}, wanted {outcome}: {run.told()}"
        return document


def finish(process: "subprocess.Popen[str]", timeout: float = 120) -> Run:
    """Waits for a run that `Otf.start` began."""
    began = time.monotonic()
    out, err = process.communicate(timeout=timeout)
    return Run(list(process.args)[1:], process.returncode, out, err, time.monotonic() - began)  # type: ignore[arg-type]
