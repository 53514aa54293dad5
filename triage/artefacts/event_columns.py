"""Records of event logs in columns: which event each is of, thousands at once, without decoding one.

Of a log few records matter. Windows writes the frame of every record (the element `System`) by one pattern: an instance
of a template whose fourth value is the event's identifier, a 16-bit number ([MS-EVEN6] 2.2.12; libevtx documentation,
"Template instance"). A record of another pattern counts as one of an unknown event, which has to be decoded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from triage.artefacts.event_chunk import (
    CHUNK_BYTES,
    END_OF_EVENT,
    RECORD_HEADER_BYTES,
    RECORD_SIGNATURE,
    RECORDS_AT,
)

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

UNKNOWN_EVENT = -1
_ALIGNMENT = 8
_FRAGMENT_HEADER = 0x0001010F
_TEMPLATE_INSTANCE = 0x010C
_TEMPLATE_AT = 10  # from the start of the binary XML: the template's place in the chunk
_VALUES_AT = 14  # where the values stand when the template was defined by an earlier record, else its definition
_DEFINITION_SIZE_AT = 20
_DEFINITION_HEADER_BYTES = 24
_DESCRIPTOR_BYTES = 4
_EVENT_VALUE = 3
_UNSIGNED_16 = 0x06
_SHORT = 0xFFFF


class Columns(NamedTuple):
    """Records of consecutive chunks: where each begins (in all of these bytes), its size, identifier, event."""

    at: Numbers
    size: Numbers
    identifier: Numbers
    event: Numbers

    def of_chunk(self, chunk: int) -> slice:
        """Return which rows are those of one chunk."""
        first, behind = np.searchsorted(self.at, (chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES)).tolist()
        return slice(first, behind)

    def holding(self, offsets: list[int]) -> Numbers:
        """Return the rows of the records in which these offsets lie; those between records are left out."""
        places = np.array(offsets, np.int64)
        rows = np.searchsorted(self.at, places, side="right") - 1
        inside = (rows >= 0) & (places < self.at[rows] + self.size[rows])
        return rows[inside]

    def empty(self, data: Bytes, kept: Mask) -> None:
        """Make one empty record of each run of records that are not kept: their templates stay where they are."""
        is_first = self.at % CHUNK_BYTES == RECORDS_AT
        head = kept | is_first | np.append(False, kept[:-1])[: len(kept)]
        heads, after = np.flatnonzero(head), np.append(np.flatnonzero(head)[1:], len(head))
        last = after[: len(heads)] - 1
        emptied = ~kept[heads]
        at, size = self.at[heads][emptied], (self.at + self.size)[last][emptied] - self.at[heads][emptied]
        data.view("<u4")[at // 4 + 1] = size
        data[at + RECORD_HEADER_BYTES] = END_OF_EVENT


def read_columns(data: Bytes, ends: Numbers) -> tuple[Columns, Mask]:
    """Return the records of consecutive chunks, and of which chunks they do not follow one another to the end.

    `ends` tells for each chunk where its records end; 0 leaves a chunk out.
    """
    words = data.view("<u4")
    at = np.flatnonzero(words[:: _ALIGNMENT // 4] == RECORD_SIGNATURE) * _ALIGNMENT
    size = words[np.minimum(at // 4 + 1, len(words) - 1)].astype(np.int64)
    end = at - at % CHUNK_BYTES + ends[at // CHUNK_BYTES]
    whole = (at % CHUNK_BYTES >= RECORDS_AT) & (size > RECORD_HEADER_BYTES) & (at + size <= end)
    whole &= _number(data, at + size - 4) == size  # the signature stands in other bytes too, this number behind it not
    at, size = at[whole], size[whole]
    broken = _broken(at, size, ends)
    kept = ~broken[at // CHUNK_BYTES]
    at, size = at[kept], size[kept]
    identifier = words[at // 4 + 2].astype(np.int64) | words[at // 4 + 3].astype(np.int64) << 32
    return Columns(at, size, identifier, _events(data, at, size)), broken


def _broken(at: Numbers, size: Numbers, ends: Numbers) -> Mask:
    """Return the chunks whose records do not begin at the first place, touch each other, and end where they should."""
    chunk = at // CHUNK_BYTES
    is_first = np.append(True, chunk[1:] != chunk[:-1])[: len(at)]
    is_last = np.append(is_first[1:], True)[: len(at)]
    following = np.where(is_last, chunk * CHUNK_BYTES + ends[chunk], np.append(at[1:], 0)[: len(at)])
    wrong = (at + size != following) | (is_first & (at % CHUNK_BYTES != RECORDS_AT))
    broken: Mask = (ends > RECORDS_AT) & (np.bincount(chunk, minlength=len(ends)) == 0)
    broken[chunk[wrong]] = True
    return broken


def _events(data: Bytes, at: Numbers, size: Numbers) -> Numbers:
    """Return the event of each record, UNKNOWN_EVENT where it is not written by the pattern."""
    body = at + RECORD_HEADER_BYTES
    usual = (_number(data, body) == _FRAGMENT_HEADER) & (_number(data, body + 4) & _SHORT == _TEMPLATE_INSTANCE)
    values = body + _VALUES_AT
    is_defined_here = _number(data, body + _TEMPLATE_AT) == values % CHUNK_BYTES
    definition = _DEFINITION_HEADER_BYTES + _number(data, values + _DEFINITION_SIZE_AT)
    values = values + np.where(is_defined_here, definition, 0)
    count = _number(data, values)
    descriptors = values + 4
    place = descriptors + _DESCRIPTOR_BYTES * count
    for value in range(_EVENT_VALUE):
        place = place + (_number(data, descriptors + _DESCRIPTOR_BYTES * value) & _SHORT)
    descriptor = _number(data, descriptors + _DESCRIPTOR_BYTES * _EVENT_VALUE)
    usual &= (count > _EVENT_VALUE) & (descriptor == _UNSIGNED_16 << 16 | 2) & (place + 2 <= at + size)
    return np.where(usual, _number(data, place) & _SHORT, UNKNOWN_EVENT)


def _number(data: Bytes, at: Numbers) -> Numbers:
    """Return the 32-bit numbers at these places, aligned or not; behind the end stands what stands last."""
    anywhere = np.ndarray((len(data) - 3,), "<u4", data.data, strides=(1,))
    number: Numbers = anywhere[np.minimum(at, len(data) - 4)].astype(np.int64)
    return number
