"""The tokenizer of the embedded model: learned from the texts, or cut down from a larger one."""

from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from purifier.vlm.vocabulary import PAD, START, STOP

UNK = "[UNK]"
SPECIAL = (PAD, UNK, START, STOP)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.'-"


def train_tokenizer(texts: Iterable[str], *, size: int = 5000) -> Tokenizer:
    """Return a lower-case WordPiece tokenizer of the texts' most frequent words.

    No text is unknown to it, since it knows every letter. The same texts give the same tokenizer
    (the library's own trainer breaks ties at random).
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
    """Keep of a WordPiece tokenizer what the texts use, and all letters.

    Returns:
        The tokenizer, and the old id of each of its new ids (to carry embeddings over).
    """
    old = full.get_vocab()
    full.no_padding()
    full.no_truncation()
    pieces = {i for text in texts for i in full.encode(text, add_special_tokens=False).ids}
    pieces |= {old[piece] for c in LETTERS for piece in (c, "##" + c) if piece in old}
    ids = [old[token] for token in SPECIAL] + sorted(pieces - {old[token] for token in SPECIAL})
    name = {i: token for token, i in old.items()}
    return _shell(models.WordPiece({name[i]: new for new, i in enumerate(ids)}, unk_token=UNK)), ids


def _shell(model: models.WordPiece) -> Tokenizer:
    """Return a tokenizer that splits texts for a model and joins its pieces."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer
