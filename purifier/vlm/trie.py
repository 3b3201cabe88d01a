"""The answers that the embedded model may give, as a tree of tokens."""

from collections.abc import Iterable, Sequence


class AnswerTrie:
    """The known answers as a tree of tokens: which tokens may follow a beginning."""

    def __init__(self, answers: Iterable[Sequence[int]], *, stop: int) -> None:
        self.stop = stop
        self.root: dict[int, dict] = {}
        for ids in answers:
            node = self.root
            for token in ids:
                node = node.setdefault(token, {})

    def allowed(self, ids: Sequence[int]) -> list[int]:
        """The tokens that may follow `ids`; [SEP] after a whole answer."""
        node = self.root
        for token in ids:
            node = node.get(token, {})
        return list(node) or [self.stop]
