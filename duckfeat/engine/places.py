"""Places where a DuckDB file is not safe: network file systems, whose locks may not hold, and synchronised folders."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path, PurePath

_log = logging.getLogger("duckfeat")
_MOUNTS = Path("/proc/mounts")
_NETWORK = frozenset(
    [
        "9p",
        "afs",
        "afpfs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "fakeowner",
        "fuse.blobfuse",
        "fuse.blobfuse2",
        "fuse.davfs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.grpcfuse",
        "fuse.juicefs",
        "fuse.mount-s3",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "panfs",
        "prl_fs",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "wekafs",
    ]
)
# How the folders of services that copy files behind a program's back are called.
_SYNCED = re.compile(
    r"(?i)(?:dropbox|onedrive|google ?drive|icloud ?drive|my ?drive|pcloud ?drive|proton ?drive|"
    r"synology ?drive|nextcloud|owncloud|seafile|syncthing|yandex\.disk)(?:\b.*)?"
    r"|Mobile Documents|CloudStorage|Box(?: Sync)?"
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


def network_system(path: PurePath, mounts: Iterable[str]) -> str | None:
    """Return the kind of the network file system that a path is on, by the lines of `/proc/mounts`; None if on none.

    >>> lines = ["/dev/sda1 / ext4 rw 0 0", "server:/home /home nfs4 rw 0 0", "/dev/sdb1 /home/me ext4 rw 0 0"]
    >>> network_system(PurePath("/home/you/a.duckdb"), lines), network_system(PurePath("/home/me/a.duckdb"), lines)
    ('nfs4', None)
    """
    found: tuple[int, str] = (-1, "")
    for line in mounts:
        fields = line.split(" ")
        if len(fields) > 2:
            place = PurePath(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[1]))
            if path.is_relative_to(place):
                # Of two at one place the later one is seen, as that which autofs has mounted.
                found = max((len(place.parts), fields[2]), found, key=lambda mount: mount[0])
    return found[1] if found[1] in _NETWORK else None


def synced_folder(path: PurePath) -> str | None:
    """Return the folder of a path that a service keeps in step with other machines; None if there is none.

    >>> synced_folder(PurePath("/Users/me/Library/CloudStorage/Dropbox/a.duckdb"))
    'CloudStorage'
    >>> synced_folder(PurePath("/data/boxes/a.duckdb")) is None
    True
    """
    return next((part for part in path.parent.parts if _SYNCED.fullmatch(part)), None)


def warn_of_place(path: str) -> None:
    """Log a warning if a store's file is where its locks may not hold, or where it is copied while it changes."""
    place = PurePath(path)
    try:
        kind = network_system(place, _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        kind = None
    if kind:
        _log.warning(
            "%s is on a network file system (%s): its locks may not keep two programs apart; a local disk, or a lake "
            "(ducklake:...) for several machines, is safe",
            path,
            kind,
        )
    folder = synced_folder(place)
    if folder:
        _log.warning(
            "%s is in a synchronised folder (%s), which may copy it half-written or replace it while it is open; keep "
            "the store elsewhere and put its backups there",
            path,
            folder,
        )
