"""From one picture to an archive: every picture of a source judged once, on Ray Data, into a
Parquet dataset."""


class ArchiveError(Exception):
    """One sentence that says what is wrong and what to do. code: of the process, as `detect` has
    them."""

    def __init__(self, sentence: str, *, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code
