"""What a lake's url means, and the statements that reach its catalog and its files; pure text, no secret in any.

A password and the keys of an object store never become text: `CREATE SECRET` takes them as parameters.

>>> place = lake_place("ducklake:postgres:dbname=lake host=db user=me password=pw")
>>> place.url, place.password
('ducklake:postgres:dbname=lake host=db user=me', 'pw')
>>> print(attach_sql(place, create=True, data_path="/data/"))
ATTACH 'ducklake:postgres:dbname=lake host=db user=me' AS store (META_SECRET 'lake_catalog', DATA_PATH '/data/')
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from duckfeat.engine.paths import quoted
from duckfeat.errors import InvalidArgument, hint
from duckfeat.model.arguments import age, is_text, shown

PREFIX = "ducklake:"
CATALOG_SECRET, DATA_SECRET = "lake_catalog", "lake_data"

# libpq's own order of importance; what else is given follows by name.
_ORDER = ("dbname", "host", "hostaddr", "port", "user")
# A key word of libpq that holds a secret and has no place in CREATE SECRET.
_REFUSED = ("sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
# What else it knows, up to PostgreSQL 18.
_KEYS = frozenset(
    [
        *_ORDER,
        "password",
        *_REFUSED,
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "gssdelegation",
        "gssencmode",
        "gsslib",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "max_protocol_version",
        "min_protocol_version",
        "oauth_client_id",
        "oauth_issuer",
        "oauth_scope",
        "options",
        "passfile",
        "replication",
        "require_auth",
        "requirepeer",
        "requiressl",
        "service",
        "servicefile",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslkeylogfile",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
    ]
)
_PAIR = re.compile(r"\s*(?P<key>\w+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<plain>(?:[^\s'\\]|\\.)*))(?=\s|$)")

_TICK = timedelta(microseconds=1)

# The newest snapshot is among them, which DuckLake keeps: an empty list is none to it.
_EXPIRED = (
    "SET VARIABLE expired = (SELECT list(snapshot_id) FROM ducklake_snapshots('store') WHERE snapshot_time <= {then} "
    "OR snapshot_id = (SELECT max(snapshot_id) FROM ducklake_snapshots('store')))"
)
# Of the files that no snapshot needs those that may go are told by a time of their own.
LONG_AGO = "1970-01-01 00:00:00+00"
"""When a file is to have become free that may go now."""
_RIPE = (
    f"UPDATE __ducklake_metadata_store.ducklake_files_scheduled_for_deletion SET schedule_start = '{LONG_AGO}' "
    "WHERE schedule_start::TIMESTAMPTZ <= {then}"
)

# The options of an S3 store: what CREATE SECRET calls them, and the variables they are in otherwise.
_S3: Mapping[str, tuple[str, ...]] = {
    "key_id": ("AWS_ACCESS_KEY_ID",),
    "secret": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "url_style": (),
    "use_ssl": (),
}


@dataclass(frozen=True, slots=True)
class LakePlace:
    """Where a lake's catalog is: `kind` (postgres or sqlite), the address without the password, and that."""

    kind: str
    address: str
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The url of the lake, without the password."""
        return f"{PREFIX}{self.kind}:{self.address}"

    @property
    def files(self) -> list[str]:
        """The files of the catalog: the database, SQLite's beside it, and the one that turns are taken with."""
        ends = ("", "-journal", "-shm", "-wal", ".turn") if self.kind == "sqlite" else ()
        return [self.address + end for end in ends]


