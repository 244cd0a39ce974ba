"""Every way to ask wrongly has its documented answer, and no answer tells more than it should."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from supervisor.api.body import Bodies, submission
from supervisor.api.problems import Problem
from supervisor.api.protocol import LONGEST_HEAD
from supervisor.errors import InvalidPayload
from supervisor.payload import DEEPEST, LIMIT, to_text
from tests.api.server import JSON, HttpServer

NOBODY = "00000000-0000-4000-8000-000000000000"
POST = b"POST /api/jobs HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
OK = b'{"type":"EmailJob","payload":%b}'


def refusal(body: bytes) -> tuple[int, list[str]]:
    with pytest.raises(Problem) as caught:
        submission(body, None)
    return caught.value.status, [field for field, _ in caught.value.errors]


@pytest.mark.parametrize(
    "body, fields",
    [
        (b"", ["body"]),
        (b"{", ["body"]),
        (b"[]", ["body"]),
        (b"null", ["body"]),
        (b'"EmailJob"', ["body"]),
        (b"\xff\xfe{}", ["body"]),
        (b'\xef\xbb\xbf{"type":"EmailJob"}', ["body"]),
        (b'{"type":"EmailJob"} x', ["body"]),
        (b"{}", ["type"]),
        (b'{"type":null}', ["type"]),
        (b'{"type":["EmailJob"]}', ["type"]),
        (b'{"type":"E","prioriti":1,"extra":2}', ["extra", "prioriti"]),
        (b'{"type":1,"priority":"1"}', ["type", "priority"]),
        (b'{"type":"E","priority":true}', ["priority"]),
        (b'{"type":"E","priority":1.5}', ["priority"]),
        (b'{"type":"E","priority":2147483648}', ["priority"]),
        (b'{"type":"E","type":"E"}', ["type"]),
        (OK % b'{"a":{"b":1,"c":2,"b":1}}', ["b"]),
        (OK % b"NaN", ["body"]),
        (OK % b"[-Infinity]", ["body"]),
        (OK % b"1e999", ["body"]),
        (OK % (b"9" * 5000), ["body"]),
        (OK % b'"\\ud800"', ["payload"]),
        (OK % b'{"\\udfff":1}', ["payload"]),
        (OK % b'"\x01"', ["body"]),
        (OK % (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1)), ["body"]),
        (OK % (b"[" * 500_000 + b"]" * 500_000), ["body"]),
        (b"[" * 1_000_000, ["body"]),
        (b'{"":' * 300_000, ["body"]),
        (b'{"type":"' + b'\\"' * 900_000, ["body"]),
        (b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b',"7":1}', ["7"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_body_with_a_mistake_is_refused_with_its_name(body: bytes, fields: list[str]) -> None:
    assert refusal(body) == (400, fields)


def test_nesting_up_to_the_limit_and_brackets_in_strings_are_fine() -> None:
    levels = b"[" * DEEPEST + b"]" * DEEPEST
    assert submission(OK % levels, None).payload == levels.decode()
    text = json.dumps({"a": "[{" * 5000, "b": '"[\\'})
    assert json.loads(submission(OK % text.encode(), None).payload) == json.loads(text)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    )
)
def test_what_is_json_is_understood_as_what_it_says(payload: Any) -> None:
    for escaped in (True, False):
        text = json.dumps(payload, ensure_ascii=escaped)
        assert json.loads(submission(OK % text.encode(), None).payload) == payload


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.text('a\ud83d\ude00[{"\\') | st.floats() | st.integers(0, 400),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("a\ud800", max_size=2), inner),
    ),
    st.sampled_from([0, 1, DEEPEST - 2, DEEPEST - 1, DEEPEST, DEEPEST + 1, 5 * DEEPEST]),
)
def test_what_is_refused_of_python_is_refused_over_http_and_nothing_else(payload: Any, depth: int) -> None:
    for _ in range(depth):
        payload = [payload]
    try:
        stored: str | None = to_text(payload)
    except InvalidPayload:
        stored = None
    body = json.dumps({"type": "EmailJob", "payload": payload}).encode()
    if stored is None:
        assert refusal(body)[0] == 400
    else:
        assert submission(body, None).payload == stored


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text('{}[]",:\\ue1 ', max_size=60).map(str.encode))
def test_no_bytes_do_anything_but_succeed_or_be_refused(body: bytes) -> None:
    try:
        submission(body, None)
    except Problem as problem:
        assert problem.status in (400, 413)  # noqa: PT017


def test_a_payload_of_a_mebibyte_is_taken_and_one_byte_more_is_not(server: HttpServer) -> None:
    largest = "x" * (LIMIT - 2)
    assert server.submit(payload=largest)["payload"] == largest
    more = server.ask("POST", "/api/jobs", {"type": "EmailJob", "payload": largest + "x"})
    assert more.problem["status"] == 413


@pytest.mark.parametrize("letter", ["A", "\x7f", "я", "€"])
def test_a_payload_counts_as_compact_json_however_it_was_written_out(server: HttpServer, letter: str) -> None:
    number = (LIMIT - 2) // len(letter.encode())
    escaped = b'"' + b"\\u%04x" % ord(letter) * number + b'"'
    reply = server.ask("POST", "/api/jobs", OK % escaped, JSON)
    assert (reply.status, reply.json["payload"]) == (202, letter * number)
    assert server.ask("POST", "/api/jobs", OK % escaped.replace(b'"', b'"aaa', 1), JSON).status == 413


def test_a_body_counts_for_as_long_as_somebody_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.api.body.ALL_BODIES", 100)
    bodies = Bodies()

    def request(size: int) -> Request:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b" " * size}

        headers = [(b"content-type", b"application/json")]
        return Request({"type": "http", "method": "POST", "headers": headers}, receive)

    async def play() -> None:
        async with bodies.of(request(60)) as first, bodies.of(request(40)):
            assert first == b" " * 60
            with pytest.raises(Problem, match="busy"):
                async with bodies.of(request(1)):
                    pytest.fail("more is in memory than may be")
        async with bodies.of(request(100)) as whole:
            assert len(whole) == 100

    asyncio.run(play())


@pytest.mark.parametrize("size", [7 * 2**20, 20 * 2**20])
def test_a_body_of_many_mebibytes_is_refused_and_the_connection_goes_on(
    server: HttpServer, size: int
) -> None:
    connection = server.connect()
    try:
        for body in (b" " * size, (b" " * 65536 for _ in range(size // 65536))):
            connection.request("POST", "/api/jobs", body, JSON)  # with a length, and in chunks
            answer = connection.getresponse()
            assert answer.status == 413
            assert json.loads(answer.read())["status"] == 413
    finally:
        connection.close()


@pytest.mark.parametrize("length", ["5", "500", "-1", "x", "99999999999999999999999"])
def test_a_length_that_is_a_lie_harms_nobody(server: HttpServer, length: str) -> None:
    head = (
        f"POST /api/jobs HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    with server.raw() as connection:
        connection.sendall(head.encode() + OK % b"1")
        if length != "500":  # that one waits for the rest
            answer = connection.recv(65536)
            assert answer.split()[1] in (b"400", b"413")
            assert b"application/problem+json" in answer
    assert server.get("/healthz").status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "text/plain; application/json",
        "application/json; charset*=utf-8''x",
    ],
)
def test_only_json_is_taken(server: HttpServer, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert server.ask("POST", "/api/jobs", b'{"type":"EmailJob"}', headers).problem["status"] == 415


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf8"']
)
def test_json_has_several_spellings(server: HttpServer, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert server.ask("POST", "/api/jobs", b'{"type":"EmailJob"}', headers).status == 202


def test_a_compressed_body_is_refused(server: HttpServer) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert server.ask("POST", "/api/jobs", b"{}", headers).problem["status"] == 415


def test_an_unknown_type_is_named_with_the_nearest(server: HttpServer) -> None:
    reply = server.ask("POST", "/api/jobs", {"type": "EmialJob"})
    assert (reply.status, reply.fields) == (400, ["type"])
    assert "did you mean EmailJob?" in reply.problem["detail"]
    assert "EmailJob, ReportJob" in server.ask("POST", "/api/jobs", {"type": "\x00"}).problem["detail"]


@pytest.mark.parametrize(
    "target", ["/nope", "/api", "/api/jobs/", "/healthz/", "//", "/api/jobs/x/y/z", "/%00", "/docs/x", "*"]
)
def test_there_is_nothing_where_there_is_nothing(server: HttpServer, target: str) -> None:
    assert server.get(target).problem["status"] == 404


@pytest.mark.parametrize(
    "method, target, allow",
    [
        ("PUT", "/api/jobs", "GET, HEAD, POST"),
        ("DELETE", "/api/jobs", "GET, HEAD, POST"),
        ("POST", f"/api/jobs/{NOBODY}", "GET, HEAD"),
        ("GET", f"/api/jobs/{NOBODY}/cancel", "DELETE"),
        ("POST", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/api/jobs", "GET, HEAD, POST"),
        ("TRACE", "/metrics", "GET, HEAD"),
        ("BREW", "/", "GET, HEAD"),
        ("HEAD", f"/api/jobs/{NOBODY}/cancel", "DELETE"),
        ("HEAD", "/api/events", "GET"),
    ],
)
def test_another_method_is_answered_with_those_that_there_are(
    server: HttpServer, method: str, target: str, allow: str
) -> None:
    reply = server.ask(method, target)
    assert (reply.status, reply.headers["allow"]) == (405, allow)


@pytest.mark.parametrize("target", ["/api/jobs", "/healthz", "/metrics", "/docs", "/api/status"])
def test_head_is_get_without_a_body(server: HttpServer, target: str) -> None:
    head, get = server.ask("HEAD", target), server.get(target)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def head_of(size: int, port: int, *, close: bool) -> bytes:
    """A request without a body, of exactly so many bytes."""
    first = (
        f"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: {'close' if close else 'keep-alive'}"
    )
    head = f"{first}\r\nX-Long: \r\n\r\n".encode()
    return head.replace(b"X-Long: ", b"X-Long: " + b"x" * (size - len(head)))


@pytest.mark.parametrize("before", [0, 1, 3], ids=["first", "second", "fourth"])
def test_a_head_of_32_kibibytes_is_taken_and_a_longer_one_is_not_wherever_it_stands(
    server: HttpServer, before: int
) -> None:
    earlier = head_of(5000, server.port, close=False) * before
    answer = server.exchange(earlier + head_of(LONGEST_HEAD, server.port, close=True))
    assert answer.count(b"HTTP/1.1 200 ") == before + 1
    for more in (1, 4096, 150_000):
        answer = server.exchange(earlier + head_of(LONGEST_HEAD + more, server.port, close=True))
        assert answer.count(b"HTTP/1.1 200 ") == before
        assert answer.count(b"HTTP/1.1 431 ") == 1
        assert b"application/problem+json" in answer


def test_requests_in_one_piece_with_bodies_longer_than_a_head_are_all_answered(server: HttpServer) -> None:
    body = json.dumps({"type": "EmailJob", "payload": "x" * 3 * LONGEST_HEAD}).encode()
    post = POST.replace(b"{port}", str(server.port).encode()) + b"Content-Length: %d\r\n\r\n" % len(body)
    last = head_of(200, server.port, close=True)
    answer = server.exchange((post + body) * 4 + last)
    assert answer.count(b"HTTP/1.1 202 ") == 4
    assert answer.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nA b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n",
    ],
    ids=lambda text: repr(text)[:30],
)
def test_bytes_that_are_no_request_are_refused_and_the_connection_closed(
    server: HttpServer, text: bytes
) -> None:
    answer = server.exchange(text.replace(b"{port}", str(server.port).encode()))
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"application/problem+json" in answer
    assert b"x-content-type-options: nosniff" in answer


def test_no_problem_says_where_anything_lies(server: HttpServer) -> None:
    asked = [
        ("GET", "/nope"),
        ("PUT", "/api/jobs"),
        ("GET", "/api/jobs?page=x"),
        ("GET", f"/api/jobs/{NOBODY}"),
    ]
    for method, target in asked:
        text = server.ask(method, target).body.decode()
        assert str(server.installation.folder) not in text
        assert "Traceback" not in text
        assert "SELECT" not in text
