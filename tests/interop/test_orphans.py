"""Files that nothing refers to: Spark's own procedures find nothing more after otf's, and otf deletes nothing that Spark counts as live."""

from __future__ import annotations

import os
import time
import urllib.error
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import Maker
from support import delta_cases, iceberg_cases
from support.otf import Otf
from support.plain import iceberg_catalog, otf_config, require_rows, write_iceberg
from support.readers import Readers
from support.rows import multiset, require_equal
from support.s3 import BUCKET, Server
from support.tables import Case, Table, files_below

NAMES = {"v2_position_deletes_partitioned", "v2_identity_odd_values", "v3_deletion_vectors", "v2_bucket_truncate"}
CASES = [pytest.param("iceberg", case, id=f"iceberg-{case.name}") for case in iceberg_cases.CASES if case.name in NAMES]
OLD = 10 * 86400


def _named(case: Case, name: str) -> Case:
    """The same case as a table of its own."""
    return Case(f"{name}_{case.name}", case.statements, case.files_after, case.blind, catalog=case.catalog)


def _plant(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rubbish")
    return path


def _age(root: Path) -> None:
    """Everything below `root` was written ten days ago."""
    for path in root.rglob("*"):
        os.utime(path, (time.time() - OLD, time.time() - OLD))


def _spark_finds(readers: Readers, table: Table) -> set[str]:
    """What Spark's remove_orphan_files would delete."""
    catalog, name = table.spark.split(".", 1)
    before = (datetime.now(timezone.utc) - timedelta(days=2)).strftime("%Y-%m-%d %H:%M:%S")
    found = readers.spark.sql(f"CALL {catalog}.system.remove_orphan_files(table => '{name}', dry_run => true, older_than => TIMESTAMP '{before}')")
    return {row[0].split(":", 1)[-1].replace("///", "/") for row in found.collect()}


@pytest.mark.parametrize(("table_format", "case"), CASES)
def test_spark_finds_nothing_more(table_format: str, case: Case, otf: Otf, make: Maker, readers: Readers) -> None:
    """Strays in every folder: both agree on them before, and there are none after."""
    table = make(table_format, _named(case, "orphans"))
    readers.spark.sql(f"DELETE FROM {table.spark} WHERE id % 3 = 0")
    rows = readers.agreed(table, case)
    _age(table.root)
    live = files_below(table.root)
    strays = {_plant(table.root / below) for below in ("data/stray.parquet", "data/p=a b/stray 50%.parquet", "metadata/stray-m0.avro", "stray")}
    hidden = {_plant(table.root / below) for below in ("data/_temporary/0/f.parquet", "data/.staging/f.parquet", "_otherwise/f")}
    _age(table.root)
    assert _spark_finds(readers, table) == {str(path) for path in strays}

    planned = otf.run("orphans", table.reference, "--dry-run", "--output", "json").document()
    assert {name.removeprefix("file://") for name in planned["plan"]["files"]} == {str(path) for path in strays}
    done = otf.run("orphans", table.reference, "--yes", "--output", "json").document()
    assert (done["outcome"], done["report"]["deleted"], done["report"]["bytes_freed"]) == ("landed", 4, 28), done
    assert not any(path.exists() for path in strays) and all(path.exists() for path in hidden)
    assert {name: data for name, data in files_below(table.root).items() if name in live} == live
    assert _spark_finds(readers, table) == set()
    require_equal(rows, readers.agreed(table, case), "after the orphans were deleted")
    snapshots = readers.spark.sql(f"SELECT snapshot_id FROM {table.spark}.snapshots").collect()
    for (snapshot,) in snapshots:
        assert multiset(readers.read_spark(table, str(snapshot))) is not None
    again = otf.run("orphans", table.reference, "--yes", "--output", "json").document()
    assert again["outcome"] == "nothing-to-do"


def test_nothing_that_spark_counts_as_live_is_deleted_after_expiry(otf: Otf, make: Maker, readers: Readers) -> None:
    """Snapshots are expired by Spark's metadata alone; what they leave behind are orphans for both."""
    case = _named(next(case for case in iceberg_cases.CASES if case.name == "v2_position_deletes"), "orphans_expired")
    table = make("iceberg", case)
    readers.spark.sql(f"INSERT OVERWRITE {table.spark} SELECT * FROM {table.spark} WHERE id % 2 = 0")
    rows = readers.agreed(table, case)
    catalog, name = table.spark.split(".", 1)
    readers.spark.sql(f"ALTER TABLE {table.spark} SET TBLPROPERTIES ('gc.enabled' = 'false')")
    refused = otf.run("orphans", table.reference, "--yes", "--output", "json")
    assert "gc.enabled" in refused.error(4, "refused")["message"]
    readers.spark.sql(f"ALTER TABLE {table.spark} UNSET TBLPROPERTIES ('gc.enabled')")
    _age(table.root)
    spark_finds = _spark_finds(readers, table)
    done = otf.run("orphans", table.reference, "--yes", "--output", "json").document()
    assert done["report"]["deleted"] == len(spark_finds), (done, spark_finds)
    require_equal(rows, readers.agreed(table, case), "after the orphans were deleted")


def test_a_delta_table_keeps_what_vacuum_keeps(otf: Otf, make: Maker, readers: Readers) -> None:
    """Strays go, every version that is kept can still be read, and VACUUM finds nothing more."""
    case = _named(next(case for case in delta_cases.CASES if case.name in ("deletion_vectors",)), "orphans")
    table = make("delta", case)
    rows = readers.agreed(table, case)
    strays = {_plant(table.root / below) for below in ("stray.parquet", "deletion_vector_stray.bin", "x/stray.parquet")}
    _age(table.root)
    run = otf.run("orphans", table.reference, "--older-than", "8d", "--yes", "--output", "json")
    done = run.document()
    assert done.get("outcome") == "landed", run.told()
    assert done["report"]["deleted"] == 3 and not any(path.exists() for path in strays), done
    require_equal(rows, readers.agreed(table, case), "after the orphans were deleted")
    left = [row[0] for row in readers.spark.sql(f"VACUUM {table.spark} RETAIN 192 HOURS DRY RUN").collect()]
    assert [name for name in left if name.endswith((".parquet", ".bin"))] == []


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> "Server":
    """An S3 server of its own."""
    started = Server(home / "bin" / "versitygw", tmp_path_factory.mktemp("s3-orphans"))
    yield started
    started.stop()


def test_on_object_storage(server: Server, otf: Otf, tmp_path: Path) -> None:
    """Batches of deletes, a quarantine in the same bucket, and back."""
    warehouse = f"s3://{BUCKET}/orphans"
    catalog = iceberg_catalog(tmp_path, warehouse, server.pyiceberg())
    ids = write_iceberg(catalog, "t", files=4, rows=50)
    key = "orphans/db/t"
    live = set(server.keys(key))
    io = catalog.load_table("db.t").io
    strays = [f"data/stray {n} 50%.parquet" for n in range(1200)]
    for stray in strays:
        with io.new_output(f"s3://{BUCKET}/{key}/{stray}").create(overwrite=True) as out:
            out.write(b"rubbish")
    cloud = otf.having(server.environment())
    reference, options = "sql.db.t", otf_config(tmp_path, warehouse)
    young = cloud.run("orphans", reference, *options, "--yes", "--output", "json").document()
    assert (young["outcome"], young["report"]["skipped"]) == ("nothing-to-do", [{"why": "young", "count": 1200}]), young
    now = ["--older-than", "0s", "--unsafe-retention", "--output", "json"]
    aside = ["--quarantine", f"s3://{BUCKET}/aside"]
    time.sleep(1.1)
    moved = cloud.run("orphans", reference, *options, *aside, *now, "--yes").document()
    assert (moved["outcome"], moved["report"]["deleted"]) == ("landed", 1200), moved
    assert set(server.keys(key)) == live
    back = cloud.run("orphans", reference, *options, *aside, "--restore", "--yes", "--output", "json").document()
    assert (back["outcome"], back["report"]["restored"]) == ("landed", 1200), back
    time.sleep(1.1)
    done = cloud.run("orphans", f"s3a://{BUCKET}/{key}/", *now, "--yes").document()
    assert (done["outcome"], done["report"]["deleted"]) == ("landed", 1200), done
    assert set(server.keys(key)) == live
    require_rows(catalog.load_table("db.t").scan().to_arrow(), ids, "through the catalog")


def _versions(server: Server, prefix: str) -> list[tuple[str, str, bool, bool]]:
    """Key, version, whether it is the newest, and whether it marks a deletion: everything below a prefix."""
    root = ElementTree.fromstring(server.request("GET", f"/{BUCKET}", {"versions": "", "prefix": prefix, "max-keys": "1000"}))
    space = root.tag.partition("}")[0] + "}"
    assert root.findtext(f"{space}IsTruncated") == "false"
    told = [entry for entry in root if entry.tag in (f"{space}Version", f"{space}DeleteMarker")]
    return sorted((entry.findtext(f"{space}Key"), entry.findtext(f"{space}VersionId"), entry.findtext(f"{space}IsLatest") == "true",
                   entry.tag == f"{space}DeleteMarker") for entry in told)


def test_a_bucket_that_keeps_versions(home: Path, otf: Otf, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is deleted is gone for readers and stays as a noncurrent version, which counts as not freed; a list of versions names no more files."""
    server = Server(home / "bin" / "versitygw", tmp_path_factory.mktemp("s3-versions"), versions=True)
    try:
        warehouse = f"s3://{BUCKET}/versions"
        catalog = iceberg_catalog(tmp_path, warehouse, server.pyiceberg())
        ids = write_iceberg(catalog, "t", files=4, rows=50)
        key, io = "versions/db/t", catalog.load_table("db.t").io
        for name in ("stray", "again", "gone"):
            with io.new_output(f"s3://{BUCKET}/{key}/data/{name}.parquet").create(overwrite=True) as out:
                out.write(b"rubbish")
        with io.new_output(f"s3://{BUCKET}/{key}/data/again.parquet").create(overwrite=True) as out:
            out.write(b"more rubbish")
        io.delete(f"s3://{BUCKET}/{key}/data/gone.parquet")
        before = _versions(server, key)
        assert len([version for version in before if version[0].endswith("again.parquet")]) == 2
        listed = tmp_path / "inventory.csv"
        when = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = [f'"{BUCKET}","{name}","{version}","{str(newest).lower()}","{str(mark).lower()}","7","{when}"' for name, version, newest, mark in before]
        listed.write_text("\n".join(lines) + "\n")
        cloud = otf.having(server.environment())
        now = ["--older-than", "0s", "--unsafe-retention", "--output", "json"]
        time.sleep(1.1)
        told = cloud.run("orphans", f"s3://{BUCKET}/{key}", *now, "--inventory", str(listed)).document()
        assert {name.rsplit("/")[-1] for name in told["plan"]["files"]} == {"stray.parquet", "again.parquet"}, told
        done = cloud.run("orphans", f"s3://{BUCKET}/{key}", *now, "--yes").document()
        report = done["report"]
        # pyarrow has left a mark of the folder `data/`, which is no file of that name.
        assert report["skipped"] == [{"why": "meanwhile", "count": 1}], report
        assert (done["outcome"], report["deleted"], report["bytes_freed"], report.get("bytes_noncurrent")) == ("landed", 2, 0, 19), done
        after = _versions(server, key)
        kept = {(name, version) for name, version, _, _ in after}
        assert {(name, version) for name, version, _, _ in before} <= kept, "a version was lost"
        newest = {name: mark for name, _, is_newest, mark in after if is_newest}
        for name in ("stray", "again"):
            assert newest[f"{key}/data/{name}.parquet"], f"{name} can still be read"
            with pytest.raises(urllib.error.HTTPError, match="404"):
                server.request("GET", f"/{BUCKET}/{key}/data/{name}.parquet", {})
        old = next(version for name, version, is_newest, mark in after if name.endswith("stray.parquet") and not mark)
        assert server.request("GET", f"/{BUCKET}/{key}/data/stray.parquet", {"versionId": old}) == b"rubbish"
        require_rows(catalog.load_table("db.t").scan().to_arrow(), ids, "after the orphans were deleted")
    finally:
        server.stop()
