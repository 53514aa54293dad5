"""ShimCache, Amcache and RecentFileCache → findings and events, with what each of their times means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from triage.artefacts.amcache import HASHED_BYTES, AmcacheFile, AmcacheLayout, read_amcache
from triage.artefacts.hive import Hive
from triage.artefacts.recent_file_cache import parse_recent_file_cache
from triage.artefacts.shimcache import StoredCache, read_shimcaches
from triage.artefacts.shimcache_entry import CachedProgram, CacheForm
from triage.examiners.artefact_file import Pieces, Surroundings
from triage.examiners.places import where_is
from triage.examiners.programs import Known, SeenProgram, examine_programs
from triage.model.entry import Subject
from triage.model.errors import ParseError
from triage.model.event import EventSource
from triage.model.filetime import filetime_to_iso
from triage.model.gap import Gap, GapKind, Where
from triage.model.told import Told

_EXECUTED = {True: "yes", False: "no", None: "not-told"}


def examine_shimcaches(hive: Hive, control_sets: Sequence[int], known: Known) -> Told:
    """Examine the caches of all control sets; a program that stands alike in several is told once, for the first."""
    stored = read_shimcaches(hive, control_sets)
    told = examine_programs(_cached_programs(stored, hive.where), known)
    return replace(told, gaps=tuple(gap for one in stored for gap in _gaps(one, hive.where)))


def examine_amcache(hive: Hive, known: Known) -> Told:
    """Examine an Amcache hive; what of the hive cannot be read stands in its own gaps."""
    return examine_programs((_of_amcache(file, hive.where) for file in read_amcache(hive)), known)


def examine_recent_files(pieces: Pieces, subject: Subject, surroundings: Surroundings) -> Iterator[Told]:
    """Examine a RecentFileCache.bcf, which has no digests."""
    yield _recent_files(b"".join(bytes(piece) for piece in pieces), subject, surroundings.known)


def _recent_files(data: bytes, subject: Subject, known: Known) -> Told:
    try:
        cache = parse_recent_file_cache(data)
    except ParseError as error:
        return Told(gaps=(Gap(kind=GapKind.ARTEFACT, detail=str(error), where=where_is(subject), bytes=len(data)),))
    programs = (
        SeenProgram(
            path=file.path,
            where=where_is(subject, file.offset_bytes),
            source=EventSource.RECENT_FILE_CACHE,
            facts={"executed": _EXECUTED[None]},
        )
        for file in cache.files
    )
    told = examine_programs(programs, known)
    if cache.damage == "":
        return told
    rest = where_is(subject, cache.damage_at)
    lost_bytes = len(data) - cache.damage_at
    return replace(told, gaps=(Gap(kind=GapKind.ARTEFACT, detail=cache.damage, where=rest, bytes=lost_bytes),))


def _cached_programs(caches: Sequence[StoredCache], where: Where) -> Iterator[SeenProgram]:
    """Yield each program once with the control sets that name it: Windows copies whole control sets."""
    stored: dict[tuple[CacheForm, CachedProgram], list[StoredCache]] = {}
    for one in caches:
        if one.cache is not None:
            for program in one.cache.programs:
                stored.setdefault((one.cache.form, program), []).append(one)
    for (form, program), in_caches in stored.items():
        yield _of_shimcache(program, form, in_caches, where)


def _of_shimcache(
    program: CachedProgram, form: CacheForm, in_caches: Sequence[StoredCache], where: Where
) -> SeenProgram:
    stored = in_caches[0]
    facts = {
        "executed": _EXECUTED[program.executed],
        "key": stored.key_path,
        "control_sets": ", ".join(str(one.control_set) for one in in_caches),
        "form": form.value,
        "offset_in_value_bytes": str(program.offset_bytes),
    }
    if program.file_bytes is not None:
        facts["file_size_bytes"] = str(program.file_bytes)
    return SeenProgram(
        path=program.path,
        where=replace(where, offset_bytes=stored.offset_bytes),
        source=EventSource.SHIMCACHE,
        times=_times(
            file_modified=program.file_modified,
            cache_updated=program.updated,
            cache_written=stored.key_last_written,
        ),
        facts=facts,
        run_utc=filetime_to_iso(program.updated),
    )


def _gaps(stored: StoredCache, where: Where) -> Iterator[Gap]:
    """Yield what of a cache could not be read."""
    unreadable = 0 if stored.cache is None else stored.cache.unreadable
    problem = stored.problem or (f"entries that cannot be read: {unreadable}" if unreadable > 0 else "")
    if problem:
        here = replace(where, offset_bytes=stored.offset_bytes)
        yield Gap(kind=GapKind.ARTEFACT, detail=rf"key \{stored.key_path}: AppCompatCache: {problem}", where=here)


def _of_amcache(file: AmcacheFile, where: Where) -> SeenProgram:
    """Only in the older layout is a key written when its program runs; in the other a scan does it later."""
    is_run = file.layout is AmcacheLayout.FILE
    facts = {"executed": _EXECUTED[None], "key": file.key_path, "layout": file.layout.value}
    if file.size_bytes is not None:
        facts["file_size_bytes"] = str(file.size_bytes)
        if file.size_bytes > HASHED_BYTES:
            facts["sha1_covers_bytes"] = str(HASHED_BYTES)
    if file.linked:
        facts["linked"] = file.linked
    return SeenProgram(
        path=file.path,
        where=replace(where, offset_bytes=file.offset_bytes),
        source=EventSource.AMCACHE,
        times=_times(
            file_modified=file.file_modified,
            file_created=file.file_created,
            **{"key_last_written" if is_run else "inventoried": file.key_last_written},
        ),
        facts=facts,
        run_utc=filetime_to_iso(file.key_last_written) if is_run else None,
        sha1=file.sha1,
        size_bytes=file.size_bytes,
    )


def _times(**filetimes: int) -> dict[str, str]:
    """Return the times that are set."""
    moments = {name: filetime_to_iso(ticks) for name, ticks in filetimes.items()}
    return {name: moment for name, moment in moments.items() if moment is not None}