def lake_place(url: str) -> LakePlace:
    """Return what a url `ducklake:postgres:...` (a libpq string or address) or `ducklake:sqlite:PATH` means.

    Raises `InvalidArgument` for another kind of catalog and for a string that libpq would not take.

    >>> lake_place("ducklake:postgres:postgresql://me:pw@db:5433/lake?sslmode=require").address
    'dbname=lake host=db port=5433 user=me sslmode=require'
    """
    kind, _, rest = url.removeprefix(PREFIX).partition(":")
    if kind not in _PARSERS:
        raise InvalidArgument(
            f"a lake's catalog is in {' or '.join(_PARSERS)}, not in {kind!r}: ducklake:postgres:dbname=... or "
            "ducklake:sqlite:path",
            kind=kind,
            available=list(_PARSERS),
        )
    if not rest.strip():
        raise InvalidArgument(f"{url} does not say where the catalog is")
    return _PARSERS[kind](rest)


def _postgres(rest: str) -> LakePlace:
    given = _from_address(rest) if rest.startswith(("postgres://", "postgresql://")) else _from_pairs(rest)
    for key in given:
        if key in _REFUSED:
            raise InvalidArgument(f"{key} would be seen in the url: keep it in libpq's service file", key=key)
        if key not in _KEYS:  # libpq would repeat the whole of it, values as well
            raise InvalidArgument(f"the catalog's address has an unknown key {key!r}{hint(key, _KEYS)}", key=key)
    password = given.pop("password", None)
    keys = [*(key for key in _ORDER if key in given), *sorted(set(given) - set(_ORDER))]
    return LakePlace("postgres", " ".join(f"{key}={_libpq(given[key])}" for key in keys), password)


