"""Tables that others wrote: every engine that reads the original reads the same rows after they were rewritten whole, row ids included, and after
old versions and strays went; then Spark's own expiry, orphan search and VACUUM find nothing. So with every version that stays where three may.

The tables are those of `$OTF_GOLDEN`; the judge beside them makes copies whose metadata names the place of the copy. One in 48 is taken
unless `--every 1` asks for all.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Optional

import pyarrow as pa
import pytest
from support.otf import Otf
from support.readers import Readers, duckdb_connection
from support.rows import difference, multiset
from support.tables import Table, local_path

GOLDEN = Path(os.environ.get("OTF_GOLDEN", "/nonexistent"))
JUDGE = GOLDEN.parent / "judge"
#: Above this the rows of a table are added up rather than listed.
MANY = 50_000
OLD = 10 * 86400
DELTA, IMPALA = "delta/delta-io__delta", "iceberg/apache__impala"
ROUNDED = "Trino keeps milliseconds: it cuts those of 12 bytes off and rounds those of 8, which rewritten files have"
NO_DEFAULTS = "columns that a file lacks are null, not what their initial default says"
#: Readers that never come back from a table, or end the process.
HANG = {"big_query_error": ("duckdb",)}
DEFAULTS = ("iceberg_v3_all_types", "iceberg_v3_default_value", "iceberg_v3_default_value_avro", "test_default_part")
NAMES_FOR_IDS = "columns are looked up by name although the table maps them by id"
#: Who reads the original wrongly, and why: afterwards it reads what the others read, or the same as before while the cause is still there.
MISREAD = {
    (f"{DELTA}-kernel-rs/data__compacted-log-files-table", "spark"): "a sum of commits that only strings them together has files twice",
    (f"{DELTA}-kernel-rs/data__timestamp-truncation-stats", "trino"): ROUNDED,
    (f"{DELTA}-rs/delta-checkpoint-stats-optional", "trino"): ROUNDED,
    **{("delta/dremio__dremio-oss/columnMappingConvertedIceberg", name): NAMES_FOR_IDS for name in ("deltalake", "duckdb", "chdb")},
    ("delta/findepi__trino/databricks73__pruning__parquet_struct_statistics", "deltalake"): "times of 12 bytes after 2262 wrap around",
    (f"{IMPALA}/hadoop_catalog__ice__airports_parquet", "trino"): "files without field ids have no columns to it; others take them by position",
    (f"{IMPALA}/hadoop_catalog__ice__iceberg_alltypes_part", "pyiceberg"): "a double of a partition loses half its digits",
    ("iceberg/duckdb__duckdb-iceberg/add_columns_with_defaults__default.db__add_columns_with_defaults", "trino"): NO_DEFAULTS,
    **{(f"{IMPALA}/iceberg_v3__{table}", name): NO_DEFAULTS for table in DEFAULTS for name in ("chdb", "trino")},
}
#: Who can no longer read a version that stays, and why.
BEYOND = {
    ("delta/findepi__trino/deltalake__in_commit_timestamp_history_read", "version 3", "spark"):
        "it looks no further back than deleted files are kept, unless the version is the newest",
    (f"{DELTA}-kernel-rs/data__parquet_row_group_skipping", "version 1", "spark"):
        "each part of its checkpoint has its own columns: once `_last_checkpoint` names a newer one, Spark takes the first part's for all",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a table."""
    if not (JUDGE / "otfjudge").is_dir():
        metafunc.parametrize("case", [pytest.param(None, marks=pytest.mark.skip("no golden tables with a judge beside them"))])
        return
    sys.path.insert(0, str(JUDGE))
    from otfjudge.catalogue import find

    every = metafunc.config.getoption("--every")
    metafunc.parametrize("case", find(GOLDEN)[::every], ids=lambda case: case.name)


def copied(case: Any, base: Path) -> Table:
    """A copy of the table that knows where it lies. It spells all its locations alike: most readers compare paths in deletes literally."""
    from otfjudge.iceberg import paths
    from otfjudge.scratch import prepare

    base.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "in_style_of", lambda original, path: f"file://{path}")
        try:
            return named(case.format, prepare(GOLDEN, case, base).root.resolve())
        except Exception as error:
            pytest.skip(f"cannot be copied: {type(error).__name__}")


def named(table_format: str, root: Path) -> Table:
    """The table by the names that its readers need."""
    if table_format == "delta":
        return Table("delta", root, f"delta.`{root}`", str(root))
    from otfjudge.iceberg.meta import current_name

    return Table("iceberg", root, "", str(root), metadata=root / "metadata" / current_name(root))


