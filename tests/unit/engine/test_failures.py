"""What DuckDB's errors are told as: what to do, and no password in any text of them."""

from __future__ import annotations

import traceback

import duckdb
import pytest

from duckfeat.engine.failures import translated
from duckfeat.errors import Unreachable

HTTP = {
    "HTTP Error: HTTP GET error reading 's3://b/x' (HTTP 403 Forbidden)": "refuses the keys",
    "HTTP Error: HTTP GET error reading 's3://b/x' (HTTP 404 Not Found)": "no such bucket or file",
    "HTTP Error: Unable to connect (HTTP 500 Internal)": "does not answer as it should",
    "IO Error: Could not connect to server error for HTTP GET to 'http://localhost:1/'": "see endpoint of s3=",
}


@pytest.mark.parametrize("text", HTTP)
def test_an_object_store_that_refuses_is_told_with_what_to_look_at(text: str) -> None:
    with pytest.raises(Unreachable, match=HTTP[text]), translated("lake"):
        raise duckdb.HTTPException(text)


def test_no_traceback_shows_a_password() -> None:
    told = "Could not resolve hostname error for HTTP HEAD to 'https://me:hush@bucket.s3.amazonaws.com/x'"
    with pytest.raises(Unreachable) as raised, translated("lake"):
        raise duckdb.IOException(told)
    shown = "".join(line for line in traceback.format_exception(raised.value) if "told =" not in line)
    assert "hush" not in shown
    assert shown.count("https://me:...@bucket.s3.amazonaws.com/x") == 2
