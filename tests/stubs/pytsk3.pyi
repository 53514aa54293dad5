from collections.abc import Iterator

TSK_FS_TYPE_NTFS: int
TSK_IMG_TYPE_EXTERNAL: int
TSK_VERSION_STR: str

class Img_Info:
    def __init__(self, url: str = ..., type: int = ...) -> None: ...
    def read(self, offset: int, length: int, /) -> bytes: ...
    def get_size(self) -> int: ...

class _AttributeInfo:
    type: int
    id: int
    size: int
    flags: int
    name: bytes | None

class Attribute:
    info: _AttributeInfo
    def __iter__(self) -> Iterator[object]: ...

class File:
    def __iter__(self) -> Iterator[Attribute]: ...
    def read_random(self, offset: int, length: int, type: int = ..., id: int = ..., flags: int = ...) -> bytes: ...

class _FsInfo:
    last_inum: int
    block_size: int

class FS_Info:
    info: _FsInfo
    def __init__(self, img: Img_Info, offset: int = ..., type: int = ...) -> None: ...
    def open_meta(self, inode: int) -> File: ...

def get_version() -> str: ...
