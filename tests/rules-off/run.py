#!/usr/bin/env python3
"""Switches off each rule of the engine in turn; something in the tests must then fail.

`rules.toml` lists the rules: which text of which file holds it, and what stands there when it is
switched off. The tree is copied, and only the copies are changed, one for each of the `--jobs`. For
each rule the engine is built again and decides the corpus (tests/corpus) until a case fails; where
none does and the rule names a test (`by`), that test runs. On two idle cores the first build takes
two minutes, then all rules about twenty.

Exit status: 0 every rule is held, 1 some rule is not, 2 the list is stale (a text is not there, or
does not build without its rule) or it could not run.
"""

import argparse
import fcntl
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

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
    "configurations": ["-p", "portcullis-e2e", "--test", "configurations"],
}


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

    def prepare(self, root):
        """Reads what the rule is switched off in, so that the tree may change during a long run."""
        self.changed = self.switched_off(root)
        self.whole = {file: (root / file).read_bytes() for file in self.changed}

    def switched_off(self, root):
        """The changed files: path -> text without the rule."""
        texts = {}
        for file, find, replace in self.edits:
            try:
                original = (root / file).read_text()
            except OSError as error:
                raise Stale(f"{self.id}: {error}") from None
            count = original.count(find)
            if count != 1 or find == replace:
                raise Stale(f"{self.id}: {file}: stands there {count} times, not once: {find.strip()!r}")
            text = texts.get(file, original)
            if text.count(find) != 1:
                raise Stale(f"{self.id}: {file}: two of its texts overlap: {find.strip()!r}")
            texts[file] = text.replace(find, replace)
        return texts


