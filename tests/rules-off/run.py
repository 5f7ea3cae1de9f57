#!/usr/bin/env python3
"""Switches off each rule of the engine in turn; something in the tests must then fail.

`rules.toml` lists the rules: which text of which file holds it, and what stands there when it is
switched off. A copy of the tree gets all of them at once: each function that holds rules has its
body once more for each, and the environment chooses which one runs. So the engine is built once, and
a rule costs one run of the corpus (tests/corpus), which ends at the first case that fails; where
none does and the rule names a test (`by`), that test runs. The few rules that stand outside
functions are built one by one. On two idle cores the whole takes about ten minutes, most of it
building.

With `--check` nothing is built: only that each text stands there just once.

Exit status: 0 every rule is held, 1 some rule is not, 2 the list is stale (a text is not there, or
does not build without its rule) or it could not run.
"""

import argparse
import fcntl
import fnmatch
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import switches

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIST = HERE / "rules.toml"
# Seconds that one run of the suites or of a test may take.
LIMIT = 300

# The tests that `by` can name; a filter may follow the name.
ENGINE = ["-p", "portcullis", "--features", "cli"]
TESTS = {
    "unit": [*ENGINE, "--lib"],
    "tokens": [*ENGINE, "--test", "tokens"],
    "signatures": [*ENGINE, "--test", "signatures"],
    "table": [*ENGINE, "--test", "table"],
    "policies": [*ENGINE, "--test", "policies"],
    "configurations": ["-p", "portcullis-e2e", "--test", "configurations"],
}
CORPUS = "corpus"


class Stale(Exception):
    """The list does not fit the tree, or something could not run."""


class Rule:
    """One rule and how it is switched off."""

    def __init__(self, table):
        unknown = set(table) - {"id", "rule", "source", "file", "find", "replace", "and", "by"}
        if unknown:
            raise Stale(f"{table.get('id')}: unknown {', '.join(sorted(unknown))}")
        try:
            self.id, self.rule, self.source = table["id"], table["rule"], table["source"]
            self.edits = [(e["file"], e["find"], e["replace"]) for e in [table, *table.get("and", [])]]
        except KeyError as missing:
            raise Stale(f"{table.get('id')}: {missing} is missing") from None
        self.by = table.get("by")
        if self.by and self.by.split()[0] not in TESTS:
            raise Stale(f"{self.id}: by: there is no {self.by.split()[0]}; known: {', '.join(TESTS)}")

    def places(self, texts):
        """The places of its edits in the files: file -> [(begin, end, replacement)]."""
        places = {}
        for file, find, replace in self.edits:
            if file not in texts:
                try:
                    texts[file] = (ROOT / file).read_text()
                except OSError as error:
                    raise Stale(f"{self.id}: {error}") from None
            count = texts[file].count(find)
            if count != 1 or find == replace:
                raise Stale(f"{self.id}: {file}: stands there {count} times, not once: {find.strip()!r}")
            begin = texts[file].index(find)
            places.setdefault(file, []).append((begin, begin + len(find), replace))
        for file, edits in places.items():
            edits.sort()
            if any(before[1] > after[0] for before, after in zip(edits, edits[1:])):
                raise Stale(f"{self.id}: {file}: two of its texts overlap")
        return places


def read_list(only):
    """The rules that are asked for, and the files that they stand in."""
    rules = [Rule(table) for table in tomllib.loads(LIST.read_text())["rules"]]
    ids = [rule.id for rule in rules]
    twice = {i for i in ids if ids.count(i) > 1}
    if twice:
        raise Stale(f"{LIST.name}: stands twice: {', '.join(sorted(twice))}")
    unknown = [pattern for pattern in only if not fnmatch.filter(ids, pattern)]
    if unknown:
        raise Stale(f"{LIST.name} has no {', '.join(unknown)}")
    rules = [rule for rule in rules if not only or any(fnmatch.fnmatch(rule.id, pattern) for pattern in only)]
    texts, stale = {}, []
    for rule in rules:
        try:
            rule.at = rule.places(texts)
        except Stale as error:
            stale.append(str(error))
    if stale:
        raise Stale("\n".join(stale))
    return rules, texts


