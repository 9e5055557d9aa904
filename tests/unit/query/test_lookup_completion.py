"""The Tab key completes lookups in a real IPython, on a terminal and through the interface Jupyter uses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

ROOT = Path(__file__).resolve().parents[3]
SETUP = """
import itertools, sys
from duckfeat.errors import StoreClosed
from duckfeat.query.lookup import Lookup

class Source:
    def __init__(self, values):
        self.values, self.reads, self.loads = values, 0, []
    def keys(self):
        self.reads += 1
        return self.values
    def load(self, positions, /):
        self.loads.extend(positions)
        return [f"record of {self.values[position]}" for position in positions]

class Closed(Source):
    def keys(self):
        raise StoreClosed("the store is closed")

class Holder:
    pass

genes = Source(["ADGB-DT", "ADGB", "TNF-α", "5S rRNA", "it's", "unique one"])
lookup = Lookup(genes, label="Gene.symbol")
records = lookup.dict()
closed = Lookup(Closed([]), label="Gene.symbol")
many = Source(["".join(word) for word in itertools.product("abcdefghij", repeat=5)])
crowd = Lookup(many, label="Gene.symbol")
holder = Holder()
holder.lookup = lookup
"""
ANSWERS = """
import json, sys
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

setup, lines, jedi, early = json.load(sys.stdin)
if early:
    space = {}
    exec(setup, space)
    shell = InteractiveShell.instance()
    shell.user_ns.update(space)
    dir(shell.user_ns["lookup"])
else:
    shell = InteractiveShell.instance()
    exec(setup, shell.user_ns)
shell.Completer.use_jedi = jedi
answers = []
for line in lines:
    with provisionalcompleter():
        found = list(shell.Completer.completions(line, len(line)))
    answers.append([[line[:each.start] + each.text, each.type] for each in found])
space = shell.user_ns
counts = [space["genes"].reads, space["genes"].loads, space["many"].reads, space["many"].loads]
json.dump([answers, counts, len(shell.Completer.custom_matchers)], sys.stdout)
"""
# What is typed, and what it completes to.
COMPLETED = {
    "lookup.ad": ["lookup.adgb", "lookup.adgb_dt"],
    "lookup.adgb_": ["lookup.adgb_dt"],
    "lookup._": None,  # checked by its beginning
    "lookup._5": ["lookup._5s_rrna"],
    "lookup.tnf": ["lookup.tnf_α"],
    "lookup.zzz": [],
    "lookup.": [
        "lookup.dict",
        "lookup._5s_rrna",
        "lookup.adgb",
        "lookup.adgb_dt",
        "lookup.it_s",
        "lookup.tnf_α",
        "lookup.unique_one",
    ],
    "x = [lookup.un": ["x = [lookup.unique_one"],
    "holder.lookup.un": ["holder.lookup.unique_one"],
    'lookup["AD': ['lookup["ADGB', 'lookup["ADGB-DT'],
    "lookup['it": ["lookup['it\\'s"],
    'lookup["unique o': ['lookup["unique one'],
    "records['TN": ["records['TNF-α"],
    "records[": None,
    "closed.a": [],
    "sys.path_ho": ["sys.path_hooks"],
    'sys.modules["duckfeat.query.lookup_na': ['sys.modules["duckfeat.query.lookup_names'],
    "holder.nothing.x": [],
    "import jso": ["import json"],
    "crowd.abcd": ["crowd.abcd" + sign for sign in "abcdefghij"],
    "crowd.zz": [],
}


def answers(lines: list[str], tmp_path: Path, *, jedi: bool, early: bool = False) -> Any:
    """Return what a fresh IPython completes each of `lines` to, and what was read and loaded for it."""
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS],
        input=json.dumps([SETUP, lines, jedi, early]),
        cwd=ROOT,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("jedi", "early"), [(True, False), (False, False), (True, True)])
def test_completions_in_ipython(tmp_path: Path, jedi: bool, early: bool) -> None:
    found, counts, matchers = answers([*COMPLETED], tmp_path, jedi=jedi, early=early)
    texts = {line: [text for text, _ in each] for line, each in zip(COMPLETED, found, strict=True)}
    expected = {line: each for line, each in COMPLETED.items() if each is not None}
    assert {line: texts[line] for line in expected} == expected
    assert {"lookup._5s_rrna", "lookup.__class__"} <= {*texts["lookup._"]}
    assert 'records["ADGB-DT"' in texts["records["]
    assert counts == [1, [], 1, []]
    assert matchers == 1


def test_beginnings_stand_for_more_names_than_can_be_shown(tmp_path: Path) -> None:
    (attributes, values), counts, _ = answers(["crowd.", "crowd["], tmp_path, jedi=True)
    signs = "abcdefghij"
    expected = [[f"crowd.{one}{other}", "1,000 names"] for one in signs for other in signs]
    assert attributes == [["crowd.dict", "function"], *expected]
    assert values[0] == ['crowd["aa', "1,000 names"]
    assert counts == [0, [], 1, []]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[pexpect.spawn]:
    """Yield an IPython on a terminal of its own, in which the lookups are made."""
    script = tmp_path / "setup.py"
    script.write_text(SETUP, encoding="utf-8")
    environment = {
        "IPYTHONDIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PROMPT_TOOLKIT_NO_CPR": "1",
        "TERM": "xterm",
        "PYTHONUTF8": "1",
    }
    options = ["--no-banner", "--no-confirm-exit", "--colors=NoColor", "-i", str(script)]
    child = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", *options],
        env={**os.environ, **environment},
        encoding="utf-8",
        dimensions=(40, 120),
        timeout=30,
    )
    try:
        child.expect(re.escape("In [1]:"))
        yield child
    finally:
        child.kill(signal.SIGKILL)
        child.wait()  # closing it by force gives it a tenth of a second to end, too little for a busy machine
        child.close()


def test_tab_completes_a_name_on_a_terminal(terminal: pexpect.spawn) -> None:
    terminal.send("lookup.uni\t")
    terminal.expect("que_one")  # only what is new is drawn
    terminal.send("\r")
    terminal.expect("'record of unique one'")


def test_tab_offers_several_names_on_a_terminal(terminal: pexpect.spawn) -> None:
    terminal.send("lookup.ad\t")
    terminal.expect("adgb_dt")
    terminal.send("\t\t\r\r")  # to the second of them, take it, run
    terminal.expect("'record of ADGB-DT'")


def test_tab_completes_a_value_on_a_terminal(terminal: pexpect.spawn) -> None:
    terminal.send('records["uni\t')
    terminal.expect("que one")
    terminal.send('"]\r')
    terminal.expect("'record of unique one'")


def test_a_lookup_shows_itself_on_a_terminal(terminal: pexpect.spawn) -> None:
    terminal.send("lookup\r")
    terminal.expect(re.escape("Lookup(Gene.symbol, not read yet)"))
    terminal.send("print(f'<{genes.reads}{genes.loads}>')\r")
    terminal.expect(re.escape("<0[]>"))
