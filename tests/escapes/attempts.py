"""What a hostile job tries. A function that returns has got through; an error means that it was stopped.

Handlers of a real job: `try_all` gets the facts and the names of the attempts, and says how each came out.
"""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
SYS_PIDFD_GETFD = 438
SYS_IO_URING_SETUP = 425
SYS_KEYCTL = {"x86_64": 250}.get(os.uname().machine, 219)
SYS_ADD_KEY = {"x86_64": 248}.get(os.uname().machine, 217)
KEYCTL_SEARCH, SESSION_KEYRING = 10, -3
SIBLINGS = b"of another job"
MS_BIND = 0x1000
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000

libc = ctypes.CDLL(None, use_errno=True)


def try_all(payload: dict[str, Any]) -> dict[str, str]:
    return {name: _try(name, payload["facts"]) for name in payload["names"]}


def _try(name: str, facts: Facts) -> str:
    try:
        attempt: Callable[[Facts], object] = globals()[name]
        attempt(facts)
    except (OSError, AssertionError, subprocess.SubprocessError) as error:
        return f"stopped: {type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  (a mistake in one of them must not hide the others)
        return f"mistaken: {type(error).__name__}: {error}"
    return "got through"


def stay(payload: Any) -> None:
    """A job that others may try to get at, with a key in its session keyring."""
    libc.syscall(SYS_ADD_KEY, b"user", SIBLINGS, b"secret", 6, SESSION_KEYRING)
    os.write(1, b"here\n")
    signal.pause()


def descend(payload: Any) -> None:
    """Deaf to every signal, start what detaches in six ways and what never stays the same; then wait."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    sleep = [shutil.which("sleep") or "/bin/sleep", "600"]
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    subprocess.run(["/bin/sh", "-c", f"{' '.join(sleep)} >&2 &"], check=True)
    _twice(lambda: os.execv(sleep[0], sleep))
    _twice(lambda: os.execv(sleep[0], sleep), setsid=True)
    _twice(lambda: os.execve(sleep[0], sleep, {}), setsid=True)
    _twice(_lose_the_main_thread, setsid=True)
    for _ in range(3):
        _twice(_move, setsid=True)
    os.write(1, b"here\n")
    while not os.path.exists("go"):
        time.sleep(0.02)


def _twice(become: Callable[[], object], *, setsid: bool = False) -> None:
    """A daemon: forked twice, nobody's child."""
    first = os.fork()
    if first == 0:
        if setsid:
            os.setsid()
        if os.fork() == 0:
            become()
        os._exit(0)
    os.waitpid(first, 0)


def _lose_the_main_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    libc.pthread_exit(None)


def _move() -> None:
    """A new process, and with it a new pid, every few milliseconds. Bounded in time."""
    over = time.monotonic() + 60
    while time.monotonic() < over:
        if os.fork():
            os._exit(0)
        time.sleep(0.002)
    os._exit(0)


# The service, and other jobs


def signal_the_service(facts: Facts) -> None:
    for pid in facts["service"]:
        os.kill(pid, 0)


def trace_the_service(facts: Facts) -> None:
    any_of(facts["service"], _trace)


def take_a_descriptor_of_the_service(facts: Facts) -> None:
    any_of(facts["service"], _take_a_descriptor)


def read_the_memory_of_the_service(facts: Facts) -> None:
    any_of(facts["service"], lambda pid: Path(f"/proc/{pid}/environ").read_bytes())


def limit_the_service(facts: Facts) -> None:
    """No processor time for it, say, and the kernel kills it. Here it is given what it has."""
    core = resource.RLIMIT_CORE
    any_of(facts["service"], lambda pid: resource.prlimit(pid, core, resource.prlimit(pid, core)))


def slow_down_the_service(facts: Facts) -> None:
    one = os.PRIO_PROCESS
    any_of(facts["service"], lambda pid: os.setpriority(one, pid, os.getpriority(one, pid)))


def signal_another_job(facts: Facts) -> None:
    os.kill(facts["sibling"], 0)


def trace_another_job(facts: Facts) -> None:
    _trace(facts["sibling"])


def take_a_descriptor_of_another_job(facts: Facts) -> None:
    _take_a_descriptor(facts["sibling"])


def read_the_memory_of_another_job(facts: Facts) -> None:
    assert Path(f"/proc/{facts['sibling']}/environ").read_bytes(), "nothing in it"


def see_other_processes(facts: Facts) -> None:
    others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {1, os.getpid()}
    assert others, "there is nobody"


def kill_everything(facts: Facts) -> None:
    """Whoever still gets an answer afterwards has not been hit: the test looks."""
    child = subprocess.Popen(["sleep", "60"])
    os.kill(-1, signal.SIGKILL)
    assert child.wait() != -signal.SIGKILL, "only its own"


def take_a_key_of_the_service(facts: Facts) -> None:
    """From the session keyring (keyrings(7)), which is inherited: tickets are in there, and passphrases."""
    _take(facts["key"].encode())


def take_a_key_of_another_job(facts: Facts) -> None:
    _take(SIBLINGS)


# The files of the service


def read_the_database(facts: Facts) -> None:
    assert Path(facts["database"]).read_bytes(), "nothing in it"


def write_the_database(facts: Facts) -> None:
    with open(facts["database"], "r+b") as file:
        file.write(b"")


def read_the_token(facts: Facts) -> None:
    assert Path(facts["token"]).read_bytes(), "nothing in it"


def read_the_output_of_another_job(facts: Facts) -> None:
    assert Path(facts["output"]).read_bytes(), "nothing in it"


def forge_the_output_of_another_job(facts: Facts) -> None:
    os.close(os.open(facts["output"], os.O_WRONLY | os.O_APPEND))


