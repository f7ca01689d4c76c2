"""Broken tables and broken places: an error of the right kind, and not a byte changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest
from support.otf import Otf, check_document
from support.plain import PARTITIONS, iceberg_catalog, require_rows, write_delta, write_iceberg
from support.readers import read_deltalake, read_pyiceberg
from support.tables import Table, files_below, newest_metadata

NOBODY = 65534


@pytest.fixture
def delta(tmp_path: Path) -> Path:
    """A Delta table of six files."""
    root = tmp_path / "delta"
    write_delta(str(root), files=6, rows=100, partitioned=False)
    return root


@pytest.fixture
def iceberg(tmp_path: Path) -> Path:
    """An Iceberg table of six files."""
    write_iceberg(iceberg_catalog(tmp_path, f"file://{tmp_path}/warehouse"), "t", files=6, rows=100, partitioned=False)
    return tmp_path / "warehouse" / "db" / "t"


def data_file(root: Path) -> Path:
    """One data file."""
    return sorted(root.rglob("*.parquet"))[2]


def cut(path: Path, kept: float = 0.5) -> None:
    """Cuts a file short."""
    os.truncate(path, int(path.stat().st_size * kept))


def garble_footer(path: Path) -> None:
    """Overwrites the footer, length and magic left as they are: the size is the same."""
    data = bytearray(path.read_bytes())
    data[-60:-8] = b"\xff" * 52
    path.write_bytes(data)


def require_failure(otf: Otf, root: Path, status: int, kind: str, names: str) -> None:
    """The run fails as told, names the place, and the table is as before."""
    before = files_below(root)
    error = otf.run("compact", str(root), "--rewrite-all", "--yes", "--output", "json").error(status, kind)
    assert names in str(error), f"{names!r} is not named: {error}"
    assert files_below(root) == before, "bytes of the table changed"


DAMAGE: list[tuple[str, Callable[[Path], None]]] = [
    ("a data file that is cut short", lambda root: cut(data_file(root))),
    ("a data file with a garbled footer", lambda root: garble_footer(data_file(root))),
    ("an empty data file", lambda root: cut(data_file(root), 0)),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[name for name, _ in DAMAGE])
@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_damaged_data_is_corrupt(table_format: str, name: str, damage: Callable[[Path], None], otf: Otf,
                                 request: pytest.FixtureRequest) -> None:
    """The file is named."""
    root: Path = request.getfixturevalue(table_format)
    damage(root)
    require_failure(otf, root, 3, "corrupt", data_file(root).name)


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_missing_data_file_is_named(table_format: str, otf: Otf, request: pytest.FixtureRequest) -> None:
    """Nothing is rewritten around the hole."""
    root: Path = request.getfixturevalue(table_format)
    gone = data_file(root)
    gone.unlink()
    before = files_below(root)
    run = otf.run("compact", str(root), "--rewrite-all", "--yes", "--output", "json")
    error = run.document()["error"]
    assert (run.status, error["kind"]) in {(3, "not-found"), (3, "corrupt")}, run.told()
    assert gone.name in str(error)
    assert files_below(root) == before


def test_a_damaged_file_fails_its_group_alone(tmp_path: Path, otf: Otf) -> None:
    """The other partitions are compacted: partly done, and the report names the file."""
    root = tmp_path / "t"
    write_delta(str(root), files=6, rows=100)
    broken = data_file(root)
    cut(broken)
    run = otf.run("compact", str(root), "--rewrite-all", "--yes", "--output", "json")
    document = run.document()
    check_document(document, "delta")
    assert (run.status, document["outcome"]) == (5, "partial")
    assert (document["before"]["files"], document["after"]["files"]) == (6 * PARTITIONS, 6 + PARTITIONS - 1)
    assert document["report"]["groups_done"] == PARTITIONS - 1
    [failed] = document["report"]["groups_failed"]
    assert broken.name in failed["error"]
    assert broken.exists()


def test_a_log_entry_that_is_cut_short(delta: Path, otf: Otf) -> None:
    """Reading never guesses: half an entry is corrupt, and its version is named."""
    cut(delta / "_delta_log" / f"{5:020}.json", 0.7)
    require_failure(otf, delta, 3, "corrupt", "5")


def test_a_hole_in_the_log(delta: Path, otf: Otf) -> None:
    """A missing version is corrupt."""
    (delta / "_delta_log" / f"{3:020}.json").unlink()
    require_failure(otf, delta, 3, "corrupt", "3")


def test_metadata_that_is_no_json(iceberg: Path, otf: Otf) -> None:
    """The metadata file is named."""
    current = newest_metadata(iceberg)
    cut(current)
    require_failure(otf, iceberg, 3, "corrupt", current.name)


@pytest.mark.parametrize("part", ["snap-", "-m0"])
def test_manifests_that_are_cut_short(part: str, iceberg: Path, otf: Otf) -> None:
    """Manifest lists and manifests alike."""
    metadata = json.loads(newest_metadata(iceberg).read_text())
    current = next(s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"])
    chosen = (Path(current["manifest-list"].removeprefix("file://")) if part == "snap-"
              else next(p for p in sorted((iceberg / "metadata").glob("*.avro")) if part in p.name))
    cut(chosen)
    require_failure(otf, iceberg, 3, "corrupt", chosen.name)


@pytest.mark.parametrize(("member", "feature"), [("writerFeatures", "timeTravelMachine"), ("readerFeatures", "timeTravelMachine")])
def test_unknown_features_are_named(member: str, feature: str, delta: Path, otf: Otf) -> None:
    """A feature nobody knows is refused before anything is written."""
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [], "writerFeatures": [feature], member: [feature]}
    (delta / "_delta_log" / f"{6:020}.json").write_text(json.dumps({"protocol": protocol}) + "\n")
    require_failure(otf, delta, 3, "unsupported", feature)


def test_an_iceberg_version_of_the_future(iceberg: Path, otf: Otf) -> None:
    """Format version 9 is unsupported, whatever the rest of the file says."""
    current = newest_metadata(iceberg)
    current.write_text(current.read_text().replace('"format-version":2', '"format-version":9'))
    require_failure(otf, iceberg, 3, "unsupported", "9")


def test_what_is_no_table(tmp_path: Path, otf: Otf) -> None:
    """An empty folder, a folder of other files and a place that is not there."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no table")
    for name in ("empty", "other", "absent"):
        otf.run("compact", str(tmp_path / name), "--yes", "--output", "json").error(3, "not-found")


