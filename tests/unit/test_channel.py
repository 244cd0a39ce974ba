"""One end of a socketpair, with a kernel that has no memory for a while, and one whose peer is gone."""

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from workers.channel import Channel

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = (Channel(each.detach()) for each in socket.socketpair())
    for each in (ours, theirs):
        os.set_blocking(each.fd, False)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM])
def test_what_the_kernel_has_no_memory_for_is_sent_once_it_has(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    ours, theirs = pair
    with monkeypatch.context() as starved:
        starved.setattr(os, "write", refuse)
        ours.send({"op": "start", "child": 1})
    assert ours.has_unsent
    assert theirs.receive() == []
    ours.send({"op": "start", "child": 2})
    assert theirs.receive() == [{"op": "start", "child": 1}, {"op": "start", "child": 2}]


def test_what_nobody_can_hear_any_more_is_dropped(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    ours.send({"op": "start", "child": 1})
    assert not ours.has_unsent
    ours.receive()
    assert ours.closed
