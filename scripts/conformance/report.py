# SPDX-License-Identifier: Apache-2.0
"""What scripts/conformance/run.py found: as text, as tables of docs/conformance.md, and as a list of problems."""
import fnmatch
import subprocess

BEGIN = "<!-- make conformance writes from here -->"
END = "<!-- to here -->"
MOST_SKIPS = 10
VERDICTS = ["passed", "failed", "skipped"]


class Summary:
    """`results` is {set-up: {FAMILY.TEST: Outcome}}; the name "" stands for the set-up itself."""

    def __init__(self, data, setups, families, results, groups):
        self.data = data
        self.setups = setups
        self.families = families
        self.results = results
        self.groups = groups
        self.union = {
            test: self.together([results[setup["name"]][test] for setup in setups if test in results[setup["name"]]])
            for tests in families.values() for test in tests
        }

    @staticmethod
    def together(outcomes):
        """A test failed if it failed anywhere, and is skipped if every set-up skips it. None: no set-up ran it."""
        for verdict in ("failed", "passed", "skipped"):
            same = [outcome for outcome in outcomes if outcome.verdict == verdict]
            if same:
                return verdict, list(dict.fromkeys(reason for outcome in same for reason in outcome.reasons))
        return None

    # Counting

    def of_setup(self, name):
        return {test: (o.verdict, o.reasons) for test, o in self.results[name].items()}

    @staticmethod
    def row(outcomes):
        """Run, passed, failed, skipped."""
        verdicts = [outcome[0] for outcome in outcomes if outcome]
        return [len(verdicts)] + [verdicts.count(verdict) for verdict in VERDICTS]

    def family_rows(self, outcomes):
        """(family, [run, passed, failed, skipped], reasons) of the families that ran."""
        for family, tests in self.families.items():
            present = [outcomes[test] for test in tests if outcomes.get(test)]
            if present:
                yield family, self.row(present), reasons_of(present)

    # Problems

    def failures(self):
        for name, outcomes in self.results.items():
            for test, outcome in outcomes.items():
                if outcome.verdict not in ("passed", "skipped"):
                    yield f"{name}: {test or 'the set-up'}: {outcome.verdict}: {'; '.join(outcome.reasons)}"

    def problems(self):
        """Everything for which the whole run fails, a sentence each."""
        problems = list(self.failures())
        problems += [f"group {group}: {failure}" for group, (failure, _) in self.groups.items() if failure]
        skipped = {test for test, outcome in self.union.items() if outcome and outcome[0] == "skipped"}
        if len(skipped) > MOST_SKIPS:
            problems.append(f"{len(skipped)} tests are skipped by every set-up, more than {MOST_SKIPS}")
        for test in sorted(skipped):
            said = "; ".join(self.union[test][1])
            if not any(fnmatch.fnmatchcase(test, name) and words in said for name, words in self.data["skips"].items()):
                problems.append(f"setups.json does not say that {test} is skipped: {said}")
        for name in self.data["skips"]:
            if not any(fnmatch.fnmatchcase(test, name) for test in skipped):
                problems.append(f"no test {name} is skipped any more: take it out of setups.json")
        for family, home in self.data["homes"].items():
            for test in self.families.get(family, []):
                outcome = self.results[home].get(test)
                if test not in skipped and outcome and outcome.verdict == "skipped":
                    problems.append(f"{home} skips {test}, and another set-up does not: change homes in setups.json")
        return problems

    # Text

    def text(self):
        parts = []
        for setup in self.setups:
            outcomes = self.of_setup(setup["name"])
            rows = [[family, *row, reasons] for family, row, reasons in self.family_rows(outcomes)]
            if "" in outcomes:
                rows.append(["(the set-up itself)", *self.row([outcomes[""]]), "; ".join(outcomes[""][1])])
            parts.append(f"{setup['name']}: {setup['says']} ({setup['unit']})")
            parts.append(aligned(["family", "run", *VERDICTS, "reasons"], rows))
        parts.append("together: skipped is what every set-up skips")
        rows = [[family, *row, reasons] for family, row, reasons in self.family_rows(self.union)]
        rows.append(["all", *self.row(self.union.values()), ""])
        parts.append(aligned(["family", "run", *VERDICTS, "reasons"], rows))
        for group, (failure, count) in self.groups.items():
            parts.append(f"group {group} in one process: {count} tests, {failure or 'none failed'}\n")
        return "\n".join(parts)

    # The document

    def write(self, document, martlet):
        text = document.read_text()
        before, _, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not end:
            raise SystemExit(f"{document} has no lines {BEGIN!r} and {END!r}")
        document.write_text(f"{before}{BEGIN}\n{self.tables(martlet)}{END}{after}")

    def tables(self, martlet):
        run, passed, failed, skipped = self.row(self.union.values())
        parts = [
            f"{said([martlet, '--version'])}, package libiscsi-bin "
            f"{said(['dpkg-query', '--show', '--showformat=${Version}', 'libiscsi-bin'])}: "
            f"{len(self.families)} families, {run} tests: {passed} passed, {failed} failed, {skipped} skipped by every "
            "set-up.\n"
        ]
        rows = []
        for setup in self.setups:
            outcomes = self.of_setup(setup["name"])
            rows.append([setup["name"], f"{setup['says']}: `{setup['unit'].format(folder='DIR')}`",
                         *self.row(outcomes.values()), note(outcomes.get(""))])
        parts.append(table(["set-up", "", "run", *VERDICTS, ""], rows))
        for group, (failure, count) in self.groups.items():
            parts.append(f"The group {group} in one process, set-up {self.setups[0]['name']}: {count} tests, "
                         f"{failure or 'none failed'}.\n")
        names = [setup["name"] for setup in self.setups if set(self.results[setup["name"]]) - {""}]
        parts.append("All together, and what of a family each set-up passed (p), failed (f) and skipped (s):\n")
        rows = [
            [family, *row] + [self.cell(name, tests) for name in names]
            for (family, row, _), tests in zip(self.family_rows(self.union), self.families.values())
        ]
        parts.append(table(["family", "run", *VERDICTS, *names], rows))
        rows = [[test, code("; ".join(reasons))] for test, (verdict, reasons) in self.present() if verdict == "skipped"]
        if rows:
            parts.append("Skipped by every set-up, in the program's words:\n")
            parts.append(table(["test", "reason"], rows))
        rows = [[setup["name"], *item] for setup in self.setups for item in setup.get("without", {}).items()]
        rows += [[f"all but {name}", test, why] for test, (name, why) in self.data["only"].items()]
        parts.append("Not counted in a set-up, because no target can pass it there:\n")
        parts.append(table(["set-up", "test", "reason"], rows))
        parts.append("Skipped by some set-up:\n")
        parts.append(table(["set-up", "reason", "tests"], self.reason_rows(names)))
        return "\n".join(parts)

    def present(self):
        return [(test, outcome) for test, outcome in self.union.items() if outcome]

    def cell(self, name, tests):
        """12p 1s: what a set-up made of a family."""
        row = self.row([(o.verdict, o.reasons) for test in tests if (o := self.results[name].get(test))])
        return " ".join(f"{count}{verdict[0]}" for count, verdict in zip(row[1:], VERDICTS) if count)

    def reason_rows(self, names):
        """Each reason of a set-up once, with the number of tests that gave it."""
        for name in names:
            counted = {}
            for outcome in self.results[name].values():
                for reason in outcome.reasons if outcome.verdict == "skipped" else []:
                    counted[reason] = counted.get(reason, 0) + 1
            for reason, count in counted.items():
                yield [name, code(reason), count]


def reasons_of(outcomes):
    """The reasons of a family's skips and failures, each once."""
    return "; ".join(dict.fromkeys(reason for verdict, words in outcomes for reason in words if verdict != "passed"))


def note(outcome):
    """What the set-up itself came to."""
    return f"{outcome[0]}: {code('; '.join(outcome[1]))}" if outcome else ""


def code(words):
    return "`" + words.replace("|", "/").replace("`", "'") + "`"


def said(command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def table(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def aligned(heading, rows):
    lines = [[str(cell) for cell in line] for line in [heading, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading) - 1)]
    return "".join("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[-1]]).rstrip() + "\n"
                   for line in lines)
