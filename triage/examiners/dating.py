"""When it happened, as far as the times of a file tell: what follows from them for findings of each kind.

The encryptor gives `X.WNCRY` the times of `X` in `$STANDARD_INFORMATION` (decompiled code), so these tell nothing of
the encryption. Three others do: the change journal's record of the rename to the last name; the time of creation in
`$FILE_NAME`, when `X.WNCRYT` was made (Windows may overwrite it with that of `$STANDARD_INFORMATION` at a rename: then
it is not later than that, and not used); and the last change of the MFT record, which a later change of rights moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind

_COMPONENT = "malware-component"
_STATE_RULE = "key-state"


class _Moment(NamedTuple):
    """A time with the trace that it was taken from, and why it may be wrong; "" where nothing speaks against it."""

    utc: str
    taken_from: str
    doubt: str


def dated(finding: Finding, times: Mapping[str, str], renamed: int | None = None) -> Finding:
    """Return a finding with the times of its file (`si_…`, `fn_…`) and what follows from them.

    `renamed` is when the change journal says that the file got its last name (FILETIME), None where it does not say.
    """
    found = finding.times | dict(times)
    match finding.kind:
        case FindingKind.ENCRYPTED_FILE if finding.facts.get("role") != _COMPONENT:
            return _encrypted(finding, found, renamed)
        case FindingKind.KEY_FILE:
            return replace(finding, times=found | _key_times(finding, found))
        case FindingKind.NAME | FindingKind.DIGEST if "si_created" in found and "fn_created" in found:
            is_before = found["si_created"] < found["fn_created"]
            return replace(finding, times=found, facts=finding.facts | {"si_before_fn": "yes" if is_before else "no"})
        case _:
            return replace(finding, times=found)


def _encrypted(finding: Finding, times: dict[str, str], renamed: int | None) -> Finding:
    moment = _moment(times, None if renamed is None else filetime_to_iso(renamed))
    if moment is None:
        return replace(finding, times=times)
    facts = {"encrypted_from": moment.taken_from}
    if moment.doubt:
        facts["encrypted_doubt"] = moment.doubt
    return replace(finding, times=times | {"encrypted": moment.utc}, facts=finding.facts | facts)


def _moment(times: Mapping[str, str], renamed: str | None) -> _Moment | None:
    """Return the best time of an encryption; None where no time tells it."""
    if renamed is not None:
        return _Moment(renamed, "journal-rename", "")
    made = times.get("fn_created")
    if made is not None and times.get("si_created", made) < made:
        return _Moment(made, "fn-created", "a later copy that keeps the times of $SI looks the same")
    changed = times.get("si_changed")
    if changed is not None:
        return _Moment(changed, "si-changed", "a later change of its attributes, rights or name moves this time")
    return None


def _key_times(finding: Finding, times: Mapping[str, str]) -> dict[str, str]:
    """Return when a key file was made; the state is written anew every 25 seconds as long as the encryptor runs."""
    made = times.get("fn_created") or times.get("si_created")
    is_state = finding.indicator.startswith(_STATE_RULE)
    found = {"state_made" if is_state else "key_made": made, "state_written": times.get("si_modified")}
    return {name: utc for name, utc in found.items() if utc is not None and (is_state or name == "key_made")}