def _from_pairs(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    end = 0
    while text[end:].strip():
        found = _PAIR.match(text, end)
        if found is None:
            # The text itself is not repeated: what cannot be read may hold a password.
            raise InvalidArgument(
                "the catalog's address is not a libpq string: write key=value pairs, values with spaces in ''"
            )
        value = found["quoted"] if found["quoted"] is not None else found["plain"]
        given[found["key"]] = re.sub(r"\\(.)", r"\1", value)
        end = found.end()
    return given


def _from_address(text: str) -> dict[str, str]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidArgument("the catalog's address is not a valid postgresql:// address") from None
    named = {
        "dbname": parts.path.lstrip("/"),
        "host": parts.hostname,
        "port": port,
        "user": parts.username,
        "password": parts.password,
    }
    given = {key: unquote(str(value)) for key, value in named.items() if value}
    return given | dict(parse_qsl(parts.query))


def _libpq(value: str) -> str:
    """Return a value as libpq reads it back."""
    if value and not re.search(r"[\s'\\]", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _sqlite(rest: str) -> LakePlace:
    return LakePlace("sqlite", str(Path(rest).expanduser().resolve()))


_PARSERS = {"postgres": _postgres, "sqlite": _sqlite}


def data_folder(data_path: str | os.PathLike[str]) -> str:
    """Return the place of a lake's files as it is kept in the catalog: an absolute folder or an `s3://` address.

    >>> data_folder("s3://bucket/prefix")
    's3://bucket/prefix/'
    """
    text: Any = os.fspath(data_path) if hasattr(data_path, "__fspath__") else data_path
    if not isinstance(text, str) or not text.strip() or "\0" in text or not is_text(text):
        raise InvalidArgument(
            f"data_path is a folder or s3://bucket/prefix, not {shown(data_path)}", data_path=data_path
        )
    if "://" not in text:
        text = str(Path(text).expanduser().resolve())
    elif not text.startswith("s3://"):
        scheme = text.partition("://")[0]
        raise InvalidArgument(f"data_path is a folder or s3://bucket/prefix, not {scheme}://", scheme=scheme)
    else:
        _check_bucket(text)
    return f"{text.rstrip('/')}/"


def _check_bucket(text: str) -> None:
    """Raise `InvalidArgument` for an `s3://` address that names no bucket or has more in it than that and a prefix."""
    bucket = text.removeprefix("s3://").partition("/")[0]
    if "@" in bucket or "?" in text:  # the text itself is not repeated
        raise InvalidArgument(
            "data_path is s3://bucket/prefix alone, and is kept in the catalog: keys, region and endpoint are given "
            "with s3={'key_id': ..., 'secret': ..., 'region': ..., 'endpoint': ...}"
        )
    if not bucket:
        raise InvalidArgument("data_path names no bucket: it is s3://bucket/prefix", data_path=text)


def attach_sql(
    place: LakePlace,
    *,
    data_path: str | None = None,
    inline: int | None = None,
    create: bool = False,
    read_only: bool = False,
    at: int | datetime | None = None,
) -> str:
    """Return the statement that attaches a lake as `store`.

    `data_path` is where a new lake keeps its files, `inline` how many new rows at most go to the catalog instead,
    `at` the snapshot to read: its number, or the moment that it was the newest.

    >>> print(attach_sql(lake_place("ducklake:postgres:dbname=lake"), read_only=True, at=3))
    ATTACH 'ducklake:postgres:dbname=lake' AS store (CREATE_IF_NOT_EXISTS false, READ_ONLY, SNAPSHOT_VERSION 3)
    """
    options = {
        # Readers go on while a writer commits, and wait for no longer than the file is switched.
        "META_JOURNAL_MODE": "'WAL'" if place.kind == "sqlite" else None,
        "META_BUSY_TIMEOUT": "10000" if place.kind == "sqlite" else None,
        "META_SECRET": f"'{CATALOG_SECRET}'" if place.password is not None else None,
        "DATA_PATH": quoted(data_path) if data_path is not None else None,
        "DATA_INLINING_ROW_LIMIT": str(int(inline)) if inline is not None else None,
        "CREATE_IF_NOT_EXISTS": None if create else "false",
        "READ_ONLY": "" if read_only else None,
        **_snapshot(at),
    }
    listed = ", ".join(f"{name} {value}".rstrip() for name, value in options.items() if value is not None)
    return f"ATTACH {quoted(place.url)} AS store" + (f" ({listed})" if listed else "")


def _snapshot(at: int | datetime | None) -> dict[str, str | None]:
    if at is None:
        return {}
    if isinstance(at, datetime):
        moment = at.astimezone(UTC) if at.tzinfo else at
        return {"SNAPSHOT_TIME": quoted(f"{moment.replace(tzinfo=None).isoformat(sep=' ')}+00")}
    return {"SNAPSHOT_VERSION": str(int(at))}


def upkeep_sql(*, expire: timedelta | None, grace: timedelta) -> list[str]:
    """Return the statements that make a lake small and quick to read again, in their order: the first flushes rows.

    Snapshots older than `expire` are forgotten (None: all stay), files that no snapshot needs go after `grace`. Files
    of which nearly all was deleted are written anew if no older snapshot stays.

    Which they are is not left to DuckLake's `older_than`: it compares times in a SQLite catalog as text (1.5), of
    which only the day counts, so that it would forget and remove what is younger.

    >>> for sql in upkeep_sql(expire=timedelta(days=30), grace=timedelta(hours=1)):
    ...     print(sql)
    SELECT count(*) FROM ducklake_flush_inlined_data('store')
    SET VARIABLE expired = (SELECT list(snapshot_id) FROM ducklake_snapshots('store') WHERE snapshot_time <= now() - ...
    SELECT count(*) FROM ducklake_expire_snapshots('store', versions => getvariable('expired'))
    SELECT count(*) FROM ducklake_merge_adjacent_files('store')
    UPDATE __ducklake_metadata_store.ducklake_files_scheduled_for_deletion SET schedule_start = '1970-01-01 ...
    SELECT count(*) FROM ducklake_cleanup_old_files('store', older_than => TIMESTAMPTZ '1971-01-01 00:00:00+00')
    """
    age(expire, "expire")
    age(grace, "grace")
    rewriting = expire == timedelta(0)  # older snapshots of a file written anew lose rows where they are filtered (1.5)
    return [
        _call("flush_inlined_data"),
        *([_call("rewrite_data_files")] if rewriting else []),
        *([_EXPIRED.replace("{then}", _ago(expire))] if expire is not None else []),
        *([_call("expire_snapshots", ", versions => getvariable('expired')")] if expire is not None else []),
        _call("merge_adjacent_files"),
        _RIPE.replace("{then}", _ago(grace)),
        _call("cleanup_old_files", ", older_than => TIMESTAMPTZ '1971-01-01 00:00:00+00'"),
    ]


def orphans_sql(grace: timedelta) -> str:
    """Return the statement that lists the files in a lake's folder that are so old and in no catalog."""
    return f"SELECT path FROM ducklake_delete_orphaned_files('store', dry_run => true, older_than => {_ago(grace)})"


def _call(name: str, options: str = "") -> str:
    return f"SELECT count(*) FROM ducklake_{name}('store'{options})"


def _ago(span: timedelta) -> str:
    return f"now() - to_microseconds({span // _TICK})"


def catalog_secret() -> str:
    """Return the statement that keeps the password of the catalog, its parameter `password`."""
    return f"CREATE OR REPLACE SECRET {CATALOG_SECRET} (TYPE postgres, PASSWORD $password)"


def data_secret(data_path: str, given: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """Return the statement that keeps the keys of an object store, and its parameters.

    What is not given is taken from the environment, as other programs for S3 do.

    Raises `InvalidArgument` for an option there is none of.

    >>> data_secret("s3://b/", {"key_id": "k", "secret": "s", "endpoint": "http://localhost:8333"})[0]
    "CREATE OR REPLACE SECRET lake_data (TYPE s3, SCOPE 's3://b/', KEY_ID $key_id, SECRET $secret, ENDPOINT ..."
    """
    if given is not None and not isinstance(given, Mapping):
        raise InvalidArgument(f"s3 is a mapping of {', '.join(_S3)}, not a {type(given).__name__}")
    options = dict(given or {})
    unknown = sorted(set(map(str, options)) - set(_S3))
    if unknown:
        raise InvalidArgument(f"s3 has no option {unknown[0]!r}{hint(unknown[0], _S3)}", name=unknown[0])
    for name, variables in _S3.items():
        found = [os.environ[variable] for variable in variables if os.environ.get(variable)]
        if options.get(name) is None and found:
            options[name] = found[0]
    options = {name: value for name, value in options.items() if value is not None}
    _check_options(options)
    if "endpoint" in options:
        options = _with_endpoint(options)
    named = "".join(f", {name.upper()} ${name}" for name in _S3 if name in options)
    bucket = "/".join(data_path.split("/")[:3]) + "/"  # a new lake looks for others above it
    return f"CREATE OR REPLACE SECRET {DATA_SECRET} (TYPE s3, SCOPE {quoted(bucket)}{named})", options


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise `InvalidArgument` for options that cannot be right; values may be secrets and are not repeated."""
    for name, value in options.items():
        texts = isinstance(value, str) and is_text(value) and "\0" not in value
        if not (isinstance(value, bool) if name == "use_ssl" else texts):
            wanted = "True or False" if name == "use_ssl" else "a text"
            raise InvalidArgument(f"s3 has {name!r} as a {type(value).__name__}: it is {wanted}", name=name)
    missing = [name for name in ("key_id", "secret") if name not in options]
    if len(missing) == 1:
        raise InvalidArgument(
            f"s3 has no {missing[0]!r}: a key is both key_id and secret, given with s3={{...}} or as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            name=missing[0],
        )
    if "@" in str(options.get("endpoint", "")):
        raise InvalidArgument(
            "s3 has an 'endpoint' with a user or a password in it: it is a server's address, and keys are given as "
            "key_id and secret",
            name="endpoint",
        )


def _with_endpoint(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a server that is not Amazon's: it has buckets in the path, and tells TLS by its scheme."""
    scheme, separator, host = str(options["endpoint"]).rpartition("://")
    defaults = {"url_style": "path", "use_ssl": scheme != "http" if separator else True}
    return defaults | options | {"endpoint": host.rstrip("/")}
