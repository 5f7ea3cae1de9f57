"""Rust source in which each of several changes can be chosen at run time.

The function around a change gets a choice in place of its body: the changed body where the
environment names the number of the change, else its own.
"""

import re

VARIABLE = "PORTCULLIS_RULE_OFF"
# Stands at the end of the crate.
CHOICE = f"""
/// The rule that is switched off.
#[allow(clippy::all)]
pub(crate) fn rule_off() -> usize {{
    static NUMBER: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *NUMBER.get_or_init(|| std::env::var("{VARIABLE}").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX))
}}
"""

# What braces do not count in: comments, raw strings, strings, characters (and no lifetimes).
OPAQUE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\])'""",
    re.DOTALL,
)
FUNCTION = re.compile(r"\b(?P<constant>const\s+)?fn\s+\w+")


def block(plain, at):
    """The end of the block that begins there."""
    depth = 0
    while True:
        depth += {"{": 1, "}": -1}.get(plain[at], 0)
        at += 1
        if not depth:
            return at


def bodies(text):
    """What can be given a choice: the bodies of the outermost functions, and where `impl Trait` as a
    result allows one kind of body alone, of the closures in it: (place of `const` or None, begin, end)."""
    plain = OPAQUE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
    at = 0
    while found := FUNCTION.search(plain, at):
        depth, at = 0, found.end()
        while plain[at] not in "{;" or depth:
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(plain[at], 0)
            at += 1
        if plain[at] == ";":
            continue
        begin, at = at, block(plain, at)
        if not re.search(r"->\s*impl\b", plain[found.end():begin]):
            yield found.span("constant") if found["constant"] else None, begin, at
            continue
        inner = begin + 1
        while closure := re.compile(r"\|\s*\{").search(plain, inner, at):
            inner = block(plain, closure.end() - 1)
            yield None, closure.end() - 1, inner


def replaced(text, places, begin=0, end=None):
    """A part of the text with other texts in some places."""
    parts, at = [], begin
    for first, last, replacement in places:
        parts += [text[at:first], replacement]
        at = last
    return "".join([*parts, text[at:end]])


def switched(changes, texts):
    """`changes` is number -> file -> [(begin, end, replacement)]. Gives the changed files, the lines
    of each changed body (file -> [(number, first, last)]), and the numbers of changes outside
    functions."""
    outside, files, arms = set(), {}, {}
    for file in {file for at in changes.values() for file in at}:
        text, known, inside = texts[file], list(bodies(texts[file])), {}
        for number, at in changes.items():
            for place in at.get(file, []):
                body = next((b for b in known if b[1] < place[0] and place[1] < b[2]), None)
                if body:
                    inside.setdefault(body, {}).setdefault(number, []).append(place)
                else:
                    outside.add(number)
        result, at, arms[file] = "", 0, []
        for body in sorted(inside, key=lambda body: body[1]):
            constant, begin, end = body
            result += replaced(text, [(*constant, "")] if constant else [], at, begin)
            result += "{ match crate::rule_off() {\n"
            for number, places in inside[body].items():
                first = result.count("\n") + 1
                result += f"{number} => {replaced(text, places, begin, end)}\n"
                arms[file].append((number, first, result.count("\n")))
            result += f"_ => {text[begin:end]}\n}} }}"
            at = end
        files[file] = result + text[at:]
    return files, arms, outside
