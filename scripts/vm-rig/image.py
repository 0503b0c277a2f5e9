# SPDX-License-Identifier: Apache-2.0
"""The guest: Debian's kernel, uncompressed, and one initial file system with all that tests need, made of packages.

Nothing is mounted and no disk is made: packages are read as archives, and the file system is an archive in memory, so
any user can build it whom mmdebstrap serves.
"""
import hashlib
import io
import json
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
GUEST_FILES = ["init", "udev.rules", "multipath.conf"]

# Without what they only recommend.
PACKAGES = """bash coreutils util-linux mount kmod udev procps iproute2 open-iscsi multipath-tools sg3-utils fio
e2fsprogs""".split()
# In the report, beside the kernel.
REPORTED = ["open-iscsi", "multipath-tools", "sg3-utils", "fio", "e2fsprogs"]

# With what they need. All other modules stay out: the guest has no other hardware.
MODULES = """virtio_pci virtio_net virtio_rng qemu_fw_cfg iscsi_tcp sd_mod sg scsi_dh_alua dm_multipath dm_service_time
dm_round_robin dm_queue_length ext4 crc32c_generic crc32c_intel""".split()

LEFT_OUT = re.compile(r"usr/share/(doc|man|locale|info|lintian|bug)/|var/(cache/apt|lib/apt/lists)/.|boot/|dev/.")


class ImageError(Exception):
    """The guest cannot be built; the text says why, and what to do."""


def log(text):
    print(f"vm-rig: {text}", file=sys.stderr, flush=True)


def run(command, **options):
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options).stdout
    except FileNotFoundError as error:
        raise ImageError(f"{command[0]} is not installed: scripts/install-packages.sh interop installs it") from error
    except subprocess.CalledProcessError as error:
        raise ImageError(f"{command[0]}: {error.stderr.decode(errors='replace').strip()[-600:]}") from error


class Archive:
    """An initial file system in the format that the kernel unpacks (cpio, "newc")."""

    def __init__(self, path):
        self._file = open(path, "wb")
        self._count = 0

    def add(self, name, mode, data=b"", device=(0, 0), owner=(0, 0)):
        self._count += 1
        encoded = name.encode() + b"\0"
        fields = [self._count, mode, *owner, 1, 0, len(data), 0, 0, *device, len(encoded), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._write(header + encoded)
        self._write(data)

    def _write(self, data):
        self._file.write(data + b"\0" * (-len(data) % 4))

    def close(self):
        self.add("TRAILER!!!", 0)
        self._file.close()


def suite():
    text = pathlib.Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r"^VERSION_CODENAME=(\S+)$", text, re.MULTILINE)
    if not found or not re.search(r"^ID=debian$", text, re.MULTILINE):
        raise ImageError("the guest is made of Debian's packages: build it on Debian")
    return found[1]


def uncompressed_kernel(image):
    """The ELF inside a bzImage: a guest without hardware support would take seconds to unpack it itself."""
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start:start + length]
    if payload.startswith(b"\xfd7zXZ\0"):
        kernel = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(b"\x28\xb5\x2f\xfd"):
        kernel = run(["zstd", "-dc"], input=payload)
    else:
        raise ImageError("the kernel's compression is not known")
    if not kernel.startswith(b"\x7fELF"):
        raise ImageError("the kernel's payload is no ELF file")
    return kernel


def kernel_package():
    depends = run(["apt-cache", "depends", "linux-image-amd64"]).decode()
    found = re.search(r"Depends: (linux-image-[0-9]\S+)", depends)
    if not found:
        raise ImageError("apt knows no linux-image-amd64: run 'apt-get update'")
    return found[1]


def unpack_kernel(folder):
    """The kernel's version, after its package was unpacked in `folder`."""
    package = kernel_package()
    log(f"downloading {package}")
    run(["apt-get", "download", package], cwd=folder)
    archive = next(folder.glob("linux-image-*.deb"))
    run(["dpkg-deb", "--extract", archive, folder / "kernel"])
    return package, run(["dpkg-deb", "--field", archive, "Version"]).decode().strip()


