"""What the tests use of windowsprefetch (https://github.com/PoorBillionaire/Windows-Prefetch-Parser)."""

class Prefetch:
    executableName: str
    runCount: int
    hash: str
    timestamps: list[str]
    resources: list[str]
    def __init__(self, infile: str) -> None: ...