def digest(readers: Readers, rows: pa.Table) -> Any:
    """What is equal for equal rows in any order."""
    if rows.num_rows <= MANY:
        return multiset(rows)
    return readers.duckdb.sql("SELECT count(*), sum(hash(rows)) FROM rows").fetchone()


def spark_frame(readers: Readers, table: Table, version: Optional[str]) -> Any:
    """The table in Spark, now or as of a version: an Iceberg table by its metadata file."""
    reader = readers.spark.read.format(table.format)
    reader = reader if version is None else reader.option("versionAsOf", version)
    return reader.load(str(table.root if table.format == "delta" else table.metadata))


def metadata(table: Table) -> dict[str, Any]:
    """What the metadata file of an Iceberg table holds."""
    text = table.metadata.read_bytes()
    return json.loads(gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text)


def has_row_ids(table: Table) -> bool:
    """Whether the table says that its rows have identities."""
    if table.format == "iceberg":
        return metadata(table)["format-version"] > 2
    return any(b"rowTracking" in log.read_bytes() for log in (table.root / "_delta_log").glob("*.json"))


def row_ids(readers: Readers, table: Table, version: Optional[str]) -> pa.Table:
    """Rows with their identities, where the table has any."""
    ids = ("_metadata.row_id", "_metadata.row_commit_version") if table.format == "delta" else ("_row_id", "_last_updated_sequence_number")
    return spark_frame(readers, table, version).select("*", *ids).toArrow()


def ways(readers: Readers, table: Table, version: Optional[str]) -> dict[str, Callable[[], Any]]:
    """All readers by name."""
    known = {name: lambda read=read: digest(readers, read(table, version)) for name, read in readers.for_format(table.format).items()}
    known["spark"] = lambda: digest(readers, spark_frame(readers, table, version).toArrow())
    # The types of its values could be told from Spark's alone.
    known["trino"] = lambda: readers.trino.digest(table, version)
    for name in HANG.get(table.root.name, ()):
        del known[name]
    if has_row_ids(table):
        known["row ids"] = lambda: digest(readers, row_ids(readers, table, version))
    return known


def seen(readers: Readers, table: Table, version: Optional[str] = None) -> dict[str, Any]:
    """What each reader finds in the table, now or as of a version, or why it finds nothing."""
    try:
        readers.spark.sql("SELECT 1").collect()
    except Exception as error:
        # Without it tables would pass that nobody compared.
        pytest.exit(f"Spark is gone: {told(error)}", returncode=1)
    try:
        readers.duckdb.execute("SELECT 1")
    except Exception:
        # After some errors DuckDB refuses everything.
        readers.duckdb = duckdb_connection(str(table.root / "no-extensions"))
    found: dict[str, Any] = {}
    for name, read in ways(readers, table, version).items():
        try:
            found[name] = read()
        except Exception as error:
            found[name] = error
    return found


