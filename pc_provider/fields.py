"""Single settings, read from their text: a value that can be used, or a problem and the default in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from pc_provider.partner_center.errors import printable
from pc_provider.partner_center.files import expanded
from pc_provider.partner_center.gate import RateLimit
from pc_provider.sign_in import Value, as_flag

__all__ = ["Fields", "is_loopback"]


class Fields:
    """
    Reads single settings of *values*, by key.

    A value that can't be used is added to *problems* as one line that names where it came from, and its default stands
    in for it; so does the default of a key that is not set.
    """

    def __init__(self, values: Mapping[str, Value], problems: list[str]) -> None:
        self._values = values
        self._problems = problems

    def _bad(self, key: str, reason: str) -> None:
        problem = f"{self._values[key].name} {reason}"
        if problem not in self._problems:
            self._problems.append(problem)

    def text(self, key: str, default: str) -> str:
        """As it is written."""
        return self._values[key].text if key in self._values else default

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        """One of *known* (which are in lower case), in any case."""
        if key in self._values:
            text = self._values[key].text.lower()
            if text in known:
                return text
            self._bad(key, f"is {printable(text, 60)!r}; it must be one of {', '.join(known)}")
        return default

    def flag(self, key: str, default: bool) -> bool:
        """``true`` or ``false``."""
        if key not in self._values:
            return default
        flag = as_flag(self._values[key].text)
        if flag is None:
            self._bad(key, "must be true or false")
            return default
        return flag

    def number(self, key: str, default: float, low: float, high: float, unit: str) -> float:
        """A number from *low* to *high*; *unit* describes it in the message."""
        if key not in self._values:
            return default
        try:
            number = float(self._values[key].text)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            self._bad(key, f"must be {unit} from {low:g} to {high:g}")
            return default
        return number

    def seconds(self, key: str, default: float) -> float:
        """Seconds, at most a day."""
        return self.number(key, default, 0.1, 86400, "a number of seconds")

    def count(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number from *low* to *high*."""
        number = self.number(key, default, low, high, "a whole number")
        if number != int(number):
            self._bad(key, f"must be a whole number from {low} to {high}")
            return default
        return int(number)

    def rate(self, key: str) -> RateLimit | None:
        """So many upgrades in a time: ``100/10s``, ``500/1m``, ``5/s``."""
        if key not in self._values:
            return None
        match = re.fullmatch(r"(\d{1,6})\s*/\s*(\d{0,6}(?:\.\d{1,3})?)\s*([sm])", self._values[key].text)
        if match is not None:
            requests, seconds = int(match[1]), float(match[2] or 1) * (60 if match[3] == "m" else 1)
            if requests > 0 and seconds > 0:
                return RateLimit(requests, seconds)
        self._bad(key, 'must be a number of upgrades in a time, such as "100/10s" or "500/1m"')
        return None

    def pem_file(self, key: str) -> str | None:
        """The path of a file that can be read and holds PEM certificates."""
        if key not in self._values:
            return None
        path = expanded(self._values[key].text)
        try:
            if b"-----BEGIN" not in path.read_bytes():
                self._bad(key, f"names {printable(path, 200)}, which holds no PEM certificate")
        except (OSError, ValueError):
            self._bad(key, f"names {printable(path, 200)}, which is not a file that can be read")
        return str(path)

    def address(self, key: str, default: str, *, also: str | None = None, whole: bool = False) -> str:
        """A base address; *whole* when it may not have a path either."""
        if key not in self._values:
            return default
        text = self._values[key].text.rstrip("/")
        if also is not None and text.lower() == also:
            return also
        reason = _address_problem(text, whole=whole)
        if reason is None:
            return text
        self._bad(key, reason)
        return default


def _address_problem(text: str, *, whole: bool) -> str | None:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address such as https://host"
    if parts.username or parts.password:
        return "must not hold a user name or password"
    if parts.scheme not in ("http", "https") or not host or not text.isprintable() or " " in text:
        return "is not an address such as https://host"
    if parts.scheme == "http" and not is_loopback(text):
        return f"is plain http to {printable(host, 100)}; only https, or http to this machine, is allowed"
    if parts.query or parts.fragment or (whole and parts.path):
        return "must end after the host" + ("; the tenant is partnercenter:tenantId" if whole else " and path")
    return None


def is_loopback(url: str) -> bool:
    """Whether *url* names this machine and nothing else."""
    from pc_provider.partner_center.transport import is_loopback as loopback

    return loopback(url)
