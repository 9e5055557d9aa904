"""Where a file's locks do not hold, the log says so."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

import duckfeat as dft
from duckfeat.engine import places

MOUNTS = [
    "/dev/sda1 / ext4 rw 0 0",
    "server:/home /home nfs4 rw 0 0",
    "/dev/sdb1 /home/local ext4 rw 0 0",
    "//server/share /mnt/a\\040b cifs rw 0 0",
    "systemd-1 /data/shared autofs rw 0 0",
    "server:/shared /data/shared nfs4 rw 0 0",
    "server:/old /data/covered nfs rw 0 0",
    "/dev/sdc1 /data/covered xfs rw 0 0",
    "weka /hpc wekafs rw 0 0",
    "broken line",
    "short",
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/a.duckdb", None),
        ("/home/me/a.duckdb", "nfs4"),
        ("/home/local/a.duckdb", None),
        ("/home2/a.duckdb", None),
        ("/mnt/a b/a.duckdb", "cifs"),
        ("/data/shared/a.duckdb", "nfs4"),
        ("/data/covered/a.duckdb", None),
        ("/hpc/a.duckdb", "wekafs"),
    ],
)
def test_the_innermost_mount_counts(path: str, kind: str | None) -> None:
    assert places.network_system(PurePosixPath(path), MOUNTS) == kind


@pytest.mark.parametrize(
    "folder",
    [
        "Dropbox",
        "Dropbox (Lab)",
        "OneDrive",
        "OneDrive - Lab",
        "Google Drive",
        "GoogleDrive",
        "iCloudDrive",
        "My Drive",
        "pCloudDrive",
        "Proton Drive",
        "SynologyDrive",
        "Seafile",
        "Yandex.Disk",
    ],
)
def test_synchronised_folders_are_known_by_name(folder: str) -> None:
    assert places.synced_folder(PurePosixPath("/home/me") / folder / "sub" / "a.duckdb") == folder


@pytest.mark.parametrize("path", ["/home/me/dropboxes/a.duckdb", "/data/Dropbox", "/data/drive/a.duckdb"])
def test_other_folders_are_not(path: str) -> None:
    assert places.synced_folder(PurePosixPath(path)) is None


def test_opening_a_store_there_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "Dropbox"
    folder.mkdir()
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs rw 0 0\n")
    monkeypatch.setattr(places, "_MOUNTS", mounts)
    dft.connect(folder / "features.duckdb").close()
    assert "network file system (nfs)" in caplog.text
    assert "synchronised folder (Dropbox)" in caplog.text
    caplog.clear()
    monkeypatch.setattr(places, "_MOUNTS", tmp_path / "missing")
    dft.connect(tmp_path / "features.duckdb").close()
    assert caplog.text == ""