def told(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"


def report(line: str) -> None:
    """Tells what the sweep found, where somebody wants to know."""
    if os.environ.get("OTF_GOLDEN_REPORT"):
        with open(os.environ["OTF_GOLDEN_REPORT"], "a", encoding="utf-8") as file:
            file.write(line + "\n")


def run(otf: Otf, case: Any, table: Table, verb: str, *options: str) -> str:
    """The outcome of a command, or the kind of its refusal."""
    chosen = ("--table-format", case.format) if case.uniform else ()
    done = otf.run(verb, table.reference, *options, "--yes", "--output", "json", *chosen)
    if done.status == 0:
        return str(done.document()["outcome"])
    error = done.document()["error"]
    report(f"{case.name}\t{verb}\t{error['kind']}\t{error['message']}")
    assert error["kind"] in ("refused", "unsupported", "corrupt"), done.told()
    return str(error["kind"])


def require_same(case: Any, what: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whoever read the table before reads the same now."""
    wrong = []
    right = next((was for name, was in before.items() if isinstance(was, Counter) and (case.name, name) not in MISREAD), None)
    for name, was in before.items():
        if isinstance(was, Exception):
            report(f"{case.name}\t{what}\t{name}\tblind\t{told(was)}")
            continue
        now = after.get(name)
        if (case.name, name) in MISREAD and now != was:
            # Sums over rows can be compared with those of the same engine alone.
            was = right if isinstance(was, Counter) else now
        verdict = told(now) if isinstance(now, Exception) else "equal" if was == now else "differs"
        report(f"{case.name}\t{what}\t{name}\t{verdict}")
        if verdict != "equal" and not (isinstance(now, Exception) and (case.name, what, name) in BEYOND):
            listed = isinstance(was, Counter) and isinstance(now, Counter)
            wrong.append(f"{name}: {difference(was, now) if listed else f'{was}, then {verdict}'}")
    assert not wrong, wrong


def test_whoever_reads_a_table_reads_what_we_made_of_it(case: Any, otf: Otf, readers: Readers, warehouse: Path) -> None:
    """One copy is left as it is, the other is rewritten, and loses its old versions and strays."""
    base = warehouse / "golden" / case.name.replace("/", "_")
    table, original = copied(case, base / "is"), copied(case, base / "was")
    before = seen(readers, original)
    if all(isinstance(found, Exception) for found in before.values()):
        report(f"{case.name}\tnobody\t{told(before['spark'])}")
        pytest.skip("no engine reads the original")
    age(table.root)
    done = run(otf, case, table, "compact", "--rewrite-all")
    if done == "landed":
        require_same(case, done, before, seen(readers, named(case.format, table.root)))
    kept = [run(otf, case, table, verb, *options, "--older-than", "0s", "--unsafe-retention")
            for verb, options in (("expire", ("--retain-last", "1")), ("orphans", ()))]
    if not {"landed", "nothing-to-do"}.issuperset(kept):
        pytest.skip(f"expire: {kept[0]}, orphans: {kept[1]}")
    table = named(case.format, table.root)
    require_same(case, "upkeep", before, seen(readers, table))
    try:
        found = vacuum_finds(readers, table) if case.format == "delta" else spark_finds(readers, table)
    except Exception:
        assert isinstance(before["spark"], Exception), "Spark read the original"
        return
    report(f"{case.name}\tleft\t{found}")
    # Where another format's table lies over the same files, those that it needs stay.
    assert not found or case.uniform


def test_every_version_that_stays_is_read_as_before(case: Any, otf: Otf, readers: Readers, warehouse: Path) -> None:
    """Of the versions before a rewrite of everything two stay, and what branches and tags name."""
    base = warehouse / "golden-versions" / case.name.replace("/", "_")
    table, original = copied(case, base / "is"), copied(case, base / "was")
    now = seen(readers, original)
    if all(isinstance(found, Exception) for found in now.values()):
        pytest.skip("no engine reads the original")
    expire = ("--retain-last", "3", "--older-than", "0s", "--unsafe-retention")
    done = [run(otf, case, table, verb, *options) for verb, options in
            (("compact", ("--rewrite-all",)), ("expire", expire), ("orphans", ("--older-than", "0s", "--unsafe-retention")))]
    if "landed" not in done:
        pytest.skip(f"compact: {done[0]}, expire: {done[1]}, orphans: {done[2]}")
    table = named(case.format, table.root)
    kept, before = versions(table), versions(original)
    assert len(kept) >= min(3, len(before)), (kept, before)
    for version in kept:
        # A rewrite makes another version of the same rows.
        was = seen(readers, original, version) if version in before else now
        require_same(case, f"version {version}", was, seen(readers, table, version))


def versions(table: Table) -> list[str]:
    """The snapshots that a table lists; of Delta the three newest versions of the log."""
    if table.format == "iceberg":
        return [str(snapshot["snapshot-id"]) for snapshot in metadata(table).get("snapshots", [])]
    names = (re.match(r"\d{20}(?=\.(json|checkpoint))", path.name) for path in (table.root / "_delta_log").iterdir())
    last = max(int(name[0]) for name in names if name)
    return [str(version) for version in range(max(last - 2, 0), last + 1)]


def age(root: Path) -> None:
    """Every file was written ten days ago: Spark's search for orphans passes over younger ones."""
    for path in root.rglob("*"):
        os.utime(path, (time.time() - OLD, time.time() - OLD))


def vacuum_finds(readers: Readers, table: Table) -> list[str]:
    """Files that VACUUM would remove; of folders it names those that have become empty."""
    readers.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    rows = readers.spark.sql(f"VACUUM {table.spark} RETAIN 0 HOURS DRY RUN").collect()
    return [row[0] for row in rows if not local_path(row[0]).is_dir()]


def spark_finds(readers: Readers, table: Table) -> list[str]:
    """What Spark's expiry and its search for orphans would remove."""
    sql = readers.spark.sql
    sql(f"CALL sql.system.register_table(table => 'db.golden', metadata_file => '{table.metadata}')")
    try:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        expired = sql(f"CALL sql.system.expire_snapshots(table => 'db.golden', older_than => TIMESTAMP '{moment}', retain_last => 1)").collect()[0]
        age(table.root)
        orphans = sql("CALL sql.system.remove_orphan_files(table => 'db.golden', dry_run => true)").collect()
    finally:
        sql("DROP TABLE sql.db.golden")
    return [str(expired)] * any(expired) + [row[0] for row in orphans]