class Tree:
    """A copy of the repository that can be changed, with its own target folder."""

    def __init__(self, work):
        self.root, self.target = work / "tree", work / "target"
        self.env = os.environ | {
            "CARGO_TARGET_DIR": str(self.target),
            "CARGO_INCREMENTAL": "1",
            "CARGO_PROFILE_DEV_DEBUG": "0",
            "CARGO_TERM_COLOR": "never",
        }

    def copy(self):
        """Brings the copy to what the repository is now. Only what differs is written, so that
        cargo builds no more than it must."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, check=True,
        ).stdout.decode().split("\0")
        wanted = {name for name in listed if name and (ROOT / name).is_file()}
        for name in wanted:
            write(self.root / name, (ROOT / name).read_bytes())
        for folder, _, names in os.walk(self.root):
            for path in (Path(folder) / name for name in names):
                if str(path.relative_to(self.root)) not in wanted:
                    path.unlink()

    def run(self, arguments):
        try:
            return subprocess.run(
                arguments, cwd=self.root, env=self.env, capture_output=True, text=True, errors="replace",
                timeout=LIMIT if arguments[0] != "cargo" or "--no-run" not in arguments and arguments[1] == "test" else None,
            )
        except subprocess.TimeoutExpired:
            raise Stale(f"`{' '.join(arguments[:3])} …` did not end within {LIMIT} s") from None

    def build(self, arguments):
        done = self.run(["cargo", *arguments])
        if done.returncode != 0:
            errors = re.findall(r"^error.*(?:\n\s*-->.*)?", done.stderr, re.MULTILINE)
            raise Stale("it does not build: " + re.sub(r"\s+", " ", (errors or [done.stderr[-300:]])[0]))

    def corpus(self):
        """Nothing and how many cases there are, or the first that fails."""
        self.build(["build", "-p", "portcullis-corpus"])
        done = self.run([str(self.target / "debug/portcullis-corpus"), "--first"])
        lines = done.stdout.splitlines()
        if done.returncode not in (0, 1) or not lines:
            raise Stale(f"the corpus could not run ({done.returncode}): {done.stderr.strip()[-300:]}")
        return ([], lines[-1]) if done.returncode == 0 else (lines[-1:], None)

    def test(self, by):
        """How many tests there are, and those that fail."""
        name, *filters = by.split()
        self.build(["test", *TESTS[name], "--no-run"])
        done = self.run(["cargo", "test", *TESTS[name], "--", *filters])
        outcomes = re.findall(r"^test (\S+).* \.\.\. .*?(ok|FAILED)$", done.stdout, re.MULTILINE)
        failed = [f"{name}: {test}" for test, outcome in outcomes if outcome == "FAILED"]
        if (done.returncode != 0) != bool(failed):
            raise Stale(f"`{by}` could not run: {(done.stdout + done.stderr).strip()[-300:]}")
        return len(outcomes), failed


def write(path, content):
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_list(only):
    rules = [Rule(table) for table in tomllib.loads(LIST.read_text())["rules"]]
    ids = [rule.id for rule in rules]
    twice = {i for i in ids if ids.count(i) > 1}
    if twice:
        raise Stale(f"{LIST.name}: stands twice: {', '.join(sorted(twice))}")
    unknown = [i for i in only if i not in ids]
    if unknown:
        raise Stale(f"{LIST.name} has no {', '.join(unknown)}")
    return [rule for rule in rules if not only or rule.id in only]


def check_unmodified(tree, rules):
    """With every rule on, everything passes, or nothing could be said of what fails without one."""
    failed, counted = tree.corpus()
    if failed:
        raise Stale(f"a case fails with every rule on: {failed[0]}")
    for by in dict.fromkeys(rule.by for rule in rules if rule.by):
        tests, failed = tree.test(by)
        if failed or not tests:
            raise Stale(f"`{by}` has {tests} tests, of which fail with every rule on: {failed}")
    return counted


def try_without(trees, rule):
    """What fails without the rule."""
    tree = trees.get()
    try:
        for file, text in rule.changed.items():
            write(tree.root / file, text.encode())
        failed = tree.corpus()[0]
        if not failed and rule.by:
            failed = tree.test(rule.by)[1]
        return failed
    finally:
        for file, text in rule.whole.items():
            write(tree.root / file, text)
        trees.put(tree)


def copies(work, jobs, rules):
    """A tree for each job, warm: with what all builds share."""
    trees = [Tree(work / str(number)) for number in range(jobs)]
    for tree in trees:
        tree.copy()
    print(f"{check_unmodified(trees[0], rules)} pass with every rule on", flush=True)
    for tree in trees[1:]:
        if not tree.target.is_dir():
            shutil.copytree(trees[0].target, tree.target, symlinks=True)
    shared = queue.SimpleQueue()
    for tree in trees:
        shared.put(tree)
    return shared


def run(rules, work, jobs):
    work.mkdir(parents=True, exist_ok=True)
    lock = open(work / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Stale(f"{work} is in use by another run") from None
    stale = []
    for rule in rules:
        try:
            rule.prepare(ROOT)
        except Stale as error:
            stale.append(str(error))
    if stale:
        raise Stale("\n".join(stale))
    started = time.monotonic()
    trees = copies(work, jobs, rules)
    width = max(len(rule.id) for rule in rules)
    not_held, unclear = [], []
    with ThreadPoolExecutor(jobs) as pool:
        tries = {pool.submit(try_without, trees, rule): rule.id for rule in rules}
        for done in as_completed(tries):
            rule = tries[done]
            try:
                failed = done.result()
            except Stale as error:
                unclear.append(rule)
                print(f"STALE     {rule:{width}}  {error}", flush=True)
                continue
            if failed:
                print(f"held      {rule:{width}}  {failed[0]}", flush=True)
            else:
                not_held.append(rule)
                print(f"NOT HELD  {rule:{width}}  nothing fails without it", flush=True)
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
    default = os.environ.get("PORTCULLIS_RULES_OFF") or Path(tempfile.gettempdir()) / "portcullis-rules-off"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="ID", action="append", default=[], help="this rule only; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the rules and end")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count() or 1, help="rules at a time (default: %(default)s)")
    parser.add_argument(
        "--work", metavar="DIR", type=Path, default=Path(default),
        help="where the copy and its target folder are kept (PORTCULLIS_RULES_OFF; default: %(default)s)",
    )
    arguments = parser.parse_args()
    try:
        rules = read_list(arguments.only)
        if arguments.list:
            for rule in rules:
                print(f"{rule.id}: {rule.rule} [{rule.source}]")
            return 0
        return run(rules, arguments.work.resolve(), max(arguments.jobs, 1))
    except (Stale, OSError, subprocess.CalledProcessError, tomllib.TOMLDecodeError) as error:
        print(f"rules-off: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