def test_usage_errors_are_documents_too(delta: Path, otf: Otf) -> None:
    """Status 2; the flag or the conflict is named."""
    for extra, word in ((["--no-such-flag"], "no-such-flag"), (["--target-file-size", "lots"], "lots"),
                        (["--min-file-size", "2GiB", "--target-file-size", "1GiB"], "min-file-size"),
                        (["--option", "no-such-key=1"], "no-such-key")):
        error = otf.run("compact", str(delta), *extra, "--yes", "--output", "json").error(2, "usage")
        assert word in str(error), error


def test_without_yes_nothing_is_written(delta: Path, otf: Otf) -> None:
    """The plan is shown instead."""
    before = files_below(delta)
    otf.compact(str(delta), "--rewrite-all", table_format="delta", outcome="planned")
    assert files_below(delta) == before


def as_nobody(otf: Otf, folder: Path) -> tuple[Otf, list[str]]:
    """otf for a user who owns nothing; root would be stopped by no permission."""
    if os.geteuid() != 0:
        return otf, []
    binary = folder / "otf"
    shutil.copy(otf.binary, binary)
    binary.chmod(0o755)
    home = folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    return Otf(binary, home), ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_folder_that_cannot_be_written(table_format: str, tmp_path: Path, otf: Otf, request: pytest.FixtureRequest) -> None:
    """Storage denies access: refused, and nothing half-written is left."""
    root: Path = request.getfixturevalue(table_format)
    (tmp_path / "tool").mkdir()
    tool, prefix = as_nobody(otf, tmp_path / "tool")
    folders = [p for p in (root, *root.rglob("*")) if p.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    before = files_below(root)
    run = tool.run("compact", str(root), "--rewrite-all", "--yes", "--output", "json", prefix=prefix)
    for folder in folders:
        folder.chmod(0o755)
    run.error(4, "refused")
    assert files_below(root) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no right to mount: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_full_disk(table_format: str, small_disk: Path, tmp_path: Path, otf: Otf) -> None:
    """Try again with more room: status 75; what was written goes away again, and the table is whole."""
    if table_format == "delta":
        root = small_disk / "t"
        ids = write_delta(str(root), files=6, rows=2000, partitioned=False)
        table = Table("delta", root, "", str(root))
    else:
        ids = write_iceberg(iceberg_catalog(tmp_path, f"file://{small_disk}"), "t", files=6, rows=1500)
        root = small_disk / "db" / "t"
        table = Table("iceberg", root, "", str(root))
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(b"\0" * max(0, free - 65_536))
    before = files_below(root)
    error = otf.run("compact", str(root), "--rewrite-all", "--yes", "--output", "json").error(75, "unavailable")
    assert "space" in str(error), error
    assert files_below(root) == before
    require_rows(read_deltalake(table) if table_format == "delta" else read_pyiceberg(table), ids, "on the full disk")
    (small_disk / "filler").unlink()
