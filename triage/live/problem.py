"""Something the user should know: found by one command, shown by others, each in the language of its own terminal."""

from __future__ import annotations

from msgspec import Struct

from triage.model.errors import TriageError
from triage.model.text import _


class Problem(Struct, frozen=True, kw_only=True):
    """A message and what to do, both in English with `{fields}`, translated when they are shown."""

    message: str
    hint: str = ""
    fields: dict[str, str] = {}

    def __str__(self) -> str:
        return "; ".join(_(text).format(**self.fields) for text in (self.message, self.hint) if text)


class StickError(TriageError):
    """The stick that the live system runs from cannot be found, prepared, mounted or let go: a problem, raised."""

    def __init__(self, message: str, *, hint: str = "", **fields: object) -> None:
        """Take the texts as `N_` marks them, and what stands in them."""
        self.problem = Problem(message=message, hint=hint, fields={name: str(value) for name, value in fields.items()})
        super().__init__(str(self.problem))
