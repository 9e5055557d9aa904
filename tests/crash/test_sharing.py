"""Several processes share one file: each gets it when it needs it, and sees what the others wrote."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.errors import InvalidArgument, MissingFile, ReadOnlyStore, StoreClosed, StoreLocked
from duckfeat.model.statement import Statement

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("DUCKFEAT_SHARING_SECONDS", "1.5"))
"""How long two programs share a file; by hand, a minute: `DUCKFEAT_SHARING_SECONDS=60 pytest tests/crash`."""

WORK = """
import sys, time
import duckfeat as dft
path, name, seconds, pause = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
store = dft.connect(path, idle_release=0.1, lock_timeout=30)
print("ready", flush=True)
until, n = time.monotonic() + seconds, 0
while time.monotonic() < until:
    feature = store.Feature(name=f"{name} {n // 5}", dtype=int).save()
    store.Record(name=f"{name} {n}", features={"shared": n, feature: n}).save()
    store.FeatureValue.get_or_create(store.Feature.get(name="shared"), 10**6 + n)
    n += 1
    assert store.Record.filter(shared__gte=0, name__startswith=name).count() == n
    assert [hit.name for hit in store.Record.search(f"{name} {n - 1}", limit=1)] == [f"{name} {n - 1}"]
    time.sleep(pause)
print(n, store.Record.filter(shared__gte=0).count(), flush=True)
"""


def run(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    found = process.stdout.readline().strip()
    if not found:
        pytest.fail(process.communicate()[1])
    return found


def end(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "features.duckdb"
    with dft.connect(path) as store:
        store.Feature(name="shared", dtype=int).save()
    return path


@pytest.mark.parametrize(
    "pauses", [(0.15, 0.0), (0.0, 0.15), (0.0, 0.0)], ids=["notebook, job", "job, notebook", "jobs"]
)
def test_two_programs_share_a_file(path: Path, pauses: Sequence[float]) -> None:
    first = run(WORK, path, "first", SECONDS, pauses[0])
    assert line(first) == "ready"
    second = run(WORK, path, "second", SECONDS, pauses[1])
    counts = [int(end(process).split()[-2]) for process in (first, second)]
    assert min(counts) > 0
    with dft.connect(path) as store:
        assert store.check().ok
        names = store.Record.all().to_list("name")
        assert sorted(names) == sorted(
            f"{who} {n}" for who, count in zip(("first", "second"), counts, strict=True) for n in range(count)
        )
        assert store.Record.filter(shared__gte=0).count() == sum(counts)
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]


HOLD = """
import sys
import duckfeat as dft
store = dft.connect(sys.argv[1], read_only=sys.argv[2] == "reading", idle_release=None)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_owner_is_named(path: Path) -> None:
    holder = run(HOLD, path, "writing")
    assert line(holder) == "held"
    started = time.monotonic()
    with pytest.raises(StoreLocked, match=rf"process {holder.pid}.*lock_timeout") as caught:
        dft.connect(path, lock_timeout=0.2)
    assert time.monotonic() - started > 0.2
    facts = caught.value.facts
    assert (facts["pid"], facts["host"]) == (holder.pid, socket.gethostname())
    assert facts["program"].startswith("python")
    assert facts["since"]
    with pytest.raises(StoreLocked):
        dft.connect(path, read_only=True, lock_timeout=0)
    end(holder)
    dft.connect(path, lock_timeout=0).close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_killed_owner_is_not_named(path: Path) -> None:
    holder = run(HOLD, path, "writing")
    line(holder)
    holder.kill()
    holder.communicate()
    note = Path(f"{path}.owner")
    assert json.loads(note.read_text())["pid"] == holder.pid
    reader = run(HOLD, path, "reading")
    line(reader)
    with pytest.raises(StoreLocked, match=rf"process {reader.pid}") as caught:
        dft.connect(path, lock_timeout=0)
    assert caught.value.facts["since"] is None
    note.write_text("no JSON")
    with pytest.raises(StoreLocked, match=rf"process {reader.pid}"):
        dft.connect(path, lock_timeout=0)
    end(reader)


def test_readers_read_together_and_writers_wait(path: Path) -> None:
    reader = run(HOLD, path, "reading")
    line(reader)
    with dft.connect(path, read_only=True) as store:
        assert store.Feature.count() == 1
        with pytest.raises(ReadOnlyStore):
            store.ULabel(name="a").save()
    with pytest.raises(StoreLocked):
        dft.connect(path, lock_timeout=0)
    assert reader.stdin is not None
    reader.stdin.close()
    dft.connect(path, lock_timeout=30).close()
    reader.stdin = None
    end(reader)


