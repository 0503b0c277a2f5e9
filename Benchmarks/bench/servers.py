# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured: started, found by the URL they print, stopped by process id."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence

START_SECONDS = 20
STOP_SECONDS = 5
POLL_SECONDS = 0.02
TGT_CONTROL_PORTS = range(1000, 32000)  # tgtd -C takes a short
PR_SET_PDEATHSIG = 1


Command = Sequence[str | os.PathLike[str]]


class ServerError(Exception):
    """A server that cannot be measured; the text says why."""


def _die_with_parent() -> None:
    """In the child: end when the runner ends, even if it is killed and the child is stopped then."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A command that prints an iscsi:// URL and serves until it is told to end."""

    def __init__(self, name: str, command: Command, cpus: set[int] | None = None,
                 environment: dict[str, str] | None = None, unwanted: str = "") -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.cpus = cpus
        self.environment = environment  # beside our own
        self.unwanted = unwanted        # what it says when it serves in another way than was meant
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: pathlib.Path | None = None
        self.url = ""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process, f"{self.name} was not started"
        return self._process

    def start(self) -> None:
        self._launch(self.command)
        self.url = self._wait_for_url()
        if self.unwanted and self.unwanted in self._said("err"):
            raise ServerError(f"{self.name}: {self._said('err').strip()[-400:]}")

    def _launch(self, command: list[str]) -> None:
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-bench-"))
        with open(self._folder / "out", "wb") as out, open(self._folder / "err", "wb") as err:
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                    env={**os.environ, **(self.environment or {})},
                    start_new_session=True, preexec_fn=_die_with_parent)
            except OSError as error:
                raise ServerError(f"{self.name}: {error}") from error
        if self.cpus:
            os.sched_setaffinity(self.process.pid, self.cpus)

    def _said(self, stream: str) -> str:
        return (self._folder / stream).read_text(errors="replace") if self._folder else ""

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in self._said("out").splitlines():
                if line.startswith("iscsi://"):
                    return line.strip()
            self.check()
            time.sleep(POLL_SECONDS)
        raise ServerError(f"{self.name} printed no iscsi:// URL within {START_SECONDS} seconds")

    def check(self) -> None:
        """Raises when the server has ended, with the last it said."""
        if self.process.poll() is not None:
            said = self._said("err").strip()[-400:]
            raise ServerError(f"{self.name} ended with status {self.process.returncode}: {said or 'no message'}")

    def pause(self) -> None:
        """Not measured now: must not disturb the others, not even by polling."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class TgtServer(Server):
    """tgtd with a control socket of its own, and a file in memory behind its LUN."""

    TARGET = "iqn.2026-11.org.martlet:tgt"
    LUN = "1"  # LUN 0 is tgt's controller

    def __init__(self, name: str, store: str, lun_bytes: int, cpus: set[int] | None = None) -> None:
        super().__init__(name, [], cpus)
        self.store = store
        self.lun_bytes = lun_bytes
        self.backing_file: str | None = None
        self.control_port: int | None = None

    @staticmethod
    def reason_it_cannot_run() -> str | None:
        """A sentence, or None."""
        if not shutil.which("tgtd") or not shutil.which("tgtadm"):
            return "tgt is not installed (apt-get install tgt)"
        if os.geteuid() != 0:
            return "tgtd runs as root only"
        return None

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.control_port = TGT_CONTROL_PORTS[port % len(TGT_CONTROL_PORTS)]
        with tempfile.NamedTemporaryFile(prefix="martlet-bench-", dir="/dev/shm", delete=False) as backing:
            self.backing_file = backing.name
            backing.truncate(self.lun_bytes)
        self._launch(["tgtd", "-f", "-C", str(self.control_port), "--iscsi", f"portal=127.0.0.1:{port}"])
        deadline = time.monotonic() + START_SECONDS
        while not self._control("target", "new", "-T", self.TARGET):
            self.check()
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name}: tgtadm cannot reach tgtd")
            time.sleep(POLL_SECONDS)
        if not self._control("logicalunit", "new", "--lun", self.LUN, "-b", str(self.backing_file),
                             "--bstype", self.store):
            raise ServerError(f"{self.name}: tgt has no store of type {self.store}")
        if not self._control("target", "bind", "-I", "ALL"):
            raise ServerError(f"{self.name}: tgtadm cannot open the target to initiators")
        self.url = f"iscsi://127.0.0.1:{port}/{self.TARGET}/{self.LUN}"

    def _control(self, mode: str, operation: str, *arguments: str) -> bool:
        command = ["tgtadm", "-C", str(self.control_port), "--lld", "iscsi", "--mode", mode, "--op", operation,
                   "--tid", "1", *arguments]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=START_SECONDS, check=False).returncode == 0

    def stop(self) -> None:
        super().stop()
        if self.backing_file:
            pathlib.Path(self.backing_file).unlink(missing_ok=True)
        if self.control_port:  # tgtd leaves these behind
            for suffix in ("", ".lock"):
                pathlib.Path(f"/var/run/tgtd/socket.{self.control_port}{suffix}").unlink(missing_ok=True)
