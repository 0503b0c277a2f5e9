# SPDX-License-Identifier: Apache-2.0
"""The programs that scripts/conformance/run.py runs: a server, and libiscsi's test program against it."""
import ctypes
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field

PROGRAM = "iscsi-test-cu"
# The slowest family takes 15 seconds; a machine that does much else may take a few times that.
FAMILY_LIMIT_SECONDS = 180
GROUP_LIMIT_SECONDS = 600
START_LIMIT_SECONDS = 30
STOP_LIMIT_SECONDS = 60


class NotAvailable(Exception):
    """The server refuses the set-up, in its own words."""


class Server:
    """`martlet serve` with one LUN, for as long as a `with` takes; `failure` says afterwards if it did not end well."""

    def __init__(self, martlet, unit, paths, folder):
        self.folder = folder
        # Addresses of their own, since the server prints the URL of its first portal only.
        portals = [option for path in range(paths) for option in ("--portal", f"127.0.0.{path + 1}:0")]
        self.arguments = [martlet, "serve", "--state-dir", f"{folder}/state", *portals, unit.format(folder=folder)]
        self.paths = paths
        self.failure = None

    def __enter__(self):
        self.log = open(f"{self.folder}/server.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], START_LIMIT_SECONDS)
        url = self.process.stdout.readline().strip() if ready else ""
        if not url:
            self.__exit__()
            raise NotAvailable(self.words() or f"no URL in {START_LIMIT_SECONDS} s")
        self.urls = [url] if self.paths == 1 else self.all_urls(url)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if status != 0:
            self.failure = f"the server ended with status {status}: {self.words()}"

    def words(self):
        self.log.seek(0)
        return (self.log.read().strip().splitlines() or [""])[-1]

    @staticmethod
    def all_urls(url):
        """The unit's URL on every portal that discovery tells."""
        portal, rest = re.fullmatch(r"iscsi://([^/]+)/(.+)", url).groups()
        found = subprocess.run(
            ["iscsi-ls", f"iscsi://{portal}"], capture_output=True, text=True, timeout=START_LIMIT_SECONDS, check=True)
        return [f"iscsi://{address}/{rest}" for address in re.findall(r"Portal:([^,\s]+)", found.stdout)]


@dataclass
class Outcome:
    """How a test ended: `verdict` is passed, failed or skipped, `reasons` are the program's own words."""
    verdict: str
    reasons: list = field(default_factory=list)


def start(arguments, limit_seconds):
    """Runs the program to its end or its limit: (exit status or None, all that it said, line by line)."""
    command = ["stdbuf", "--output=L", PROGRAM, "--Verbose-scsi", "--dataloss", "--allow-sanitize", *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, errors="replace",
            timeout=limit_seconds, check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")


def list_tests():
    """{group: [FAMILY.TEST]} of the installed version."""
    listed = subprocess.run([PROGRAM, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    groups = {}
    for name in listed.split():
        if name.count(".") == 2:
            group, test = name.split(".", 1)
            groups.setdefault(group, []).append(test)
    return groups


def run_family(family, tests, urls):
    """{FAMILY.TEST: Outcome}. One process for all: some tests fail when those before them did not run."""
    status, output = start(["--test", f"ALL.{family}", *urls], FAMILY_LIMIT_SECONDS)
    said = {f"{family}.{name}": text for name, text in named_parts(r"^ *Test: (\S+) \.\.\.", output)}
    last = output.strip().splitlines()[-1:]
    ending = f"no end in {FAMILY_LIMIT_SECONDS} s" if status is None else f"ended with status {status}"
    outcomes = {test: outcome_of(said[test]) if test in said else Outcome("failed", [ending, *last]) for test in tests}
    failed = sum(outcome.verdict == "failed" for outcome in outcomes.values())
    if status is not None and counts(output) != (len(tests), failed):
        return {test: Outcome("failed", [f"{ending}; its closing table differs", *last]) for test in tests}
    return outcomes


def outcome_of(text):
    """From what the program said in the course of a test. It counts a test that it skips as passed."""
    verdict = re.search(r"^(passed|FAILED)", text.lstrip(" "), re.MULTILINE)
    if not verdict or verdict[1] == "FAILED":
        said = found(r"\[FAILED\]\s*(.+)|^\s*(\d+\. .+\.c:.+)", text)
        return Outcome("failed", said or ["it came to no end"])
    # Some skips have no mark: "No tests for devices that support protection information yet."
    skips = found(r"\[SKIPPED\]\s*(.+)|^\s*(No tests for .+)", text)
    return Outcome("skipped", skips) if skips else Outcome("passed")


def run_group(group, urls, elsewhere):
    """A whole group in one process: a sentence on what failed, or None, and how many tests count. `elsewhere`: the
    tests, as FAMILY.TEST, that no target can pass in this set-up; they may fail."""
    started = time.monotonic()
    status, output = start(["--test", group, *urls], GROUP_LIMIT_SECONDS)
    ran = counts(output)
    if status is None or ran is None:
        return f"no end after {time.monotonic() - started:.0f} s", 0
    failed = {}
    for family, text in named_parts(r"^ *Suite: (\S+)", output):
        for test, said in named_parts(r"^ *Test: (\S+) \.\.\.", text):
            outcome = outcome_of(said)
            if outcome.verdict == "failed":
                failed[f"{family}.{test}"] = outcome
    if len(failed) != ran[1]:
        return f"{ran[1]} tests failed, and {len(failed)} have a name", ran[0]
    wrong = [f"{test}: {'; '.join(outcome.reasons)}" for test, outcome in failed.items() if test not in elsewhere]
    if not failed and status != 0:
        wrong.append(f"exit status {status}")
    return "; ".join(wrong) or None, ran[0] - len(elsewhere)


def named_parts(heading, output):
    """[(name, text)]: what stands behind each line with a name, up to the next."""
    _, *parts = re.split(heading, output, flags=re.MULTILINE)
    return list(zip(parts[::2], parts[1::2]))


def refuses_to_start(url):
    """Without a medium the program ends before its first test: whether with the right sense, and its words."""
    _, output = start(["--test", "ALL.TestUnitReady", url], FAMILY_LIMIT_SECONDS)
    refusals = found(r"\[FAILED\]\s*(READCAPACITY10 .+)", output)
    is_right = any("NOT READY" in said and "MEDIUM_NOT_PRESENT" in said for said in refusals)
    return Outcome("passed" if is_right else "failed", refusals or ["the program found a medium"])


def counts(output):
    """(ran, failed) of the program's closing table."""
    line = re.search(r"^\s*tests\s+\d+\s+(\d+)\s+\d+\s+(\d+)", output, re.MULTILINE)
    return (int(line[1]), int(line[2])) if line else None


def found(pattern, output):
    """What the groups of a pattern matched, each once, in their order."""
    words = (next(filter(None, match.groups())).strip() for match in re.finditer(pattern, output, re.MULTILINE))
    return list(dict.fromkeys(words))


def eject(url):
    """START STOP UNIT with LOEJ 1 and START 0. No program of libiscsi sends it, so its library does."""
    library = ctypes.CDLL("libiscsi.so.7")
    library.iscsi_create_context.restype = ctypes.c_void_p
    library.iscsi_startstopunit_sync.restype = ctypes.POINTER(ctypes.c_int)
    portal, target, lun = re.fullmatch(r"iscsi://([^/]+)/(.+)/(\d+)", url).groups()
    context = ctypes.c_void_p(library.iscsi_create_context(b"iqn.2026-11.org.martlet:conformance"))
    library.iscsi_set_targetname(context, target.encode())
    library.iscsi_set_session_type(context, 2)  # ISCSI_SESSION_NORMAL
    if library.iscsi_full_connect_sync(context, portal.encode(), int(lun)) != 0:
        raise NotAvailable("the session that ejects cannot log in")
    task = library.iscsi_startstopunit_sync(context, int(lun), 0, 0, 0, 0, 1, 0)
    if not task or task[0] != 0:  # scsi_task begins with its status.
        raise NotAvailable("START STOP UNIT does not eject the medium")
    library.iscsi_logout_sync(context)
    library.iscsi_destroy_context(context)
