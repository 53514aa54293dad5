"""`digests.hashdeep`: the digests of every stream read whole, for `hashdeep -a -k`, hash databases and
allow-lists.

Form: HASHDEEP-1.0 of md5deep and hashdeep (https://github.com/jessek/hashdeep, FILEFORMAT). The name comes
last, so that a comma in it does no harm.
"""

from __future__ import annotations

from typing import TextIO

from triage.model.errors import ReportError
from triage.model.escape import escape_line
from triage.model.report import StreamDigest
from triage.report.interface import CaseContents, Renderer

_HEADER = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n"


def write_hashdeep(case: CaseContents, out: TextIO) -> None:
    """Write a line for each of `case.digests`. Errors: `ReportError` where a stream lacks a digest."""
    tool = case.report.tool
    out.write(_HEADER)
    out.write(f"## {escape_line(tool.name)} {escape_line(tool.version)}\n")
    out.write("## control characters, percent signs and unpaired surrogates in names are percent-encoded\n")
    for stream in case.digests:
        out.write(_line(stream))


def _line(stream: StreamDigest) -> str:
    digests = stream.digests
    if digests.md5 is None or digests.sha256 is None:
        raise ReportError(f"no MD5 and SHA-256 for the stream {stream.name!r}")
    return f"{stream.size_bytes},{digests.md5},{digests.sha256},{escape_line(stream.name)}\n"


HASHDEEP = Renderer(file_name="digests.hashdeep", write=write_hashdeep)
