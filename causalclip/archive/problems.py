"""What can be wrong with a run over an archive that its user can mend."""


class ArchiveProblem(Exception):
    """One sentence that says what is wrong and what to do. `code`: of the process, as `detect` has them."""

    def __init__(self, sentence: str, *, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code
