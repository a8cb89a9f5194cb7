"""Where a path that a person wrote leads."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["expanded"]


def expanded(path: str | os.PathLike[str]) -> Path:
    """*path* with ``~`` as a home folder, or as it is where nobody knows the home of the user it names."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - the one of Path raises
