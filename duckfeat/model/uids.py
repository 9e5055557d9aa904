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
