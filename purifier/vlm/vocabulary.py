"""The words of the embedded model, as the numbers that it reads and writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

PAD, START, STOP = "[PAD]", "[CLS]", "[SEP]"
MAX_PROMPT, MAX_ANSWER = 48, 32  # tokens that are read


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer and the two forms of text that the model knows: prompt, [CLS] words [SEP];
    answer, words [SEP]."""

    tokenizer: Tokenizer

    @classmethod
    def from_file(cls, path: Path) -> "Vocabulary":
        return cls(Tokenizer.from_file(str(path)))

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    @property
    def stop(self) -> int:
        return self._id(STOP)

    @property
    def pad(self) -> int:
        return self._id(PAD)

    def _id(self, token: str) -> int:
        number = self.tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(
                f"The tokenizer has no {token}. It must be one that this package wrote."
            )
        return number

    def prompt(self, text: str) -> list[int]:
        words = self.tokenizer.encode(text, add_special_tokens=False).ids[:MAX_PROMPT]
        return [self._id(START), *words, self.stop]

    def answer(self, text: str) -> list[int]:
        words = self.tokenizer.encode(text, add_special_tokens=False).ids[:MAX_ANSWER]
        return [*words, self.stop]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids up to the first [SEP]."""
        ids = list(ids)
        words = ids[: ids.index(self.stop)] if self.stop in ids else ids
        text = str(self.tokenizer.decode(words, skip_special_tokens=True))
        return text.replace(" , ", ", ").replace(" - ", "-").replace(" ' ", "'")
