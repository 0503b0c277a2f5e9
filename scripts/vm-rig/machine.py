# SPDX-License-Identifier: Apache-2.0
"""Boots the guest and listens to what it says.

The guest's script comes by QEMU's firmware configuration, its words by the serial line. A line that begins with "@@ "
is meant for the host; everything else is the log.
"""
import os
import pathlib
import select
import subprocess
import tempfile
import time

MEMORY_MEGABYTES = 2048
MARK = "@@ "
KERNEL_WORDS = """console=ttyS0 quiet loglevel=3 panic=-1 net.ifnames=0 mitigations=off audit=0 apparmor=0 nokaslr
no_timer_check tsc=reliable random.trust_cpu=on nowatchdog cryptomgr.notests rdinit=/init""".split()


class MachineError(Exception):
    """The guest did not do what any guest does."""


class Machine:
    """One run of the guest, for as long as a `with` takes."""

    def __init__(self, image, script, log_path):
        self._script = tempfile.NamedTemporaryFile("w", prefix="martlet-guest-", suffix=".sh")
        self._script.write(script)
        self._script.flush()
        self._log = open(log_path, "w", encoding="utf-8", errors="replace")
        self._rest = b""
        # Software emulation is the same everywhere; where the processor can help, this lets it.
        accelerator = os.environ.get("MARTLET_VM_ACCELERATOR", "tcg,thread=multi,tb-size=512")
        self._command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "q35,usb=off,sata=off,smbus=off", "-accel", accelerator, "-cpu", "Nehalem",
            "-smp", "2", "-m", str(MEMORY_MEGABYTES), "-kernel", image["kernel"], "-initrd", image["initrd"],
            "-append", " ".join(KERNEL_WORDS), "-serial", "stdio",
            "-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-device", "virtio-rng-pci",
            "-fw_cfg", f"name=opt/martlet/script,file={self._script.name}",
        ]

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_unused):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
        self._script.close()

    def words(self, limit_seconds):
        """Each line for the host, without its mark, until the guest ends."""
        deadline = time.monotonic() + limit_seconds
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise MachineError(f"the guest has not ended within {limit_seconds} s")
            ready, _, _ = select.select([self._process.stdout], [], [], remaining)
            if not ready:
                continue
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                return
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").rstrip("\r")
                self._log.write(text + "\n")
                self._log.flush()
                # The kernel may have said something in the same line.
                if MARK in text:
                    yield text.partition(MARK)[2]


def tail(log_path, count=30):
    return "\n".join(pathlib.Path(log_path).read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
