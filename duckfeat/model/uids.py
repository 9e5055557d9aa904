"""Random base62 identifiers, as short as each registry can afford."""

from __future__ import annotations

import secrets
import string

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def random_uid(length: int) -> str:
    """Return `length` random characters of 0-9, A-Z and a-z.

    >>> len(random_uid(12)), random_uid(12).isalnum()
    (12, True)
    """
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def is_uid_like(text: str) -> bool:
    """Tell whether `text` could be a uid or the beginning of one.

    >>> is_uid_like("FvtpPJLJ"), is_uid_like("my label")
    (True, False)
    """
    return text.isascii() and text.isalnum()