def put_a_file_into_the_state_folder(facts: Facts) -> None:
    name = f"{os.getpid()}.planted"
    (Path(facts["state"]) / name).touch()


def change_the_mode_of_the_database(facts: Facts) -> None:
    """For others to read, say. Here it gets the one that it has."""
    os.chmod(facts["database"], 0o600)


def follow_a_link_to_the_database(facts: Facts) -> None:
    os.symlink(facts["database"], "symbolic")
    with contextlib.suppress(OSError):
        os.link(facts["database"], "hard")
    assert any(os.path.exists(name) and Path(name).read_bytes() for name in ("symbolic", "hard")), "nowhere"


def uncover_the_state_folder(facts: Facts) -> None:
    """By an umount; by that, a bind mount, an overlay in a user namespace; by the roots of others."""
    libc.umount2(facts["state"].encode(), 2)
    roots = [Path(f"/proc/{pid}/root") for pid in (1, os.getpid())]
    found = [root for root in roots if (root / facts["database"].lstrip("/")).exists()]
    assert found or _in_namespaces_of_its_own(facts), "it stays covered"


def _in_namespaces_of_its_own(facts: Facts) -> bool:
    pid, places = os.fork(), [Path(name).absolute() for name in ("bound", "overlaid")]
    if pid == 0:
        me, group = os.geteuid(), os.getegid()
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNS)
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {me} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        for place in places:
            place.mkdir()
        libc.umount2(facts["state"].encode(), 2)
        libc.mount(b"/", os.fsencode(places[0]), None, MS_BIND, None)
        over = f"lowerdir=/:{places[0]}".encode()
        libc.mount(b"overlay", os.fsencode(places[1]), b"overlay", 0, over)
        ways = [Path("/"), *places]
        os._exit(int(any(os.path.exists(way / facts["database"].lstrip("/")) for way in ways)))
    return os.waitpid(pid, 0)[1] != 0


# Sockets


def connect_to_the_api_socket(facts: Facts) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(facts["api_socket"])


def send_to_the_wake_socket(facts: Facts) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # full, because nobody reads
            client.sendto(b"", facts["wake_socket"])


def connect_to_a_socket_of_the_host(facts: Facts) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(facts["run_socket"])


def connect_to_an_abstract_socket(facts: Facts) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(b"\0" + facts["abstract_socket"].encode())


def connect_by_tcp(facts: Facts) -> None:
    socket.create_connection(("127.0.0.1", facts["tcp_port"]), 5).close()


def send_by_udp(facts: Facts) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", facts["udp_port"]))
        client.send(b"hello")
        client.send(b"again")  # the first is refused only now


def reach_the_host_of_the_virtual_machine(facts: Facts) -> None:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()


def make_sockets_past_the_filter(facts: Facts) -> None:
    """io_uring makes them in the kernel, and nobody sees a system call."""
    os.close(_called(libc.syscall(SYS_IO_URING_SETUP, 8, ctypes.create_string_buffer(120))))


# Rights


def become_root_by_a_set_uid_program(facts: Facts) -> None:
    said = subprocess.run([facts["set_uid"], "-u"], capture_output=True, text=True, check=True).stdout
    assert said == "0\n", said


def keep_a_capability(facts: Facts) -> None:
    lines = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines())
    assert any(int(lines[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")), "none"


def change_a_setting_of_the_kernel(facts: Facts) -> None:
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))


def open_a_disk(facts: Facts) -> None:
    os.close(os.open(facts["disk"], os.O_RDONLY))


def move_to_another_control_group(facts: Facts) -> None:
    os.close(os.open(facts["control_group"], os.O_WRONLY))


def reach_a_terminal(facts: Facts) -> None:
    os.close(os.open("/dev/tty", os.O_RDWR))


def find_descriptors_that_are_not_its_own(facts: Facts) -> None:
    fds = [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in fds if int(fd) > 2]
    pipes = [link for link in links if link.startswith("pipe:")]
    assert len(pipes) > 2 or len(links) > len(pipes), "only its gate and its report pipe"


# Files, memory


def fill_the_hosts_tmp(facts: Facts) -> None:
    with open(f"/tmp/{facts['mark']}.{os.getpid()}", "wb") as file:
        for _ in range(4):
            file.write(bytes(2**20))
            file.flush()


def read_files_of_others_in_tmp(facts: Facts) -> None:
    Path(facts["in_tmp"]).read_bytes()


def write_where_its_user_may(facts: Facts) -> None:
    (Path(facts["elsewhere"]) / f"{facts['mark']}.{os.getpid()}").touch()


def use_the_shared_memory_of_others(facts: Facts) -> None:
    found = libc.shmget(facts["shm_key"], 0, 0) != -1 or os.path.exists(f"/dev/shm/{facts['mark']}")
    assert found, "there is none"


def any_of(pids: list[int], attempt: Callable[[int], object]) -> None:
    """Through as soon as one of them gives way."""
    errors = []
    for pid in pids:
        try:
            attempt(pid)
        except OSError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def _take(key: bytes) -> None:
    _called(libc.syscall(SYS_KEYCTL, KEYCTL_SEARCH, SESSION_KEYRING, b"user", key, 0))


def _trace(pid: int) -> None:
    _called(libc.ptrace(PTRACE_SEIZE, pid, 0, 0))
    libc.ptrace(PTRACE_DETACH, pid, 0, 0)


def _take_a_descriptor(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        os.close(_called(libc.syscall(SYS_PIDFD_GETFD, pidfd, 0, 0)))
    finally:
        os.close(pidfd)


def _called(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
