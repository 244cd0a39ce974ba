"""What a confined job sees of the file system: arranged in a mount namespace of its own."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from workers import mounting
from workers.confinement import Confinement
from workers.namespaces import refused

_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  (mounted over, not written to)
_RUNTIME = ("/run", "/var/run")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_KERNELS_OWN = ("bus", "fs", "irq", "sys", "sysrq-trigger")
"""In /proc: a root without capabilities may write there, because it owns the files (proc_sys(5))."""
_SMALL = "size=1m,nr_inodes=4k,mode=755"


def hide(hidden: Sequence[str], directory: str) -> None:
    """For a job of another user that is in no sandbox: its folder can be reached, the service's cannot."""
    with _arranging(), refused("the service's files cannot be hidden"), ExitStack() as kept:
        mounting.keep_to_ourselves()
        _hide(hidden, _clones([directory], hidden, kept))
    os.chdir(directory)


def arrange(what: Confinement, directory: str, needed: Sequence[str], *, as_root: bool) -> None:
    """Everything that a sandbox has to do with files. /proc becomes that of our PID namespace.

    `needed` are paths that must stay where they are, whatever covers their folder: the code that is to run.
    `as_root`: the job stays root. It owns what the kernel offers in /dev, /proc and /sys.
    """
    hidden = [*_runtime(what, as_root=as_root), *what.hidden]
    with _arranging(), ExitStack() as stack:
        with refused("its own view of the files cannot be made"):
            mounting.keep_to_ourselves()
            covered = [*(_TEMPORARY if what.private_tmp else ()), *hidden]
            kept = _clones([directory, *needed, *what.writable, *_listed(what)], covered, stack)
        bound = "" if what.private_tmp is True else f",size={int(what.private_tmp)}"
        with refused("a private /tmp cannot be mounted"):
            fresh = _cover_temporary(bound) if what.private_tmp else []
            _restore(kept, fresh)
        with refused("the service's files cannot be hidden"):
            _hide(hidden, kept)
        with refused("its own devices and shared memory cannot be mounted"):
            fresh += _own_devices() if as_root else _own_shared_memory()
        _write_protect(what, directory, fresh)
        with refused("its own /proc cannot be mounted"):
            flags = mounting.MS_NOSUID | mounting.MS_NODEV | mounting.MS_NOEXEC
            mounting.mount_new("proc", "/proc", flags=flags)
            if as_root:
                _protect([f"/proc/{name}" for name in _KERNELS_OWN])
        os.chdir(directory)


@contextlib.contextmanager
def _arranging() -> Iterator[None]:
    """Folders that are made as mount points are for every user to pass through."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _clones(paths: Sequence[str], covered: Sequence[str], stack: ExitStack) -> dict[str, int]:
    """Those that lie in what will be covered, by where they really are."""
    covers = [os.path.realpath(cover) for cover in covered]
    real = dict.fromkeys(os.path.realpath(path) for path in paths if os.path.exists(path))
    trees = {path: mounting.clone(path) for path in real if any(map(Path(path).is_relative_to, covers))}
    for tree in trees.values():
        stack.callback(os.close, tree)
    return trees


def _listed(what: Confinement) -> list[str]:
    return what.read_only if isinstance(what.read_only, list) else []


def _cover_temporary(bound: str) -> list[str]:
    """One file system for /tmp and /var/tmp, so that one bound holds for both."""
    top, *others = [os.path.realpath(path) for path in _TEMPORARY if os.path.isdir(path)]
    mounting.mount_new("tmpfs", top, f"mode=755{bound}")
    fresh = list(dict.fromkeys([*others, top]))  # the first last: it covers what the others are made of
    for number in range(len(fresh)):
        os.mkdir(f"{top}/{number}")
        os.chmod(f"{top}/{number}", 0o1777)  # noqa: S103  (as /tmp is everywhere)
    for number, path in enumerate(fresh):
        mounting.attach(mounting.clone(f"{top}/{number}"), path)
    return fresh


def _runtime(what: Confinement, *, as_root: bool) -> list[str]:
    """Sockets of daemons that act for whoever may connect: all of them for root and without a network."""
    if as_root or not what.network:
        return list(dict.fromkeys(os.path.realpath(path) for path in _RUNTIME if os.path.isdir(path)))
    return ["/run/user"]


def _hide(hidden: Sequence[str], kept: dict[str, int]) -> None:
    """An empty read-only folder, or file, over each of them; what is kept below one appears again in it."""
    covers = []
    for path in map(os.path.realpath, hidden):
        if os.path.isdir(path):
            mounting.mount_new("tmpfs", path, _SMALL)
            covers.append(path)
        elif os.path.exists(path):
            mounting.attach(mounting.clone(os.devnull), path)
    _restore(kept, covers)
    for path in covers:
        mounting.make_read_only(path, below=False)


def _restore(kept: dict[str, int], covers: Sequence[str]) -> None:
    """Attach again what has been covered; never over a whole cover, which would undo it."""
    for path, tree in sorted(kept.items()):
        if path in covers or not any(map(Path(path).is_relative_to, covers)):
            continue
        is_folder = stat.S_ISDIR(os.fstat(tree).st_mode)
        os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
        if not is_folder:
            Path(path).touch()
        mounting.attach(os.dup(tree), path)


def _own_shared_memory() -> list[str]:
    if not os.path.isdir(_SHARED_MEMORY):
        return []
    mounting.mount_new("tmpfs", _SHARED_MEMORY, "mode=1777")
    return [os.path.realpath(_SHARED_MEMORY)]


def _own_devices() -> list[str]:
    """Of the devices only those without anything behind them: root owns the disks as well."""
    trees = {name: mounting.clone(f"/dev/{name}") for name in _DEVICES if os.path.exists(f"/dev/{name}")}
    mounting.mount_new("tmpfs", "/dev", "size=1m,mode=755", mounting.MS_NOSUID)
    for name, tree in trees.items():
        Path(f"/dev/{name}").touch()
        mounting.attach(tree, f"/dev/{name}")
    for name, target in _LINKS.items():
        os.symlink(target, f"/dev/{name}")
    os.mkdir(_SHARED_MEMORY)
    return _own_shared_memory()


def _write_protect(what: Confinement, directory: str, fresh: Sequence[str]) -> None:
    """Clones of what stays writable are made first, but after all is hidden: a link leads to no more."""
    with refused("a writable path cannot be had"):
        writable = {path: mounting.clone(os.path.realpath(path)) for path in [directory, *what.writable]}
    with refused("files cannot be made read-only"):
        if os.path.ismount("/sys"):
            mounting.make_read_only("/sys")
        if what.read_only is True:
            mounting.make_read_only("/")
            for path in fresh:
                mounting.make_writable(path)
        else:
            for path in _listed(what):
                os.stat(path)
            _protect(_listed(what))
    with refused("a writable path cannot be had"):
        for path, tree in sorted(writable.items()):
            mounting.attach(tree, os.path.realpath(path))


def _protect(paths: Sequence[str]) -> None:
    for path in filter(os.path.exists, paths):
        tree = mounting.clone(path)
        mounting.make_read_only(tree)
        mounting.attach(tree, os.path.realpath(path))
