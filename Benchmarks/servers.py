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

START_SECONDS = 20
STOP_SECONDS = 5
POLL_SECONDS = 0.02
TGT_CONTROL_PORTS = range(1000, 32000)  # tgtd -C takes a short
PR_SET_PDEATHSIG = 1


class ServerError(Exception):
    """A server that cannot be measured; the text says why."""


def _die_with_parent():
    """In the child: end when the runner ends, even if it is killed and the child is stopped then."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A command that prints an iscsi:// URL and serves until it is told to end."""

    def __init__(self, name, command, cpus=None):
        self.name = name
        self.command = command
        self.cpus = cpus
        self.process = None
        self.url = None
        self.folder = None

    def start(self):
        self._launch(self.command)
        self.url = self._wait_for_url()

    def _launch(self, command):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-bench-"))
        with open(self.folder / "out", "wb") as out, open(self.folder / "err", "wb") as err:
            try:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                    start_new_session=True, preexec_fn=_die_with_parent)
            except OSError as error:
                raise ServerError(f"{self.name}: {error}") from error
        if self.cpus:
            os.sched_setaffinity(self.process.pid, self.cpus)

    def _wait_for_url(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in (self.folder / "out").read_text(errors="replace").splitlines():
                if line.startswith("iscsi://"):
                    return line.strip()
            self.check()
            time.sleep(POLL_SECONDS)
        raise ServerError(f"{self.name} printed no iscsi:// URL within {START_SECONDS} seconds")

    def check(self):
        """Raises when the server has ended, with the last it said."""
        if self.process.poll() is not None:
            said = (self.folder / "err").read_text(errors="replace").strip()[-400:]
            raise ServerError(f"{self.name} ended with status {self.process.returncode}: {said or 'no message'}")

    def pause(self):
        """Not measured now: must not disturb the others, not even by polling."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class TgtServer(Server):
    """tgtd with a control socket of its own, and a file in memory behind its LUN."""

    TARGET = "iqn.2026-11.org.martlet:tgt"
    LUN = "1"  # LUN 0 is tgt's controller

    def __init__(self, name, store, lun_bytes, cpus=None):
        super().__init__(name, None, cpus)
        self.store = store
        self.lun_bytes = lun_bytes
        self.backing_file = None
        self.control_port = None

    @staticmethod
    def reason_it_cannot_run():
        """A sentence, or None."""
        if not shutil.which("tgtd") or not shutil.which("tgtadm"):
            return "tgt is not installed (apt-get install tgt): its columns are left out."
        if os.geteuid() != 0:
            return "tgtd runs as root only: the columns of tgt are left out."
        return None

    def start(self):
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
        if not self._control("logicalunit", "new", "--lun", self.LUN, "-b", self.backing_file,
                             "--bstype", self.store):
            raise ServerError(f"{self.name}: tgt has no store of type {self.store}")
        if not self._control("target", "bind", "-I", "ALL"):
            raise ServerError(f"{self.name}: tgtadm cannot open the target to initiators")
        self.url = f"iscsi://127.0.0.1:{port}/{self.TARGET}/{self.LUN}"

    def _control(self, mode, operation, *arguments):
        command = ["tgtadm", "-C", str(self.control_port), "--lld", "iscsi", "--mode", mode, "--op", operation,
                   "--tid", "1", *arguments]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=START_SECONDS, check=False).returncode == 0

    def stop(self):
        super().stop()
        if self.backing_file:
            pathlib.Path(self.backing_file).unlink(missing_ok=True)
        if self.control_port:  # tgtd leaves these behind
            for suffix in ("", ".lock"):
                pathlib.Path(f"/var/run/tgtd/socket.{self.control_port}{suffix}").unlink(missing_ok=True)
