"""The verdict: what the findings and gaps of a case add up to."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from msgspec import Struct


class Outcome(StrEnum):
    """The three things a run can say. The word "clean" is never said."""

    INDICATORS_FOUND = "indicators-found"
    INCONCLUSIVE = "inconclusive"
    NO_KNOWN_INDICATORS = "no-known-indicators"


class Stage(IntEnum):
    """How far the infection got, as far as the artefacts on disk tell."""

    NONE = 0
    DROPPER_ONLY = 1
    PROPAGATING = 2
    INSTALLED = 3
    ENCRYPTING = 4
    FINISHED = 5


class Verdict(Struct, frozen=True, kw_only=True):
    """`reasons` are ids of findings and gaps; `advice` are sentences in English, which renderers translate."""

    outcome: Outcome
    stage: Stage | None
    stage_name: str
    reasons: tuple[str, ...]
    advice: tuple[str, ...]
