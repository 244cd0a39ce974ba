"""A process that does for a keeper what a supervisor does, and can be killed like one.

`python -m tests.support.dying_supervisor COOKIE`, then JSON lines on standard input: each is an
order for the keeper. What the keeper says comes out as JSON lines.
"""

import json
import os
import select
import socket
import subprocess
import sys

from workers.channel import Channel
from workers.frames import Frame
from workers.trees import COOKIE


def main() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "workers.keeper", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=dict(os.environ) | {COOKIE: sys.argv[1]},
            cwd="/",
            start_new_session=True,
        )
    channel, orders = Channel(ours.detach()), b""
    say({"op": "keeper", "pid": keeper.pid})
    while not channel.closed:
        readable, _, _ = select.select([channel, sys.stdin], [], [])
        if channel in readable:
            for frame in channel.receive():
                say(frame)
        if sys.stdin in readable:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, orders = (orders + data).split(b"\n")
            for line in lines:
                channel.send(json.loads(line))


def say(frame: Frame) -> None:
    os.write(1, json.dumps(frame).encode() + b"\n")


if __name__ == "__main__":
    main()
