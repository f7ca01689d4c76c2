"""Fixtures: the binary, one Spark session for all tests, the readers, and tables made from cases."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.marker import Marker, binary_of_tests  # noqa: E402
from support.otf import Otf  # noqa: E402
from support.readers import Readers  # noqa: E402
from support.spark import session  # noqa: E402
from support.tables import Case, Table  # noqa: E402
from support.trino import Trino  # noqa: E402

Maker = Callable[[str, Case], Table]


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the races of test_matrix.py are, and how many tables test_golden.py takes."""
    parser.addoption("--rounds", type=int, default=3, help="rounds of each pair of operations in test_matrix.py")
    parser.addoption("--every", type=int, default=48, help="test_golden.py takes one table in so many")
    parser.addoption("--seed", type=int, default=1, help="where their choices come from")


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    """Rounds of each pair."""
    return int(request.config.getoption("--rounds"))


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """Where choices come from."""
    return int(request.config.getoption("--seed"))


@pytest.fixture(scope="session")
def home() -> Path:
    """Where tests/interop/run put jars and servers."""
    value = os.environ.get("OTF_INTEROP_HOME")
    assert value, "start the tests by tests/interop/run"
    return Path(value)


@pytest.fixture(scope="session")
def otf(tmp_path_factory: pytest.TempPathFactory) -> Otf:
    """The binary under test, with a home of its own."""
    binary = os.environ.get("OTF_BIN")
    assert binary and Path(binary).is_file(), "OTF_BIN does not name a binary"
    return Otf(Path(binary), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def marker() -> Marker:
    """What marks rows as deleted."""
    return Marker(binary_of_tests())


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all local tables."""
    return tmp_path_factory.mktemp("warehouse").resolve()


@pytest.fixture(scope="session")
def trino(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    """A Trino server for all tests."""
    server = Trino(home / "trino", tmp_path_factory.mktemp("trino"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def readers(request: pytest.FixtureRequest, home: Path, warehouse: Path, trino: Trino) -> Iterator[Readers]:
    """All foreign readers over one Spark session."""
    os.chdir(warehouse)  # ClickHouse reads local files below the working directory only
    # What Spark keeps of every table adds up: over all golden tables to more than two gigabytes.
    memory = "6g" if request.config.getoption("--every") == 1 else "2g"
    spark = session(warehouse, home / "jars", memory)
    for catalog in ("ice", "sql"):
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {catalog}.db")
    yield Readers(spark, trino, str(warehouse / "no-extensions"))
    spark.stop()


@pytest.fixture(scope="session")
def sql_options(warehouse: Path) -> list[str]:
    """Options that make otf find tables of the SQL catalog under the name `sql`."""
    config = warehouse / "otf.toml"
    config.write_text(f'[catalog.sql]\ntype = "sql"\nuri = "sqlite:///{warehouse}/sql.db"\nwarehouse = "file://{warehouse}/sql"\n')
    return ["--config", str(config)]


@pytest.fixture(scope="session")
def make(readers: Readers, warehouse: Path) -> Maker:
    """Makes the table of a case; called once a case."""
    def maker(table_format: str, case: Case) -> Table:
        if table_format == "delta":
            root = warehouse / "delta" / case.name
            table = Table("delta", root, f"delta.`{root}`", str(root))
        elif case.catalog == "sql":
            root = warehouse / "sql" / "db" / case.name
            table = Table("iceberg", root, f"sql.db.{case.name}", f"sql.db.{case.name}", warehouse / "sql.db")
        else:
            root = warehouse / "ice" / "db" / case.name
            table = Table("iceberg", root, f"ice.db.{case.name}", str(root))
        for statement in case.statements:
            readers.spark.sql(statement.replace("{t}", table.spark))
        return table
    return maker
