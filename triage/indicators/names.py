"""Names and paths that WannaCry leaves, as rules read from data: which name, in which place, how telling."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from triage.indicators.work_directory import PARENT_DIRECTORIES
from triage.model.errors import IndicatorError
from triage.model.finding import FindingKind, Severity
from triage.model.indicator import Confidence, IndicatorSet

GENERATED = "generated"
"""Group of a place's pattern that holds a generated name; the group `above` holds the path of its parent."""


class NameRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One name or group of names.

    A name matches when it is one of `names`, or ends in `extension` and, where given, fits `pattern`; all
    without regard to case. `place` names the pattern in `NameRules.places` that the parent directory has to
    fit; None is anywhere. `content_decides` marks names of user data whose content tells more than the name
    does. `alone` is the severity where no other name of the family is in the same directory; None where that
    makes no difference.
    """

    id: str
    kind: FindingKind
    severity: Severity
    confidence: Confidence
    description: str
    source: str
    names: tuple[str, ...] = ()
    extension: str | None = None
    pattern: str | None = None
    place: str | None = None
    directory: bool = False
    content_decides: bool = False
    alone: Severity | None = None


class _NamesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of the TOML file."""

    name: str
    release: str
    family: str
    places: dict[str, str]
    rule: tuple[NameRule, ...]


class NameRules(Struct, frozen=True, kw_only=True):
    """A set of name rules, indexed for look-up by lower-case name and extension (without its dot).

    The rules of one name stand in the file's order, in which the first that fits counts: the special place
    first.
    """

    info: IndicatorSet
    family: str
    by_name: dict[str, tuple[NameRule, ...]]
    by_extension: dict[str, tuple[NameRule, ...]]
    places: dict[str, re.Pattern[str]]
    patterns: dict[str, re.Pattern[str]]

    def candidates(self, name_lower: str) -> tuple[NameRule, ...]:
        """Return the rules that a lower-case name may fit; for nearly every name of a disk there is none."""
        exact = self.by_name.get(name_lower, ())
        _, dot, extension = name_lower.rpartition(".")
        return exact + self.by_extension.get(extension, ()) if dot else exact

    def first(
        self, name: str, parent: str, *, directory: bool, work_directories: Collection[str] = ()
    ) -> NameRule | None:
        """Return the first rule that a name fits in its parent directory, whose path is from the volume's root.

        `work_directories` are the names computed for this computer's, which are telling wherever they are met.
        """
        for rule in self.candidates(name.lower()):
            pattern = self.patterns.get(rule.id)
            if rule.directory is not directory or (pattern is not None and pattern.fullmatch(name) is None):
                continue
            if rule.place is None or _is_in(self.places[rule.place], parent, work_directories):
                return rule
        return None


def _is_in(place: re.Pattern[str], parent: str, work_directories: Collection[str]) -> bool:
    """Say whether a directory is a place; one of a generated name is where the installer makes it, or of that name."""
    match = place.fullmatch(parent)
    if match is None or GENERATED not in place.groupindex:
        return match is not None
    return match[GENERATED] in work_directories or PARENT_DIRECTORIES.fullmatch(match["above"] or "") is not None


def load_names(path: Path) -> NameRules:
    """Load a set of name rules. Raises IndicatorError, naming the file and the reason."""
    try:
        data = path.read_bytes()
        content = msgspec.convert(tomllib.loads(data.decode("utf-8")), _NamesFile, strict=True)
        places = {name: re.compile(text, re.IGNORECASE) for name, text in content.places.items()}
        stated = {rule.id: rule.pattern for rule in content.rule if rule.pattern is not None}
        patterns = {rule_id: re.compile(text, re.IGNORECASE) for rule_id, text in stated.items()}
    except OSError as error:
        raise IndicatorError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, re.error) as error:
        raise IndicatorError(f"{path}: {error}") from error
    by_name: dict[str, tuple[NameRule, ...]] = {}
    by_extension: dict[str, tuple[NameRule, ...]] = {}
    for rule in content.rule:
        if rule.place is not None and rule.place not in places:
            raise IndicatorError(f"{path}: rule {rule.id}: no such place: {rule.place}")
        if not rule.names and rule.extension is None:
            raise IndicatorError(f"{path}: rule {rule.id}: neither names nor an extension")
        for name in rule.names:
            by_name[name.lower()] = (*by_name.get(name.lower(), ()), rule)
        if rule.extension is not None:
            by_extension[rule.extension.lower()] = (*by_extension.get(rule.extension.lower(), ()), rule)
    digest = sha256(data).hexdigest()
    info = IndicatorSet(name=content.name, release=content.release, sha256=digest, count=len(content.rule))
    return NameRules(
        info=info,
        family=content.family,
        by_name=by_name,
        by_extension=by_extension,
        places=places,
        patterns=patterns,
    )
