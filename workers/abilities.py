"""Whether this host can confine a job as its type asks: tried, in a process that is thrown away."""

import os
import shutil
import signal
import tempfile
from typing import NoReturn

from workers import guard, sandbox
from workers.confinement import CannotConfine, Confinement
from workers.report import Reporter
from workers.sandbox import Place

_LONGEST = 4096


def obstacle(what: Confinement, *, private: bool = True) -> str | None:
    """Why a job that is to be confined so would not be started, in a sentence; None where it would be.

    It is tried as the user that asks; the service may be another, with other rights. `private`: whether the
    job is to own its working directory.
    """
    directory = tempfile.mkdtemp()
    me = os.getpid()
    told, tell = os.pipe()
    try:
        if (pid := os.fork()) == 0:
            _try(what, Place(directory, private, []), tell, me)
        os.close(tell)
        with open(told, "rb") as verdict:
            said = verdict.read(_LONGEST).decode(errors="replace")
        os.waitpid(pid, 0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return None if said == "+" else said.lstrip("-") or "the trial of its sandbox was ended"


def _try(what: Confinement, place: Place, tell: int, parent: int) -> NoReturn:
    said = "-"
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        guard.offer_to_the_kernel()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)  # ours is nobody else's
        os.chdir(place.directory)
        sandbox.confine(what, place, parent, Reporter(null))
        said = "+"
    except CannotConfine as error:
        said += str(error)
    except BaseException as error:  # noqa: BLE001  (this is a copy of the caller: nothing may get out)
        said += f"{type(error).__qualname__}: {error}"
    finally:
        os.write(tell, said.encode()[:_LONGEST])
        os._exit(0)
