"""The pre-imported parent of all steps: forks children ahead, reports how each ended.

It is started by `runners.nursery` with an empty environment, imports everything a step may need once,
and from then on only forks, reaps and talks to its host over one SOCK_SEQPACKET socket:

host to zygote   {"fork": n, "warm": bool}: children, warmed if nobody waits for them
zygote to host   {"ready": layers} once; {"child": id} with the child's reply socket and pidfd;
                 {"exit": id, "status": waitstatus, "cpu": seconds, "peak": bytes}; {"failed": text}

The zygote never reads anything a step wrote.
"""

from __future__ import annotations

import codecs
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from dataclasses import dataclass, field
from typing import NoReturn

from rlm_rs.sandbox import child, lockdown
from rlm_rs.sandbox.birth import Birth
from rlm_rs.sandbox.frames import ConnectionEnded
from rlm_rs.sandbox.syscalls import SeccompUnavailable

MESSAGE_BYTES = 1 << 16
ENCODINGS = (
    "ascii utf-8 utf-8-sig utf-7 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be latin-1 iso8859-2"
    " iso8859-15 cp437 cp850 cp1250 cp1251 cp1252 koi8-r mac-roman idna punycode unicode-escape"
    " raw-unicode-escape hex base64 rot13 zlib quopri"
)
"""Encodings that step code may name."""
GARBAGE_OBJECTS = 50_000
"""New objects before a child looks for garbage in cycles."""
REHEARSALS = 20
"""CPython specialises code that has run a few times; what is specialised here, no child writes to."""


@dataclass(slots=True)
class Zygote:
    """The state of the fork loop: the host's socket, and the children by process id."""

    control: socket.socket
    host: int | None
    wakeup: int
    inheritance: child.Inheritance
    children: dict[int, int] = field(default_factory=dict)
    born: int = 0

    def say(self, message: dict[str, object], descriptors: tuple[int, ...] = ()) -> None:
        """Send one message to the host; blocks while the host is behind."""
        body = json.dumps(message).encode()
        socket.send_fds(self.control, [body], descriptors)

    def fork(self, warm: bool) -> None:
        """Bear one child and hand its reply socket and pidfd to the host."""
        host_end, child_end = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            become_child(child_end, self.inheritance, warm)
        child_end.close()
        self.born += 1
        self.children[pid] = self.born
        pidfd = os.pidfd_open(pid)
        self.say({"child": self.born}, (host_end.fileno(), pidfd))
        host_end.close()
        os.close(pidfd)

    def reap(self) -> None:
        """Report every child that has ended."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            cpu = used.ru_utime + used.ru_stime
            born = self.children.pop(pid, None)
            if born is not None:
                self.say({"exit": born, "status": status, "cpu": cpu, "peak": used.ru_maxrss * 1024})

    def obey(self) -> None:
        """Do what the host's next message says. Raises `ConnectionEnded` when the host is gone."""
        body = self.control.recv(MESSAGE_BYTES)
        if not body:
            raise ConnectionEnded
        message = json.loads(body)
        for _ in range(message["fork"]):
            self.fork(message["warm"])
            self.reap()


def become_child(reply_socket: socket.socket, inheritance: child.Inheritance, warm: bool) -> NoReturn:
    """The child's side of the fork: keep the reply socket alone, then wait for a step."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.stdin = sys.stdout = sys.stderr = None
    kept = reply_socket.fileno()
    os.closerange(0, kept)
    os.closerange(kept + 1, 1 << 16)
    child.live(reply_socket, inheritance, warm)


def _private_data_bytes() -> int:
    """What RLIMIT_DATA already counts here: private writable memory (proc(5), statm field 6)."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[5]) * os.sysconf("SC_PAGESIZE")


def _watch_children() -> int:
    """A descriptor that becomes readable when a child ends."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return readable


def tend(zygote: Zygote) -> None:
    """Fork and reap until the host is gone: its socket ends, or its process does."""
    poll = select.poll()
    for descriptor in (zygote.control.fileno(), zygote.wakeup, zygote.host):
        if descriptor is not None:
            poll.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if zygote.host in ready:
            return
        if zygote.wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(zygote.wakeup, MESSAGE_BYTES)
            zygote.reap()
        if zygote.control.fileno() in ready:
            zygote.obey()


def load_encodings() -> None:
    """Python imports an encoding when it is first named, which a locked process cannot do."""
    for name in ENCODINGS.split():
        codecs.lookup(name)


def _prepare(control: socket.socket, birth: Birth) -> Zygote:
    os.environ.clear()
    load_encodings()
    lockdown.prefer_as_memory_victim()
    nothing = child.empty_corpus()
    for _ in range(REHEARSALS):
        child.rehearse(nothing)
    inheritance = child.Inheritance(os.getpid(), _private_data_bytes(), nothing)
    layers = lockdown.lock_zygote(birth.namespaces, birth.leave_out)
    gc.collect()
    gc.freeze()
    # a collection writes to every object it looks at; a step's memory limit is what bounds its garbage
    gc.set_threshold(GARBAGE_OBJECTS, 50, 1_000)
    zygote = Zygote(control, birth.host, _watch_children(), inheritance)
    zygote.say({"ready": layers.to_dict()})
    return zygote


def main(birth: Birth) -> None:
    """Run a zygote for the host at the other end of `birth.control`, until the host is gone."""
    control = socket.socket(fileno=birth.control)
    try:
        zygote = _prepare(control, birth)
    except SeccompUnavailable as error:
        control.send(json.dumps({"failed": str(error)}).encode())
        return
    except Exception:  # noqa: BLE001 - the process edge: the host is told why there will be no zygote
        control.send(json.dumps({"failed": traceback.format_exc()[-4000:]}).encode())
        return
    with contextlib.suppress(ConnectionEnded, ConnectionResetError, BrokenPipeError):
        tend(zygote)
