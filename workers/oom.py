"""The kernel's count of processes that its out-of-memory killer has ended, on the whole host."""

from workers import files


def oom_kills() -> int:
    """Since the boot, `oom_kill` in /proc/vmstat (Linux 4.13); 0 where it cannot be read.

    A process killed at its cgroup's limit counts as well. The counter goes up before the SIGKILL goes out.
    """
    try:
        text = files.read("/proc/vmstat")
    except OSError:
        return 0
    counts = (line.split() for line in text.splitlines() if line.startswith("oom_kill "))
    return next((int(count) for _, count in counts), 0)
