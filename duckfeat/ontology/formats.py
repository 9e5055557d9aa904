"""What is seen in the name of a source's file."""

from __future__ import annotations

from pathlib import Path

COMPRESSIONS = (".gz", ".zst", ".xz", ".bz2")
ARCHIVES = (".tar", ".tgz", ".zip")


def suffix_of(path: Path) -> str:
    """Return the suffix that tells the format, without that of a compression.

    >>> suffix_of(Path("genes.csv.gz")), suffix_of(Path("cl.OBO"))
    ('.csv', '.obo')
    """
    plain = path.with_suffix("") if path.suffix.casefold() in COMPRESSIONS else path
    return plain.suffix.casefold()


def stem_of(path: Path) -> str:
    """Return the name without its suffixes.

    >>> stem_of(Path("data/genes_homo.csv.gz")), stem_of(Path("cl.v2.obo"))
    ('genes_homo', 'cl.v2')
    """
    plain = path.with_suffix("") if path.suffix.casefold() in COMPRESSIONS else path
    return plain.stem


def is_archive(path: Path) -> bool:
    """Tell whether a file holds several.

    >>> is_archive(Path("taxdmp.zip")), is_archive(Path("taxdump.tar.gz")), is_archive(Path("genes.csv.gz"))
    (True, True, False)
    """
    return suffix_of(path) in ARCHIVES
