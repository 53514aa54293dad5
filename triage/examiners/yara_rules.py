"""Compiles our own YARA rules and the user's before any evidence is read, and says where each is from."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import yara
from msgspec import Struct

from triage.model.errors import IndicatorError
from triage.model.finding import Severity
from triage.model.indicator import IndicatorSet

OWN_RULES = Path(__file__).resolve().parent.parent / "_rules"
"""The rules that come with the tool."""

_SUFFIXES = (".yar", ".yara")
_MAX_FILE_BYTES = 64 << 20
_UNVERSIONED = "unversioned"
_YARA_LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)
_HINT = "correct the rule or leave its file out; includes and external variables are not supported"


class RuleFile(Struct, frozen=True, kw_only=True):
    """One file of rules; `name` is its rules' namespace, `default` the severity where one states none."""

    path: Path
    name: str
    source: str
    sha256: str
    family: str
    default: Severity


class CompiledRules(Struct, frozen=True, kw_only=True):
    """All rules, compiled once and shared by the threads (`yara.Rules.match` has no state of its own).

    `files` maps a namespace to the file behind it. `warnings` are YARA's, with the file's name in front.
    """

    rules: yara.Rules
    files: dict[str, RuleFile]
    sets: tuple[IndicatorSet, ...]
    warnings: tuple[str, ...]


def compile_rules(paths: Sequence[Path] = (), *, own: Path = OWN_RULES) -> CompiledRules:
    """Compile the rules in the folder `own` and the user's files and folders (`*.yar`, `*.yara`, all levels).

    Each file has its own namespace, so two files may use one rule name. Raises IndicatorError, naming file,
    line and reason, for a rule that does not compile and for a path that holds no rules.
    """
    files = [_read(path, f"yara/{path.name}", "wannacry", Severity.HIGH) for path in _rule_files(own)]
    for path in paths:
        base = path.parent if path.is_file() else path
        for found in _rule_files(path):
            name = f"rules:{_safe_text(found.relative_to(base))}"
            files.append(_read(found, _unused(name, files), "user", Severity.MEDIUM))
    warnings: list[str] = []
    sets: list[IndicatorSet] = []
    for file in files:
        rules = _compile_one(file)
        warnings += [f"{file.path}: {warning}" for warning in rules.warnings]
        sets.append(_indicator_set(file, tuple(rules)))
    together = yara.compile(sources={file.name: file.source for file in files}, includes=False)
    return CompiledRules(
        rules=together,
        files={file.name: file for file in files},
        sets=tuple(sets),
        warnings=tuple(warnings),
    )


def _rule_files(path: Path) -> list[Path]:
    """Return the rule files of a path: itself, or those below it in the order of their names."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    if not found:
        raise IndicatorError(f"{path}: holds no rule file", hint=f"rule files end in {' or '.join(_SUFFIXES)}")
    return found


def _read(path: Path, name: str, family: str, default: Severity) -> RuleFile:
    """Read one file of rules."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise IndicatorError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    if len(data) > _MAX_FILE_BYTES:
        raise IndicatorError(f"{path}: larger than {_MAX_FILE_BYTES >> 20} MiB", hint="this is no rule file")
    try:
        source = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IndicatorError(f"{path}, line {line}: not UTF-8 text", hint="save the rules as UTF-8") from error
    if "\0" in source:  # YARA would take the rules to end here
        line = source.count("\n", 0, source.index("\0")) + 1
        raise IndicatorError(f"{path}, line {line}: holds a NUL character", hint="save the rules as UTF-8")
    digest = sha256(data).hexdigest()
    return RuleFile(path=path, name=name, source=source, sha256=digest, family=family, default=default)


def _compile_one(file: RuleFile) -> yara.Rules:
    """Compile one file alone: only so does YARA's message tell which one it is about."""
    try:
        rules = yara.compile(source=file.source, includes=False)
    except yara.Error as error:
        match = _YARA_LINE.fullmatch(str(error))
        where, reason = (f"{file.path}, line {match[1]}", match[2]) if match else (str(file.path), str(error))
        raise IndicatorError(f"{where}: {reason}", hint=_HINT) from error
    return rules


def _indicator_set(file: RuleFile, rules: Sequence[yara.Rule]) -> IndicatorSet:
    """Return a rule file as the report names it; its release is the latest date among its rules."""
    if not rules:
        raise IndicatorError(f"{file.path}: holds no rule", hint=_HINT)
    dates = [str(rule.meta["date"]) for rule in rules if "date" in rule.meta]
    release = max(dates, default=_UNVERSIONED)
    return IndicatorSet(name=file.name, release=release, sha256=file.sha256, count=len(rules))


def _unused(name: str, files: Sequence[RuleFile]) -> str:
    """Return `name`, numbered where another file already has it."""
    taken = {file.name for file in files}
    number = 1
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name}#{number}"
    return candidate


def _safe_text(path: Path) -> str:
    """Return a path as text that any encoding holds: bytes that are no UTF-8 stand as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
