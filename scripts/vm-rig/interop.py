#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Linux's own initiator against Martlet, in a virtual machine of Debian's packages.

interop.py MARTLET [--cache FOLDER] [--document FILE]

The guest reaches the host's loopback as 10.0.2.2, so the portals advertise that. Results go to standard output and,
with --document, into the file between its marks; progress to standard error. Exit status 1 when anything failed.
"""
import argparse
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

import image
import machine

GUEST_VIEW = "10.0.2.2"
TARGET = "iqn.2026-11.org.martlet:interop"
MEGABYTES = 24
DISK_MEGABYTES = 192
REPLACEMENT_SECONDS = 120
LIMIT_SECONDS = 1500
START_SECONDS = 30
# The time for which the server is away.
ABSENCE_SECONDS = 4
BEGIN = "<!-- make interop writes from here -->"
END = "<!-- to here -->"

# CHAP's algorithms, as open-iscsi names them; each is tried one-way and mutual. Empty: the server has none.
CHAP_ALGORITHMS = ["MD5", "SHA1", "SHA256", "SHA3-256"]
CHAP_USERS = {"user": ("guest", "a secret for guest"), "mutual": ("martlet", "a secret of martlet")}

WORDS = {
    "prepare": "the guest's daemons run",
    "discovery": "discovery names both portals, by the advertised address",
    "login": "login, INQUIRY, logout",
    "file-system": "mkfs.ext4, mount, fio with verification, fsck",
    "kill-one-path": "`kill -9` of Martlet under load, started again: fio's verification and fsck are clean",
    "two-paths": "two portals of one target are two paths of one multipath map",
    "multipath-file-system": "the same over multipath",
    "kill-two-paths": "`kill -9` under load over multipath",
    "logout": "logout of all sessions",
}


def words(name):
    if name.startswith("digests-"):
        _, header, data = name.split("-")
        return f"HeaderDigest {header}, DataDigest {data}: negotiated, 4 MiB written, read and compared"
    if name.startswith("chap-"):
        algorithm = name.removeprefix("chap-").removesuffix("-mutual")
        if name.endswith("-mutual"):
            return f"CHAP with {algorithm}, mutual"
        return f"CHAP with {algorithm}: login with the right secret, refusal of a wrong one"
    return WORDS.get(name, name)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`martlet serve` with a file behind one target on two portals."""

    def __init__(self, martlet, folder):
        self.ports = [free_port(), free_port()]
        self._folder = folder
        self._process = None
        portals = "".join(
            f"  - {{listen: \"127.0.0.1:{port}\", advertise: \"{GUEST_VIEW}:{port}\"}}\n" for port in self.ports)
        (folder / "martlet.yaml").write_text(
            f"portals:\n{portals}devices:\n"
            f"  disk: {{backstore: \"file/{folder}/disk.img\", size: {DISK_MEGABYTES}M}}\n  memory: {{backstore: ram/1M}}\n"
            f"targets:\n  {TARGET}:\n    luns: {{0: disk}}\n{self._authenticated_targets()}")
        self._command = [martlet, "serve", "--config", folder / "martlet.yaml", "--state-dir", folder / "state"]

    def _authenticated_targets(self):
        """Sections of the targets NAME:chap and NAME:chap-mutual; their secrets are files."""
        if not CHAP_ALGORITHMS:
            return ""
        for name, (_, secret) in CHAP_USERS.items():
            path = self._folder / f"{name}.secret"
            path.touch(mode=0o600)
            path.write_text(secret.replace(" ", "-"))
        one = f"method: chap, user: {CHAP_USERS['user'][0]}, secret-file: \"{self._folder}/user.secret\""
        other = f"mutual: {{user: {CHAP_USERS['mutual'][0]}, secret-file: \"{self._folder}/mutual.secret\"}}"
        return (f"  {TARGET}.chap:\n    luns: {{0: memory}}\n    auth: {{{one}}}\n"
                f"  {TARGET}.chap-mutual:\n    luns: {{0: memory}}\n    auth: {{{one}, {other}}}\n")

    def start(self):
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True)
        if not self._process.stdout.readline().startswith("iscsi://"):
            raise machine.MachineError("the server does not start:\n" + machine.tail(self._folder / "server.log"))

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        if not self._process or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


