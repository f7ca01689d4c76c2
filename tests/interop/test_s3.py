"""The same promises on object storage: no rename, no folders, conditional puts, and a server that may be gone."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from pyiceberg.table import StaticTable
from support.otf import Otf, finish
from support.plain import PARTITIONS, iceberg_catalog, otf_config, require_rows, write_delta, write_iceberg
from support.readers import chdb_rows, deltalake_rows, duckdb_connection
from support.s3 import ACCESS, BUCKET, SECRET, Server
from test_races import judged


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that leave it running."""
    started = Server(home / "bin" / "versitygw", tmp_path_factory.mktemp("s3"))
    yield started
    started.stop()


def delta_readers(server: Server, key: str, ids: range, scratch: Path) -> None:
    """delta-rs, DuckDB and ClickHouse read the table over S3."""
    location = f"s3://{BUCKET}/{key}"
    require_rows(deltalake_rows(location, server.environment()), ids, "delta-rs")
    db = duckdb_connection(str(scratch))
    db.execute(server.duckdb_secret())
    require_rows(db.execute(f"SELECT * FROM delta_scan('{location}')").to_arrow_table(), ids, "DuckDB")
    require_rows(chdb_rows(f"deltaLake('{server.url}/{BUCKET}/{key}', '{ACCESS}', '{SECRET}')"), ids, "ClickHouse")


def newest(server: Server, key: str) -> str:
    """The metadata file with the highest number below a table's key."""
    names = [name for name in server.keys(f"{key}/metadata") if name.endswith(".metadata.json")]
    return max(names, key=lambda name: int(name.rsplit("/", 1)[1].split("-")[0].removeprefix("v").split(".")[0]))


def iceberg_readers(server: Server, key: str, ids: range, scratch: Path) -> None:
    """pyiceberg, DuckDB and ClickHouse read the newest metadata file over S3."""
    metadata = newest(server, key)
    opened = StaticTable.from_metadata(f"s3://{BUCKET}/{metadata}", server.pyiceberg())
    require_rows(opened.scan().to_arrow(), ids, "pyiceberg")
    db = duckdb_connection(str(scratch))
    db.execute(server.duckdb_secret())
    require_rows(db.execute(f"SELECT * FROM iceberg_scan('s3://{BUCKET}/{metadata}')").to_arrow_table(), ids, "DuckDB")
    chosen = metadata.removeprefix(f"{key}/")
    source = f"icebergS3('{server.url}/{BUCKET}/{key}/', '{ACCESS}', '{SECRET}', SETTINGS iceberg_metadata_file_path = '{chosen}')"
    require_rows(chdb_rows(source), ids, "ClickHouse")


def test_a_delta_table(server: Server, otf: Otf, tmp_path: Path) -> None:
    """Compacted in place; read by three foreign readers before and after."""
    location = f"s3://{BUCKET}/delta/plain"
    ids = write_delta(location, files=8, rows=100, options=server.environment())
    delta_readers(server, "delta/plain", ids, tmp_path)
    cloud = otf.having(server.environment())
    done = cloud.compact(location, "--rewrite-all", "--yes", table_format="delta", outcome="landed")
    assert (done["before"]["files"], done["after"]["files"]) == (8 * PARTITIONS, PARTITIONS)
    assert done["table"].startswith(location)
    delta_readers(server, "delta/plain", ids, tmp_path)
    before = server.keys("delta/plain")
    cloud.compact(location, "--yes", table_format="delta", outcome="nothing-to-do")
    assert server.keys("delta/plain") == before


@pytest.mark.parametrize("by", ["catalog", "path"])
def test_an_iceberg_table(by: str, server: Server, otf: Otf, tmp_path: Path) -> None:
    """Committed through a SQL catalog, and by conditional put of the metadata file itself."""
    warehouse = f"s3://{BUCKET}/{by}"
    catalog = iceberg_catalog(tmp_path, warehouse, server.pyiceberg())
    ids = write_iceberg(catalog, "t", files=8, rows=100)
    key = f"{by}/db/t"
    iceberg_readers(server, key, ids, tmp_path)
    cloud = otf.having(server.environment())
    reference, options = (("sql.db.t", otf_config(tmp_path, warehouse)) if by == "catalog" else (f"s3://{BUCKET}/{key}", []))
    done = cloud.compact(reference, "--rewrite-all", "--yes", *options, table_format="iceberg", outcome="landed")
    assert (done["before"]["files"], done["after"]["files"]) == (8 * PARTITIONS, PARTITIONS)
    iceberg_readers(server, key, ids, tmp_path)
    if by == "catalog":
        require_rows(catalog.load_table("db.t").scan().to_arrow(), ids, "through the catalog")
    before = server.keys(key)
    cloud.compact(reference, "--yes", *options, table_format="iceberg", outcome="nothing-to-do")
    assert server.keys(key) == before


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_two_compactions_race_by_conditional_put(table_format: str, server: Server, otf: Otf, tmp_path: Path) -> None:
    """Exactly one wins each version; rows are there once."""
    key = f"race-{table_format}/db/t"
    location = f"s3://{BUCKET}/{key}"
    if table_format == "delta":
        ids = write_delta(location, files=6, rows=1000, options=server.environment())
    else:
        catalog = iceberg_catalog(tmp_path, f"s3://{BUCKET}/race-iceberg", server.pyiceberg())
        ids = write_iceberg(catalog, "t", files=6, rows=1000)
    cloud = otf.having(server.environment())
    for turn in range(3):
        processes = [cloud.start("compact", location, "--rewrite-all", "--yes", "--output", "json") for _ in range(2)]
        outcomes = [judged(finish(process)) for process in processes]
        assert "landed" in outcomes, outcomes
        if table_format == "delta":
            require_rows(deltalake_rows(location, server.environment()), ids, f"turn {turn}")
        else:
            opened = StaticTable.from_metadata(f"s3://{BUCKET}/{newest(server, key)}", server.pyiceberg())
            require_rows(opened.scan().to_arrow(), ids, f"turn {turn}")


def test_wrong_credentials_are_refused(server: Server, otf: Otf) -> None:
    """The message is about access, the secret is not in it, and the answer comes soon."""
    location = f"s3://{BUCKET}/delta/denied"
    write_delta(location, files=2, rows=10, options=server.environment())
    run = otf.having(server.environment(secret="wrong-secret-value")).run("compact", location, "--yes", "--output", "json", timeout=60)
    error = run.error(4, "refused")
    assert "denied" in error["message"].lower() or "credential" in (error["message"] + error["hint"]).lower(), error
    assert "wrong-secret-value" not in run.stdout + run.stderr


def test_a_bucket_or_table_that_is_not_there(server: Server, otf: Otf) -> None:
    """Not found, with the reference in the message."""
    cloud = otf.having(server.environment())
    for location in (f"s3://{BUCKET}/nothing/here", "s3://no-such-bucket/t"):
        error = cloud.run("compact", location, "--yes", "--output", "json", timeout=60).error(3, "not-found")
        assert location in str(error), error


def test_a_server_that_is_gone(home: Path, otf: Otf, tmp_path: Path) -> None:
    """Try again later: status 75, within the time that retries may take."""
    gone = Server(home / "bin" / "versitygw", tmp_path / "s3")
    environment = gone.environment()
    write_delta(f"s3://{BUCKET}/t", files=2, rows=10, options=environment)
    gone.stop()
    run = otf.having(environment).run("compact", f"s3://{BUCKET}/t", "--yes", "--output", "json", timeout=90)
    run.error(75, "unavailable")
