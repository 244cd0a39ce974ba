"""End records that no supervisor hears any more: written down for whoever recovers its jobs.

Into the lifeline, a file of the supervisor's that every keeper of it holds open. One description of an open
file is shared by all of them, and with it the place where the next line goes: nobody overwrites anybody.
"""

import json
import os
import sys
from typing import Any

from workers.identity import Identity


def write(fd: int, who: Identity, end: dict[str, Any]) -> None:
    """One line, without its last word, which can be megabytes. A full disk costs no more than the line."""
    child = [who.pid, who.start_ticks, who.pidfd_inode]
    line = json.dumps({**end, "report": None, "identity": child}, separators=(",", ":")) + "\n"
    try:
        os.write(fd, line.encode())
    except OSError as error:
        sys.stderr.write(f"the end of process {who.pid} cannot be written down: {error.strerror}\n")