def chap_lines():
    (user, secret), (other, proof) = [(name, text.replace(" ", "-")) for name, text in CHAP_USERS.values()]
    for algorithm in CHAP_ALGORITHMS:
        yield f"{TARGET}.chap {algorithm} {user} {secret}"
        yield f"{TARGET}.chap-mutual {algorithm} {user} {secret} {other} {proof}"


def script(server):
    values = {"host": GUEST_VIEW, "ports": " ".join(map(str, server.ports)), "target": TARGET,
              "chap": "\n".join(chap_lines()),
              "megabytes": MEGABYTES, "replacement": REPLACEMENT_SECONDS}
    settings = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
    return settings + (image.HERE / "guest/initiator.sh").read_text()


def run(martlet, guest, logs):
    """[(name, passed, seconds, note)], and the guest's seconds until it was ready."""
    results, boot, ended = [], 0.0, False
    with tempfile.TemporaryDirectory(prefix="martlet-interop-") as name:
        folder = pathlib.Path(name)
        server = Server(martlet, folder)
        try:
            server.start()
            with machine.Machine(guest, script(server), logs / "guest.log") as vm:
                for line in vm.words(LIMIT_SECONDS):
                    verb, _, rest = line.partition(" ")
                    if verb == "boot":
                        boot = float(rest)
                        image.log(f"the guest runs after {boot:.0f} s")
                    elif verb == "begin":
                        image.log(rest)
                    elif verb in ("pass", "fail"):
                        check, seconds, note = (rest.split(" ", 2) + ["", ""])[:3]
                        results.append((check, verb == "pass", float(seconds), note.strip()))
                        image.log(f"{rest}: {verb}")
                    elif line == "host restart":
                        server.kill()
                        image.log(f"the server is killed, and started again after {ABSENCE_SECONDS} s")
                        time.sleep(ABSENCE_SECONDS)
                        server.start()
                    elif verb == "end":
                        ended = True
            if not ended:
                raise machine.MachineError("the guest ended before its script did")
        except machine.MachineError as error:
            results.append(("the run", False, 0.0, str(error)))
            image.log(str(error))
            image.log(machine.tail(logs / "guest.log"))
        finally:
            server.stop()
            (logs / "server.log").write_bytes((folder / "server.log").read_bytes())
    return results, boot


def table(martlet, guest, results):
    version = subprocess.run([martlet, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    names = ", ".join(f"{name} {number}" for name, number in guest["versions"].items())
    emulator = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    lines = [f"{version.capitalize()}. Guest: {names}. {emulator.splitlines()[0]}, software emulation.", "",
             "| check | result | seconds | |", "|---|---|---|---|"]
    for name, passed, seconds, note in results:
        lines.append(f"| {words(name)} | {'passed' if passed else '**failed**'} | {seconds:.1f} | {note} |")
    passed = sum(1 for result in results if result[1])
    lines += ["", f"{passed} of {len(results)} passed."]
    return "\n".join(lines) + "\n"


def write(document, text):
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no lines {BEGIN!r} and {END!r}")
    document.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("martlet", type=pathlib.Path)
    parser.add_argument("--cache", type=pathlib.Path, default=image.HERE.parent.parent / "build" / "vm-rig",
                        help="where the guest is built, once (default: build/vm-rig)")
    parser.add_argument("--document", type=pathlib.Path, help="write the results into this file, between its marks")
    given = parser.parse_args()
    try:
        guest = image.build(given.cache.resolve())
    except image.ImageError as error:
        raise SystemExit(f"vm-rig: {error}") from error
    results, _ = run(given.martlet.resolve(), guest, given.cache)
    text = table(given.martlet.resolve(), guest, results)
    print(text)
    if given.document:
        write(given.document, text)
    if not all(result[1] for result in results):
        raise SystemExit(f"vm-rig: not everything passed: see guest.log and server.log in {given.cache}")


if __name__ == "__main__":
    main()
