"""Names and paths that WannaCry leaves, as rules read from data: which name, in which place, how telling."""

from __future__ import annotations

import re
import tomllib
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from triage.model.errors import IndicatorError
from triage.model.finding import FindingKind, Severity
from triage.model.indicator import Confidence, IndicatorSet


class NameRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One name or group of names.

    A name matches when it is one of `names`, or ends in `extension` and, where given, fits `pattern`; all
    without regard to case. `place` names the pattern in `NameRules.places` that the parent directory has to
    fit; None is anywhere. `content_decides` marks names of user data whose content tells more than the name
    does.
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

    def first(self, name: str, parent: str, *, directory: bool) -> NameRule | None:
        """Return the first rule that a name fits in its parent directory, whose path is from the volume's root."""
        for rule in self.candidates(name.lower()):
            pattern = self.patterns.get(rule.id)
            if rule.directory is not directory or (pattern is not None and pattern.fullmatch(name) is None):
                continue
            if rule.place is None or self.places[rule.place].fullmatch(parent) is not None:
                return rule
        return None


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
