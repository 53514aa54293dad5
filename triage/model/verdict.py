"""The verdict: what the findings, events and gaps of a case add up to, and on what it rests."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from msgspec import Struct

from triage.model.indicator import Confidence


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


class Phase(StrEnum):
    """The three phases in which the first article of May 2017 tells an infection.

    EARLY: the exploit drops the worm, which asks for its kill switch. MIDDLE: the worm installs, or runs as a service.
    LATE: files are encrypted, the window shows.
    """

    EARLY = "early"
    MIDDLE = "middle"
    LATE = "late"


class Bearing(StrEnum):
    """What a sign says of its stage: it is there; it is not, though it was looked for; it could not be looked for."""

    FOR = "for"
    AGAINST = "against"
    OPEN = "open"


class SpecialCase(StrEnum):
    """What happened to an infection beside its course."""

    KILL_SWITCH = "killed-by-kill-switch"
    CLEANED = "moved-or-cleaned"
    SEVERAL = "several-infections"
    ELSEWHERE = "encrypted-elsewhere"
    CANNOT_ENCRYPT = "cannot-encrypt"


class StageSign(Struct, frozen=True, kw_only=True):
    """One row of the evidence for and against a stage.

    `sign` is its name in the table of signs, `says` the same in English, which renderers translate. `count` is how
    many findings or events show it, `ids` names the first of those findings, or of the gaps that left it open.
    """

    sign: str
    stage: Stage
    bearing: Bearing
    says: str
    count: int = 0
    ids: tuple[str, ...] = ()


class Special(Struct, frozen=True, kw_only=True):
    """A special case that was recognised: how sure that is, by what (English, translated by renderers), and where."""

    case: SpecialCase
    confidence: Confidence
    says: str
    ids: tuple[str, ...] = ()


class StageJudgement(Struct, frozen=True, kw_only=True):
    """How the stage was decided. `stage` lies within `earliest` and `latest`, which are the same where it is sure.

    `stage` and what follows from it are None where no sign tells one.
    """

    stage: Stage | None
    confidence: Confidence | None = None
    earliest: Stage | None = None
    latest: Stage | None = None
    phase: Phase | None = None
    evidence: tuple[StageSign, ...] = ()
    special: tuple[Special, ...] = ()

    @property
    def speaking_for(self) -> int:
        """How many signs of this stage or a later one are there."""
        return sum(one.bearing is Bearing.FOR and one.stage >= (self.stage or Stage.NONE) for one in self.evidence)

    @property
    def speaking_against(self) -> int:
        """How many signs that this stage never fails to leave are missing."""
        return sum(one.bearing is Bearing.AGAINST and one.stage == self.stage for one in self.evidence)


class Verdict(Struct, frozen=True, kw_only=True):
    """`reasons` are ids of findings and gaps; `advice` are sentences in English, which renderers translate.

    `judgement` is None where there is no infection to judge.
    """

    outcome: Outcome
    stage: Stage | None
    stage_name: str
    reasons: tuple[str, ...]
    advice: tuple[str, ...]
    judgement: StageJudgement | None = None
