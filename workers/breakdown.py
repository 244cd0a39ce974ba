"""Why a process of the service ends that nobody has ended: what it says last, into the log of the service."""

import os
import traceback

_STANDARD_ERROR = 2


def tell(who: str, error: Exception) -> None:
    """One sentence where the host is to blame; a traceback where it is a defect of ours."""
    if isinstance(error, MemoryError):
        said = b"Error: the %s has no memory left, and ends with all that it has\n" % who.encode()
    elif isinstance(error, OSError):
        said = f"Error: the {who} cannot go on, and ends with all that it has: {error}\n".encode()
    else:
        said = "".join(traceback.format_exception(error)).encode()
    try:
        os.write(_STANDARD_ERROR, said)  # no more than that: a stream would want memory of its own
    except OSError:  # a full disk takes our last words, and nothing else
        return
