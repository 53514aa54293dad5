class PEFormatError(Exception): ...

class _Directory:
    VirtualAddress: int
    Size: int

class _OptionalHeader:
    DATA_DIRECTORY: list[_Directory]

class _FixedFileInfo:
    FileVersionMS: int
    FileVersionLS: int

class PE:
    OPTIONAL_HEADER: _OptionalHeader
    VS_FIXEDFILEINFO: list[_FixedFileInfo]
    def __init__(self, *, data: bytes, fast_load: bool = ...) -> None: ...
    def get_data(self, rva: int, length: int) -> bytes: ...
    def parse_data_directories(self, directories: list[int]) -> None: ...
