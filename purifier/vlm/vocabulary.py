"""The words of the embedded model: its tokenizer, learned from the texts or cut down from a larger
one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

PAD, UNK, START, STOP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = (PAD, UNK, START, STOP)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.'-"


def train_tokenizer(texts: Iterable[str], *, size: int = 5000) -> Tokenizer:
    """A lower-case WordPiece tokenizer of the texts' most frequent words; no text is unknown to it,
    since it knows every letter. The same texts give the same tokenizer (the library's own trainer
    breaks ties at random).
    """
    letters = [piece for c in LETTERS for piece in (c, "##" + c)]
    shell = _shell(models.WordPiece({UNK: 0}, unk_token=UNK))
    counts = Counter(
        word
        for text in texts
        for word, _ in shell.pre_tokenizer.pre_tokenize_str(shell.normalizer.normalize_str(text))
    )
    words = sorted(counts, key=lambda word: (-counts[word], word))
    pieces = list(dict.fromkeys([*SPECIAL, *letters, *words]))[:size]
    return _shell(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token=UNK))


def prune_tokenizer(full: Tokenizer, texts: Iterable[str]) -> tuple[Tokenizer, list[int]]:
    """Keeps of a WordPiece tokenizer what the texts use, and all letters.

    Returns:
        The tokenizer, and the old id of each of its new ids (to carry embeddings over).
    """
    old = full.get_vocab()
    full.no_padding()
    full.no_truncation()
    used = {i for text in texts for i in full.encode(text, add_special_tokens=False).ids}
    used |= {old[piece] for c in LETTERS for piece in (c, "##" + c) if piece in old}
    ids = [old[token] for token in SPECIAL] + sorted(used - {old[token] for token in SPECIAL})
    name = {i: token for token, i in old.items()}
    return _shell(models.WordPiece({name[i]: new for new, i in enumerate(ids)}, unk_token=UNK)), ids


def _shell(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


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

    def prompt(self, text: str, *, limit: int = 48) -> list[int]:
        words = self.tokenizer.encode(text, add_special_tokens=False).ids[:limit]
        return [self._id(START), *words, self.stop]

    def answer(self, text: str, *, limit: int = 32) -> list[int]:
        return [*self.tokenizer.encode(text, add_special_tokens=False).ids[:limit], self.stop]

    def decode(self, ids: Sequence[int]) -> str:
        """Ids up to the first [SEP] -> text."""
        ids = list(ids)
        kept = ids[: ids.index(self.stop)] if self.stop in ids else ids
        text = str(self.tokenizer.decode(kept, skip_special_tokens=True))
        return text.replace(" , ", ", ").replace(" - ", "-").replace(" ' ", "'")
