"""Name and note for the report: written into copies, skipped where nothing changes, and of uploads alone."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from causalclip.evidence.examination import examine
from causalclip.report.document import save_reports
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.detect.label import relabel
from ui.server.files import new_folder
from ui.server.store import uploads


def payload(path: object) -> dict[str, str]:
    return {"path": str(path)}


@pytest.fixture(autouse=True)
def page(answer: Any) -> None:
    answer("label")


def test_what_is_typed_is_written_and_said() -> None:
    html, plain = save_reports(examine(encode(photo(), "PNG"), tiny_detector()), new_folder(), "x")
    drawn, said, words = relabel(payload(html), payload(plain), "Ada <b>", "", "Europe/Paris")
    assert "Ada &lt;b&gt;" in Path(drawn).read_text(encoding="utf-8")
    assert json.loads(Path(said).read_text(encoding="utf-8"))["report"]["label"]["name"] == "Ada <b>"
    assert "The report holds “Ada &lt;b&gt;”" in words
    again = relabel(payload(drawn), payload(said), "Ada <b>", "", "Europe/Paris")
    assert all(update == gr.skip() for update in again)
    assert all(update == gr.skip() for update in relabel(None, None, "Ada", "", ""))


def test_an_upload_is_no_report_of_ours() -> None:
    """It would be copied at each letter that is typed, as large as it is, and might be no report at all."""
    files = [uploads() / "from-somebody" / name for name in ("x.html", "x.json")]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    for file in files:
        file.write_text("{")
    updates = relabel(payload(files[0]), payload(files[1]), "Ada", "", "")
    assert all(update == gr.skip() for update in updates)


def test_no_file_but_an_upload_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    with pytest.raises(gr.Error):
        relabel(payload(secret), payload(secret), "Ada", "", "")