WRITE = """
import sys
import duckfeat as dft
with dft.connect(sys.argv[1], lock_timeout=30) as store:
    store.Feature(name="late", dtype=int, multiple=True).save()
    store.save([store.Record(name=f"r{n}", features={"shared": n, "late": [n, n + 1]}) for n in range(3)])
    store.Record.get(name="old").delete(permanent=True)
print("written")
"""


def test_an_idle_store_gives_its_file_back_and_notices_what_others_wrote(path: Path) -> None:
    with dft.connect(path, idle_release=0.05) as store:
        store.Record(name="old", features={"shared": 7}).save()
        assert store.Record.search("r1").count() == 0
        value, _ = store.FeatureValue.get_or_create(store.Feature.get(name="shared"), 7)
        with store.track("notebook.ipynb") as run_:
            rows = iter(store.Feature.all())
            assert next(rows).name == "shared"
            assert end(run(WRITE, path)).strip() == "written"
            assert list(rows) == []
            assert store.Record.search("r1", limit=1).to_list("name") == ["r1"]
            assert store.Record.filter(late=2).order_by("name").to_list("name") == ["r1", "r2"]
            assert store.Record(name="next").save().id == 5
            assert store.FeatureValue.get_or_create(store.Feature.get(name="shared"), 2)[1] is False
        assert run_.status == "finished"
        assert store.Record.get(name="next").run == run_
        assert store.FeatureValue.get(value.id).value == 7
        assert store.check().ok


def test_an_open_result_keeps_the_file_until_it_is_read(path: Path) -> None:
    with dft.connect(path, idle_release=0) as store:
        store.save([store.ULabel(name=f"label {n}") for n in range(5000)])
        store.Record(name="old").save()
        engine = store._session.engine
        batches = engine.batches(Statement("SELECT name FROM ulabels", {}), 1000)
        assert next(batches).num_rows > 0
        waiting = run(WRITE, path)
        time.sleep(0.3)
        assert waiting.poll() is None
        assert sum(batch.num_rows for batch in batches) < 5000
        assert end(waiting).strip() == "written"


def test_what_happened_to_an_idle_file_is_told(path: Path, tmp_path: Path) -> None:
    with dft.connect(path, idle_release=0.01) as store:
        store.ULabel(name="a").save()
        backup = store.backup(tmp_path / "backup.duckdb")
        _idle(path)
        path.rename(tmp_path / "moved.duckdb")
        with pytest.raises(MissingFile, match="moved or removed"):
            store.ULabel.count()
        dft.restore(backup, tmp_path / "restored.duckdb").close()
        (tmp_path / "restored.duckdb").rename(path)
        assert store.ULabel.count() == 1
        _idle(path)
        import duckdb

        with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
            other.execute("CREATE TABLE t AS SELECT 1")
        (tmp_path / "other.duckdb").replace(path)
        with pytest.raises(StoreClosed, match="replaced or changed"):
            store.ULabel.count()
        (tmp_path / "moved.duckdb").replace(path)


def _idle(path: Path) -> None:
    """Wait until this process has given the file back."""
    until = time.monotonic() + 30
    while Path(f"{path}.owner").exists():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize(
    "options", [{"lock_timeout": -1}, {"lock_timeout": "1"}, {"idle_release": True}, {"idle_release": -0.5}]
)
def test_times_are_numbers_of_seconds(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="number of seconds"):
        dft.connect(path, **options)


FORK = """
import os, sys
import duckfeat as dft

path = sys.argv[1]
store = dft.connect(path)
store.ULabel(name="before").save()

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:
            print("failed", type(error).__name__, error, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def inherited():
    try:
        store.ULabel.count()
    except dft.errors.StoreClosed as error:
        assert "forked" in str(error)
    store.close()

def again():
    with dft.connect(path) as mine:
        mine.ULabel(name="child").save()
        child_of_child()

def child_of_child():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

child(inherited)
child(again)
assert store.ULabel.all().order_by("id").to_list("name") == ["before", "child"]
with store.transaction():
    store.ULabel(name="inside").save()
    def locked():
        try:
            dft.connect(path, lock_timeout=0)
        except dft.errors.StoreLocked:
            return
        raise AssertionError("two writers")
    child(locked)
assert store.ULabel(name="after").save().id == 4
assert store.check().ok
store.close()
print("done")
"""


def test_a_fork_is_noticed_and_its_child_connects_anew(path: Path) -> None:
    assert end(run(FORK, path)) == "done\n"


def test_a_program_that_ends_without_closing_gives_the_file_back(path: Path) -> None:
    code = "import sys, duckfeat as dft\nstore = dft.connect(sys.argv[1])\nstore.ULabel(name='a').save()\n"
    end(run(code, path))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
