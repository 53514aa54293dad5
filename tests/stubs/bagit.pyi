"""The part of bagit-python that tests use (https://github.com/LibraryOfCongress/bagit-python)."""

from collections.abc import Mapping, Sequence

class BagError(Exception): ...
class BagValidationError(BagError): ...

class Bag:
    info: dict[str, str]
    entries: dict[str, dict[str, str]]
    def __init__(self, path: str) -> None: ...
    def validate(self, processes: int = 1, fast: bool = False, completeness_only: bool = False) -> bool: ...
    def is_valid(self, fast: bool = False, completeness_only: bool = False) -> bool: ...

def make_bag(
    bag_dir: str,
    bag_info: Mapping[str, str] | None = None,
    processes: int = 1,
    checksums: Sequence[str] | None = None,
) -> Bag: ...
