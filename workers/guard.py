"""What the service does for its own safety: it cannot be looked into, and memory is taken from jobs first."""

import contextlib
import sys

from workers import files, kernel

JOBS_GO_FIRST = 500
"""Of -1000 to 1000: thousandths of all memory, added to what a process uses (proc(5))."""
_SERVICE_GOES_LAST = -500
_SCORE = "/proc/self/oom_score_adj"


def guard_the_service() -> None:
    """For supervisor, keeper and http server; without what the kernel refuses.

    Not dumpable: a process of the same user cannot trace us, read our memory, or take a descriptor of
    ours, the database's for one, by pidfd_getfd(2). It can still kill us.
    """
    with contextlib.suppress(OSError):  # below 0 only with CAP_SYS_RESOURCE
        _adjust(min(_score(), _SERVICE_GOES_LAST))
    # Last: the file above would be root's.
    kernel.be_readable(by_our_user=False)


def leave_keys_behind() -> None:
    """For a keeper: what is in the session keyring of the service is for no job."""
    if not kernel.leave_session_keyring():
        sys.stderr.write("the session keyring cannot be left: jobs can take the keys that are in it\n")


def offer_to_the_kernel() -> None:
    """For a child: readable again, as its job may need to be, and first to go when memory runs out."""
    kernel.be_readable(by_our_user=True)
    with contextlib.suppress(OSError):  # no /proc of ours to write to; then as any other process
        _adjust(max(_score(), JOBS_GO_FIRST))


def _score() -> int:
    return int(files.read(_SCORE))


def _adjust(score: int) -> None:
    files.write(_SCORE, str(score))
