"""The parameters after the question mark: strictly read, every mistake named, none of them ignored."""

import re
from collections import Counter

from starlette.requests import Request

from supervisor.api.problems import MOST_NAMED, invalid, shown
from supervisor.lifecycle import JobStatus

_BEGINNING = re.compile(r"[0-9a-fA-F-]{4,36}\Z")
_WHOLE = re.compile(r"[0-9]{1,10}\Z")
LARGEST_NUMBER = 2**31 - 1


class Query:
    """Of one request."""

    def __init__(self, request: Request, *known: str) -> None:
        self._errors: list[tuple[str, str]] = []
        self._given: dict[str, str] = {}
        given = request.query_params.multi_items()
        allowed = f"there are: {', '.join(known)}" if known else "there are none here"
        unknown = [name for name in dict(given) if name not in known][:MOST_NAMED]
        self._errors += [(shown(name), f"is not a parameter; {allowed}") for name in unknown]
        times = Counter(name for name, _ in given)
        self._errors += [(name, "is given more than once") for name in known if times[name] > 1]
        self._given.update((name, text) for name, text in given if name in known)

    def whole(self, name: str, default: int, largest: int) -> int:
        """From 1 on."""
        text = self._given.get(name)
        if text is None:
            return default
        if not _WHOLE.match(text) or not 1 <= int(text) <= largest:
            self._errors.append((name, f"must be a whole number from 1 to {largest}"))
            return default
        return int(text)

    def optional_whole(self, name: str, largest: int) -> int | None:
        return self.whole(name, 1, largest) if name in self._given else None

    def flag(self, name: str) -> bool:
        """By default not."""
        text = self._given.get(name, "false")
        if text not in ("true", "false"):
            self._errors.append((name, "must be true or false"))
        return text == "true"

    def status(self, name: str) -> JobStatus | None:
        """An empty one means any."""
        text = self._given.get(name)
        if not text:
            return None
        if text not in [*JobStatus]:
            self._errors.append((name, f"must be one of {', '.join(JobStatus)}"))
            return None
        return JobStatus(text)

    def text(self, name: str) -> str | None:
        """An empty one means any."""
        return self._given.get(name) or None

    def beginning(self, name: str) -> str | None:
        """Of an id."""
        text = self._given.get(name)
        if text is not None and not _BEGINNING.match(text):
            self._errors.append((name, "must be the beginning of an id, 4 characters or more"))
        return text

    def check(self) -> None:
        """Raises the Problem that names all mistakes."""
        if self._errors:
            raise invalid(self._errors)
