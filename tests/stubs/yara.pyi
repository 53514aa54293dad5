from collections.abc import Callable, Mapping
from typing import IO

from typing_extensions import Buffer

YARA_VERSION: str
CALLBACK_TOO_MANY_MATCHES: int

class Error(Exception): ...
class SyntaxError(Error): ...
class TimeoutError(Error): ...
class WarningError(Error): ...

class StringMatchInstance:
    matched_data: bytes
    matched_length: int
    offset: int

class StringMatch:
    identifier: str
    instances: list[StringMatchInstance]

class Match:
    rule: str
    namespace: str
    meta: dict[str, str | int | bool]
    tags: list[str]
    strings: list[StringMatch]

class Rule:
    identifier: str
    tags: list[str]
    meta: dict[str, str | int | bool]

class Rules:
    warnings: list[str]
    def match(
        self,
        *,
        data: Buffer,
        fast: bool = ...,
        timeout: int = ...,
        warnings_callback: Callable[[int, tuple[str, str, str]], int] | None = ...,
        console_callback: Callable[[str], object] | None = ...,
    ) -> list[Match]: ...
    def save(self, *, file: IO[bytes]) -> None: ...
    def __iter__(self) -> Rules: ...
    def __next__(self) -> Rule: ...

def compile(
    *,
    source: str = ...,
    sources: Mapping[str, str] = ...,
    file: IO[str] = ...,
    includes: bool = ...,
    error_on_warning: bool = ...,
) -> Rules: ...
