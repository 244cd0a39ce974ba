"""Routes: which function answers which request, declared where that function stands."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

Endpoint = Callable[..., Awaitable[Response]]
"""Is given the request, the Context, and what stands in the path in the place of `{id}`, as `job_id`."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    endpoint: Endpoint


class Routes:
    """Those of one module."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def get(self, path: str) -> Callable[[Endpoint], Endpoint]:
        return self._route("GET", path)

    def post(self, path: str) -> Callable[[Endpoint], Endpoint]:
        return self._route("POST", path)

    def delete(self, path: str) -> Callable[[Endpoint], Endpoint]:
        return self._route("DELETE", path)

    def _route(self, method: str, path: str) -> Callable[[Endpoint], Endpoint]:
        def add(endpoint: Endpoint) -> Endpoint:
            self._routes.append(Route(method, path, endpoint))
            return endpoint

        return add


class Table:
    """All of them, by path and method."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[re.Pattern[str], dict[str, Endpoint]] = {}
        for route in routes:
            if "{" in route.path:
                pattern = re.compile(route.path.replace("{id}", "(?P<job_id>[^/]+)"))
                self._patterns.setdefault(pattern, {})[route.method] = route.endpoint
            else:
                self._fixed.setdefault(route.path, {})[route.method] = route.endpoint

    def at(self, path: str) -> tuple[dict[str, Endpoint], dict[str, Any]]:
        """What answers there, by method; and what stands in the path. Nothing where there is nothing."""
        if path in self._fixed:
            return self._fixed[path], {}
        for pattern, methods in self._patterns.items():
            if found := pattern.fullmatch(path):
                return methods, found.groupdict()
        return {}, {}


def allowed(methods: Iterable[str], *, head: bool) -> str:
    """For the Allow header; `head`: whether GET can be asked for without its body."""
    found = [method for method in _METHODS if method in methods]
    if head and "GET" in found:
        found.insert(1, "HEAD")
    return ", ".join(found)
