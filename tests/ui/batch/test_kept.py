"""What a batch keeps lies in its page's folder, and a page that was closed ends the batch."""

from pathlib import Path
from typing import Any

import pytest

from ui.batch.kept import Answers
from ui.server.turns import Superseded

ANSWER: Any = "an answer"


def test_an_answer_is_kept_by_its_hash(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    answers["a"] = ANSWER
    assert dict(answers) == {"a": ANSWER}


def test_where_the_folder_is_gone_the_batch_ends_without_an_error(tmp_path: Path) -> None:
    with pytest.raises(Superseded):
        Answers(tmp_path / "gone")["a"] = ANSWER
