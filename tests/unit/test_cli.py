"""The command line: thin, documented, and never in the way of an error."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

import duckfeat as dft
from duckfeat.cli import main, parser
from duckfeat.store import Store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(choices)


@pytest.fixture
def path(tmp_path: Path) -> str:
    with dft.connect(tmp_path / "a.duckdb", default=False) as store:
        store.ULabel(name="a").save()
    return str(tmp_path / "a.duckdb")


def test_every_command_and_option_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, command in commands().items():
        section = page.partition(f"## duckfeat {name}\n")[2].partition("\n## ")[0]
        assert section, f"docs/reference/cli.md has no section on {name}"
        for action in command._actions:
            for word in action.option_strings[-1:] or [str(action.metavar)]:
                assert word == "--help" or word in section, f"{name}: {word} is not documented"


def test_move(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "b.duckdb")
    assert main(["move", path, target]) == 0
    out = capsys.readouterr().out
    assert "ulabels: 1 rows" in out
    assert out.endswith(f"are the same in {target}\n")
    with dft.connect(target, read_only=True) as store:
        assert store.ULabel.all().to_list("name") == ["a"]


def test_an_error_is_one_line(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["move", path, path]) == 2
    assert main(["check", str(tmp_path / "none.duckdb")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("duckfeat: ")
    assert len(captured.err.splitlines()) == 2


def test_check(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", path]) == 0
    assert "ok" in capsys.readouterr().out
    with dft.connect(path, default=False) as store, store.transaction():
        store._session.engine.write("UPDATE ulabels SET branch_id = 77")
    assert main(["check", path]) == 1
    assert "provenance_points_somewhere" in capsys.readouterr().out


def test_compact(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", path, "--expire-history-days", "0", "--expire-values-days", "1"]) == 0
    assert capsys.readouterr().out.startswith("<compact: ")
    assert main(["compact", path, "--expire-history-days", "nan"]) == 2
    assert "number of days" in capsys.readouterr().err
    assert main(["compact", path, "--expire-days", "1"]) == 2
    assert "no snapshots" in capsys.readouterr().err


def test_it_runs_as_a_program(path: str) -> None:
    command = [sys.executable, "-m", "duckfeat.cli", "check", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<check: ok")


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"duckfeat {dft.__version__}\n"


def test_nothing_is_made_where_nothing_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "compact"):
        for store in (tmp_path / "none.duckdb", f"ducklake:sqlite:{tmp_path}/none.sqlite", ":memory:"):
            assert main([command, str(store)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("command", ["check", "compact", "move"])
def test_output_that_cannot_be_written_is_one_line(path: str, tmp_path: Path, command: str) -> None:
    more = [str(tmp_path / "b.duckdb")] if command == "move" else []
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "duckfeat.cli", command, path, *more],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "duckfeat: standard output cannot be written to: No space left on device\n"


def test_the_package_is_a_program(path: str) -> None:
    command = [sys.executable, "-m", "duckfeat", "check", path]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("<check: ok")


def test_a_number_of_days_is_not_negative(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", path, "--expire-history-days", "-1"]) == 2
    assert capsys.readouterr().err == "duckfeat: -1 is not a number of days: it is 0 or more\n"


def test_ctrl_c_is_one_line(path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "check", interrupted)
    assert main(["check", path]) == 130
    assert capsys.readouterr().err == "duckfeat: interrupted; what was not finished is not kept\n"
    with dft.connect(path) as store:
        assert store.ULabel.count() == 1