class Tree:
    """A copy of the repository that can be changed. It shares the target folder, and in it what other
    crates were built to."""

    def __init__(self, work):
        self.root = work / "tree"
        self.env = os.environ | {
            "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")),
            "CARGO_INCREMENTAL": "1",
            "CARGO_PROFILE_DEV_DEBUG": "0",
            # Many runs of one build.
            "CARGO_PROFILE_DEV_OPT_LEVEL": "1",
            "CARGO_TERM_COLOR": "never",
        }
        self.programs = {}

    def copy(self, changed):
        """Brings the copy to what the repository is now, but for what is changed. Only what differs
        is written, so that cargo builds no more than it must."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, check=True,
        ).stdout.decode().split("\0")
        wanted = {name for name in listed if name and (ROOT / name).is_file()}
        for name in wanted:
            content = changed.get(name)
            self.write(name, (ROOT / name).read_bytes() if content is None else content.encode())
        for folder, _, names in os.walk(self.root):
            for path in (Path(folder) / name for name in names):
                if str(path.relative_to(self.root)) not in wanted:
                    path.unlink()

    def write(self, name, content):
        path = self.root / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def build(self, tests):
        """Builds the corpus and these tests. The errors, where it does not build."""
        for name in [CORPUS, *tests]:
            what = ["build", "-p", "portcullis-corpus"] if name == CORPUS else ["test", *TESTS[name], "--no-run"]
            done = subprocess.run(
                ["cargo", *what, "--message-format", "json-diagnostic-short"],
                cwd=self.root, env=self.env, capture_output=True, text=True,
            )
            messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            if done.returncode != 0:
                errors = [m["message"] for m in messages if m.get("message", {}).get("level") == "error"]
                if not errors:
                    raise Stale(f"it does not build: {done.stderr.strip()[-300:]}")
                return errors
            found = [m["executable"] for m in messages if m.get("executable") and m["target"]["kind"] != ["custom-build"]]
            wanted = "portcullis-corpus" if name == CORPUS else {"unit": "portcullis"}.get(name, name)
            named = [path for path in found if re.fullmatch(rf"{wanted}(-[0-9a-f]+)?", Path(path).name)]
            if len(named) != 1:
                raise Stale(f"cargo names no program of {name}: {found}")
            self.programs[name] = named[0]
        return []

    def run(self, name, arguments, number):
        env = self.env | ({} if number is None else {switches.VARIABLE: str(number)})
        folder = self.root / "tests/e2e" if name == "configurations" else self.root
        try:
            return subprocess.run(
                [self.programs[name], *arguments],
                cwd=folder, env=env, capture_output=True, text=True, errors="replace", timeout=LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise Stale(f"{name} did not end within {LIMIT} s") from None

    def corpus(self, number=None):
        """What fails first, and the last line of what was said."""
        done = self.run(CORPUS, ["--first"], number)
        last = (done.stdout.strip() or done.stderr.strip() or "nothing was said").splitlines()[-1]
        return (None, last) if done.returncode == 0 else (last, last)

    def test(self, by, number=None):
        """What fails first, and how many tests there are."""
        name, *filters = by.split()
        done = self.run(name, filters, number)
        outcomes = re.findall(r"^test (\S+).* \.\.\. .*?(ok|FAILED)$", done.stdout, re.MULTILINE)
        failed = [f"{name}: {test}" for test, outcome in outcomes if outcome == "FAILED"]
        if done.returncode == 0:
            return None, len(outcomes)
        return (failed or [f"{name}: {(done.stderr.strip() or 'it ended').splitlines()[-1]}"])[0], len(outcomes)

    def fails(self, rule, number=None):
        """What fails without the rule."""
        failed = self.corpus(number)[0]
        return self.test(rule.by, number)[0] if failed is None and rule.by else failed


def tests_of(rules):
    return sorted({rule.by.split()[0] for rule in rules if rule.by})


def build_switched(tree, rules, texts):
    """Builds the tree with a switch for each rule: number -> rule, and the rules that can have none."""
    tests = tests_of(rules)
    apart = []
    numbers = {number: rule for number, rule in enumerate(rules)}
    while True:
        changed, arms, outside = switches.switched({n: r.at for n, r in numbers.items()}, texts)
        apart += [numbers.pop(number) for number in outside]
        if outside:
            continue
        changed["src/lib.rs"] = changed.get("src/lib.rs", (ROOT / "src/lib.rs").read_text()) + switches.CHOICE
        tree.copy(changed)
        errors = tree.build(tests)
        if not errors:
            return numbers, apart
        spans = [(s["file_name"], s["line_start"]) for e in errors for s in e["spans"] if s["is_primary"]]
        wrong = {n for file, line in spans for n, first, last in arms.get(file, []) if first <= line <= last}
        if not wrong:
            raise Stale(f"it does not build: {errors[0]['message']} ({spans[0] if spans else 'nowhere'})")
        apart += [numbers.pop(number) for number in wrong]


def check_unmodified(tree, rules):
    """With every rule on, everything passes, or nothing could be said of what fails without one."""
    failed, counted = tree.corpus()
    if failed:
        raise Stale(f"a case fails with every rule on: {failed}")
    for by in dict.fromkeys(rule.by for rule in rules if rule.by):
        failed, tests = tree.test(by)
        if failed or not tests:
            raise Stale(f"`{by}` has {tests} tests, and with every rule on fails: {failed}")
    print(f"{counted} pass with every rule on", flush=True)


def try_apart(tree, rule, texts):
    """What fails without a rule that has a build of its own."""
    changed = {file: switches.replaced(texts[file], places) for file, places in rule.at.items()}
    tree.copy(changed)
    errors = tree.build(tests_of([rule]))
    if errors:
        raise Stale(f"it does not build: {errors[0]['message']}")
    return tree.fails(rule)


def outcomes(rules, texts, work, jobs):
    """Each rule, and a function that says what fails without it."""
    tree = Tree(work)
    numbers, apart = build_switched(tree, rules, texts)
    check_unmodified(tree, rules)
    with ThreadPoolExecutor(jobs) as pool:
        tries = {pool.submit(tree.fails, rule, number): rule for number, rule in numbers.items()}
        for done in as_completed(tries):
            yield tries[done], done.result
    for rule in apart:
        yield rule, lambda: try_apart(tree, rule, texts)


def run(rules, texts, work, jobs):
    work.mkdir(parents=True, exist_ok=True)
    lock = open(work / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Stale(f"{work} is in use by another run") from None
    started = time.monotonic()
    width = max(len(rule.id) for rule in rules)
    not_held, unclear = [], []
    for rule, result in outcomes(rules, texts, work, jobs):
        try:
            failed = result()
        except Stale as error:
            unclear.append(rule.id)
            print(f"STALE     {rule.id:{width}}  {error}", flush=True)
            continue
        if failed:
            print(f"held      {rule.id:{width}}  {failed}", flush=True)
        else:
            not_held.append(rule.id)
            print(f"NOT HELD  {rule.id:{width}}  nothing fails without it", flush=True)
    took = f"{time.monotonic() - started:.0f} s"
    if not not_held and not unclear:
        print(f"{len(rules)} rules, all held ({took})")
        return 0
    for title, ids in [("not held", not_held), ("stale", unclear)]:
        if ids:
            print(f"{title}: {', '.join(ids)}")
    print(f"{len(rules)} rules, {len(not_held)} not held, {len(unclear)} stale ({took})")
    return 2 if unclear else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", metavar="PATTERN", action="append", default=[],
        help="only the rules whose id fits, such as `path-*`; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="print the rules and end")
    parser.add_argument("--check", action="store_true", help="only check that every entry fits the tree; builds nothing")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count() or 1, help="rules at a time (default: %(default)s)")
    parser.add_argument(
        "--work", metavar="DIR", type=Path, default=ROOT / "target/rules-off",
        help="where the copy is kept (default: target/rules-off)",
    )
    arguments = parser.parse_args()
    try:
        rules, texts = read_list(arguments.only)
        if arguments.list:
            for rule in rules:
                print(f"{rule.id}: {rule.rule} [{rule.source}]")
            return 0
        if arguments.check:
            print(f"{len(rules)} rules can be switched off")
            return 0
        return run(rules, texts, arguments.work.resolve(), max(arguments.jobs, 1))
    except (Stale, OSError, subprocess.CalledProcessError, tomllib.TOMLDecodeError) as error:
        print(f"rules-off: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
