"""Processes of the product, forked from one that has imported it already: hundreds a minute can be struck.

The zygote is a process of its own, because whoever forks must have no threads and no database. It is told
by JSON lines on standard input what to start, and says on standard output what was started and has ended.
A process that it starts stops itself before its first own instruction, so that a tracer can be attached.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from tests.support.eventually import eventually
from workers.identity import state_of

ROOT = Path(__file__).parents[2]


class Zygote:
    """Our side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.ended: dict[int, int] = {}

    def start(
        self, what: str, arguments: list[str], environment: Mapping[str, str], output: Path
    ) -> "Started":
        """`what` is `serve`, `serve without http` or `command`. It is stopped still."""
        order = {
            "what": what,
            "arguments": arguments,
            "environment": dict(environment),
            "output": str(output),
        }
        assert self._process.stdin is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        while (pid := self._hear().get("started")) is None:
            pass
        eventually(lambda: state_of(pid) == "T")
        return Started(self, pid)

    def look(self, seconds: float) -> None:
        """Hear of ends, for so long at most."""
        assert self._process.stdout is not None
        if select.select([self._process.stdout], [], [], seconds)[0]:
            self._hear()

    def _hear(self) -> dict[str, int]:
        assert self._process.stdout is not None
        said: dict[str, int] = json.loads(self._process.stdout.readline())
        if "started" in said:  # with a pid that another one may have had before
            self.ended.pop(said["started"], None)
        if "ended" in said:
            self.ended[said["ended"]] = os.waitstatus_to_exitcode(said["status"])
        return said

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Started:
    """What subprocess.Popen is, for a process that is another's child."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote = zygote
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        return self._zygote.ended.get(self.pid)

    def poll(self) -> int | None:
        self._zygote.look(0)
        return self.returncode

    def wait(self, timeout: float = 30.0) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.returncode) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout)
            self._zygote.look(0.05)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def main() -> None:
    """The zygote's side."""
    import alembic.command  # noqa: PLC0415  (imported by nobody but what is forked from here)
    import alembic.config  # noqa: F401, PLC0415

    import cli.main  # noqa: F401, PLC0415
    import supervisor.serve  # noqa: PLC0415
    import supervisor.ways.exchange  # noqa: PLC0415
    import supervisor.ways.sameness  # noqa: PLC0415
    import supervisor.ways.straight  # noqa: PLC0415
    import supervisor.ways.through  # noqa: F401, PLC0415
    import tests.support.aside  # noqa: F401, PLC0415

    orders = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115  (select must see all that waits)
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([0, woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _say_who_ended()
        if 0 in readable:
            line = orders.readline()
            if not line:
                return
            pid = os.fork()
            if pid == 0:
                _live(**json.loads(line))
            _say(started=pid)


def _say_who_ended() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(ended=pid, status=status)


def _say(**facts: int) -> None:
    os.write(1, json.dumps(facts).encode() + b"\n")


def _live(what: str, arguments: list[str], environment: dict[str, str], output: str) -> NoReturn:
    """As if started by exec: nothing of the zygote but what it has imported."""
    code = 70
    try:
        _forget_the_zygote(environment, output)
        os.kill(os.getpid(), signal.SIGSTOP)
        code = _DO[what](arguments)
        sys.stdout.flush()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # noqa: BLE001  (what an interpreter does with it)
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        os._exit(code)


def _forget_the_zygote(environment: dict[str, str], output: str) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.closerange(3, 256)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for fd, path in ((1, output), (2, f"{output}.err")):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, fd)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", 1, closefd=False)


def _serve(_arguments: list[str]) -> int:
    from supervisor import serve  # noqa: PLC0415

    return serve.serve()


def _serve_without_http(arguments: list[str]) -> int:
    from tests.support.aside import leave_aside  # noqa: PLC0415

    leave_aside(*arguments)
    return _serve(arguments)


def _command(arguments: list[str]) -> int:
    from cli.main import run  # noqa: PLC0415

    return run(arguments)


_DO: dict[str, Any] = {"serve": _serve, "serve without http": _serve_without_http, "command": _command}


if __name__ == "__main__":
    main()
