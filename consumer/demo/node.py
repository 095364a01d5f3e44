"""A private RabbitMQ node with its own ports, directory and epmd. It leaves nothing when it is closed.

Role: the broker of `deedbox demo` and of the tests. Invariant: it does not touch any other node of the machine. Needs Debian's package `rabbitmq-server`, of the system or of a chroot; runs as any user, in a chroot as root.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom
from typing import Self

from consumer.errors import Exit, Fatal

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S_MAX = 60.0
_PORTS = (10_000, 30_000)
_GREETING = b"AMQP\x00\x00\x09\x01"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface on which no process listens, all different.

    They are below the range from which the kernel chooses ports for connections, so that no connection takes one between this call and the
    start of the server, or while the server is restarted.
    """
    with ExitStack() as stack:
        return [_bound(stack) for _ in range(count)]


def _bound(stack: ExitStack) -> int:
    """A port that stays in use until the stack is closed, so that the next call does not return it too."""
    while True:
        sock, port = stack.enter_context(socket.socket()), SystemRandom().randrange(*_PORTS)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port


class Node:
    """One node. `root` is empty or does not exist; `close` removes it.

    `chroot`: the root of another system that has RabbitMQ. `root` must have the same path inside it.
    """

    def __init__(
        self, root: Path | None = None, extra_conf: str = "", plugins: Sequence[str] = (), chroot: Path | None = None
    ) -> None:
        self.root = root or Path(tempfile.mkdtemp(prefix="deedbox-rabbit-"))
        self.port, self._dist, self.epmd_port = free_ports(3)
        self.name = f"deedbox-{self.port}@localhost"
        self._process: subprocess.Popen[bytes] | None = None
        self._enter = ["chroot", str(chroot)] if chroot else []
        self._write_files(extra_conf, plugins)

    @property
    def url(self) -> str:
        """The URL of the default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def _write_files(self, extra_conf: str, plugins: Sequence[str]) -> None:
        for directory in ("mnesia", "log", "home"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        (self.root / "enabled_plugins").write_text(f"[{','.join(plugins)}].")
        (self.root / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            "log.console = false\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 50MB\n" + extra_conf
        )
        cookie = self.root / "home" / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text("DEEDBOX")
            cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        root = self.root
        return os.environ | {
            "HOME": str(root / "home"),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(root / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(root / "mnesia"),
            "RABBITMQ_LOG_BASE": str(root / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_PID_FILE": str(root / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(root / "generated"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(root / "feature_flags"),
            # On machines of few cores, RabbitMQ's default of never spinning makes the start three times as long.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt long +sbwtdio long",
            "RABBITMQ_CTL_ERL_ARGS": "+S 1:1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": "/dev/null",
        }

    def start(self) -> None:
        """Start, and wait until it answers on its AMQP port. Raises Fatal with the end of its output."""
        with (self.root / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [*self._enter, SERVER], env=self._environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S_MAX
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Fatal(Exit.NO_BROKER, "RabbitMQ does not start", (self.root / "output").read_text()[-500:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as probe:
                probe.sendall(_GREETING)
                probe.settimeout(5.0)
                return bool(probe.recv(1))
        except OSError:
            return False

    def control(self, *arguments: str, tool: str = "rabbitmqctl") -> str:
        """Run rabbitmqctl or another `tool` on this node and return its output."""
        command = [*self._enter, str(SERVER.with_name(tool)), "-q", "-n", self.name, *arguments]
        return subprocess.check_output(command, env=self._environment(), stderr=subprocess.STDOUT, text=True)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Stop the node and the processes that it started. It can be started again."""
        if self._process is None:
            return
        if sign == signal.SIGTERM:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                pass  # the whole process group is killed next
        _kill_group(self._process.pid)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop the node and its epmd, and remove the directory."""
        self.stop(signal.SIGKILL)
        _kill_epmd(self.epmd_port)
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all have ended


def _kill_epmd(port: int) -> None:
    """epmd is a daemon that outlives its node. It is identified by the port in its environment."""
    mark = f"ERL_EPMD_PORT={port}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        if _is_epmd(process, mark):
            os.kill(int(process.name), signal.SIGKILL)
            while _is_epmd(process, mark):
                time.sleep(0.01)


def _is_epmd(process: Path, mark: bytes) -> bool:
    try:
        return (process / "comm").read_text().strip() == "epmd" and mark in (process / "environ").read_bytes()
    except OSError:
        return False  # it has ended, or belongs to another user
