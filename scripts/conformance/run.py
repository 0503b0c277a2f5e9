#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Runs every test of libiscsi's iscsi-test-cu against martlet in each set-up of setups.json, and sums up.

run.py MARTLET [--setup NAME]... [--family NAME]... [--document FILE]

Each test is run once a set-up, by its name in the group ALL; each family is a process with a limit of time, and has a
fresh server, for tests leave state behind. SCSI, iSCSI and LINUX hold the same tests again: SCSI and iSCSI are
run besides, each as a whole in one process, against the first set-up. A test counts as skipped if every set-up skips
it, or a part of it. The exit status is 1 if a test fails, a set-up cannot be had, more than ten tests are skipped, or
the skips are others than setups.json says.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import tempfile

import program
import report

HERE = pathlib.Path(__file__).parent
GROUPS = ["SCSI", "iSCSI"]


def run_family(martlet, setup, family, tests, only):
    """{FAMILY.TEST: Outcome}, or {"": Outcome} of the set-up itself."""
    with tempfile.TemporaryDirectory(prefix="martlet-conformance-") as folder:
        server = program.Server(martlet, setup["unit"], setup.get("paths", 1), folder)
        try:
            with server:
                if setup.get("eject"):
                    program.eject(server.urls[0])
                    outcomes = {"": program.refuses_to_start(server.urls[0])}
                else:
                    outcomes = program.run_family(family, tests, server.urls)
        except program.NotAvailable as refusal:
            return {"": program.Outcome("not available", [str(refusal)])}
        if server.failure:
            outcomes = {test: program.Outcome("failed", [server.failure]) for test in outcomes}
        return {test: outcome for test, outcome in outcomes.items() if is_wanted(test, setup, only)}


def is_wanted(test, setup, only):
    """Whether a target can pass a test in this set-up at all. The others are run and not counted."""
    return test not in setup.get("without", {}) and only.get(test, [setup["name"]])[0] == setup["name"]


def run_group(martlet, setup, group, tests, only):
    elsewhere = {test for test in tests if not is_wanted(test, setup, only)}
    with tempfile.TemporaryDirectory(prefix="martlet-conformance-") as folder:
        server = program.Server(martlet, setup["unit"], setup.get("paths", 1), folder)
        with server:
            failure, count = program.run_group(group, server.urls, elsewhere)
        return failure or server.failure, count


def families_of(setup, families, chosen):
    """The families to run against a set-up: [(name, tests)]. Without a medium there is one try, nameless."""
    if setup.get("eject"):
        return [("", [])]
    wanted = setup.get("families", families)
    return [(name, tests) for name, tests in families.items() if name in wanted and (not chosen or name in chosen)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("martlet")
    parser.add_argument("--setup", action="append", default=[], help="this set-up only")
    parser.add_argument("--family", action="append", default=[], help="this family only")
    parser.add_argument("--document", type=pathlib.Path, help="write the results between the marks of this file")
    options = parser.parse_args()

    data = json.loads((HERE / "setups.json").read_text())
    setups = [setup for setup in data["setups"] if not options.setup or setup["name"] in options.setup]
    groups = program.list_tests()
    families = {}
    for test in groups["ALL"]:
        families.setdefault(test.split(".")[0], []).append(test)
    is_whole = not options.setup and not options.family

    results = {setup["name"]: {} for setup in setups}
    # Many tests wait; few work.
    with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        running = {
            pool.submit(run_family, options.martlet, setup, family, tests, data["only"]): setup["name"]
            for setup in setups for family, tests in families_of(setup, families, options.family)
        }
        whole = {
            g: pool.submit(run_group, options.martlet, setups[0], g, groups[g], data["only"])
            for g in GROUPS if is_whole
        }
        for done in concurrent.futures.as_completed(running):
            results[running[done]].update(done.result())
        group_results = {group: done.result() for group, done in whole.items()}

    summary = report.Summary(data, setups, families, results, group_results)
    print(summary.text())
    if options.document and is_whole:
        summary.write(options.document, options.martlet)
    elif options.document:
        sys.exit("the document shows whole runs: leave out --setup and --family")
    problems = summary.problems() if is_whole else summary.failures()
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