def modules(folder):
    """{path in the guest: content}: the modules that are needed, and what modprobe reads."""
    base = folder / "kernel"
    # depmod looks where merged systems have it.
    if not (base / "lib/modules").exists():
        raise ImageError("the kernel's package has no modules")
    version = next((base / "lib/modules").iterdir()).name
    depmod = shutil.which("depmod", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    run([depmod or "depmod", "-b", base, version])
    needs = {}
    for line in (base / "lib/modules" / version / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[name] = rest.split()
    by_name = {pathlib.Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    wanted = set()
    for name in MODULES:
        if name in by_name:
            wanted |= {by_name[name], *needs[by_name[name]]}
    kept = folder / "kept"
    for path in wanted:
        target = kept / "lib/modules" / version / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(base / "lib/modules" / version / path, target)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(base / "lib/modules" / version / name, kept / "lib/modules" / version / name)
    run([depmod or "depmod", "-b", kept, version])
    return {f"usr/{path.relative_to(kept)}": path.read_bytes() for path in kept.rglob("*") if path.is_file()}


def copy_root(tar, archive):
    """Everything of the guest's root; gives what dpkg has noted of its packages."""
    status = b""
    contents = {}
    for member in tar:
        name = member.name.removeprefix("./").rstrip("/")
        if not name or name == "." or LEFT_OUT.match(name + ("/" if member.isdir() else "")):
            continue
        owner = (member.uid, member.gid)
        if member.isdir():
            archive.add(name, 0o040000 | member.mode, owner=owner)
        elif member.issym():
            archive.add(name, 0o120777, member.linkname.encode(), owner=owner)
        elif member.isfile() or member.islnk():
            data = contents[member.linkname.removeprefix("./")] if member.islnk() else tar.extractfile(member).read()
            contents[name] = data
            archive.add(name, 0o100000 | member.mode, data, owner=owner)
            if name == "var/lib/dpkg/status":
                status = data
    return status.decode()


def package_versions(status):
    versions = {}
    for entry in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version): (.+)$", entry, re.MULTILINE))
        if fields.get("Package") in REPORTED:
            versions[fields["Package"]] = fields["Version"]
    return versions


def stamp():
    """Of all that the guest is made from, but for the packages' versions."""
    text = " ".join([*PACKAGES, *MODULES, suite()]).encode() + pathlib.Path(__file__).read_bytes()
    for name in GUEST_FILES:
        text += (HERE / "guest" / name).read_bytes()
    return hashlib.sha256(text).hexdigest()


def build(cache):
    """Makes the guest in the folder `cache`, unless it is there. {"kernel", "initrd": paths, "versions": ...}."""
    cache.mkdir(parents=True, exist_ok=True)
    note = cache / "image.json"
    if note.exists() and json.loads(note.read_text()).get("stamp") == stamp():
        return json.loads(note.read_text())
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = pathlib.Path(name)
        # apt's own user may want to read there.
        folder.chmod(0o755)
        package, version = unpack_kernel(folder)
        kernel = next((folder / "kernel/boot").glob("vmlinuz-*"))
        (folder / "vmlinux").write_bytes(uncompressed_kernel(kernel.read_bytes()))
        log("putting the guest's packages together: a minute or two, once")
        root = run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES),
                    "--aptopt=APT::Install-Recommends \"false\"", "--format=tar", suite(), "-"])
        archive = Archive(folder / "initrd.cpio")
        with tarfile.open(fileobj=io.BytesIO(root)) as tar:
            versions = package_versions(copy_root(tar, archive))
        folders = set()
        for path, data in sorted(modules(folder).items()):
            for parent in reversed(pathlib.PurePosixPath(path).parents):
                # usr and usr/lib are the root's own.
                if str(parent) not in (".", "usr", "usr/lib") and parent not in folders:
                    folders.add(parent)
                    archive.add(str(parent), 0o040755)
            archive.add(path, 0o100644, data)
        archive.add("init", 0o100755, (HERE / "guest/init").read_bytes())
        archive.add("etc/udev/rules.d/99-rig.rules", 0o100644, (HERE / "guest/udev.rules").read_bytes())
        archive.add("etc/multipath.conf", 0o100644, (HERE / "guest/multipath.conf").read_bytes())
        archive.add("dev/console", 0o020600, device=(5, 1))
        archive.close()
        for name in ("vmlinux", "initrd.cpio"):
            (folder / name).replace(cache / name)
    result = {"stamp": stamp(), "kernel": str(cache / "vmlinux"), "initrd": str(cache / "initrd.cpio"),
              "versions": {"Linux": f"{package} {version}", **versions}}
    note.write_text(json.dumps(result, indent=1))
    return result
