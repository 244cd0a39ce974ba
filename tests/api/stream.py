"""A listener to the stream of changes."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.api.server import HttpServer


class Stream:
    """What a browser's EventSource does, without its patience."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response
        self.last_id = ""

    def next(self) -> tuple[str, Any]:
        """Kind and data of the next event; comments, and ids without data, are passed over."""
        kind, data = "message", ""
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if not line and data:
                return kind, json.loads(data)
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data += value

    def statuses(self, number: int) -> list[tuple[str, str]]:
        return [(data["id"], data["status"]) for _, data in (self.next() for _ in range(number))]


@contextmanager
def listening(server: HttpServer, last_id: str | None = None) -> Iterator[Stream]:
    connection = server.connect()
    try:
        connection.request(
            "GET", "/api/events", headers={} if last_id is None else {"Last-Event-ID": last_id}
        )
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.readline() == b"retry: 1000\n"  # now it listens
        yield Stream(response)
    finally:
        connection.close()
