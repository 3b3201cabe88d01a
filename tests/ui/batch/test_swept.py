"""Batch on a page that was left open for an hour: uploads are gone, and what was found of them is not."""

import io
import shutil
import zipfile
from pathlib import Path

import gradio as gr
import pytest

from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from tests.ui.batch.test_tab import event, sentence, upload
from ui.batch.tab import BatchTab, build_batch_tab
from ui.server.turns import take_turn


@pytest.fixture(scope="module")
def tab() -> BatchTab:
    detector = tiny_detector()
    with gr.Blocks():
        return build_batch_tab(lambda: detector)


def test_files_that_were_swept_keep_their_rows_and_others_are_to_be_added_again(tab: BatchTab) -> None:
    """The page is left open for an hour, and one more is added."""
    finished, waiting = upload(a_png=encode(photo(), "PNG")), upload(b_png=encode(photo(90, 80), "PNG"))
    *_, last = tab.run(take_turn("batch"), finished)
    for entry in (*finished, *waiting):
        Path(entry["path"]).unlink()
    more = upload(c_png=encode(photo(80, 70), "PNG"))
    *_, later = tab.run(take_turn("batch"), [*finished, *waiting, *more], last[tab.batch])
    found = sorted(later[tab.batch].rows, key=lambda row: row.number)
    assert [(row.number, row.name) for row in found] == [(1, "a.png"), (2, "c.png"), (3, "b.png")]
    assert found[0] == last[tab.batch].rows[0]
    assert found[1].score is not None
    assert found[2].problem == "The picture is no longer kept. Add it again."
    assert "Finished: 2 examined, 1 could not be." in sentence(tab, later)
    assert "<bdi>a.png</bdi>" in tab.open(later[tab.batch], event(1))
    *_, alone = tab.run(take_turn("batch"), waiting)
    assert [row.problem for row in alone[tab.batch].rows] == ["The picture is no longer kept. Add it again."]


def test_of_a_zip_that_was_swept_what_was_found_stays(tab: BatchTab) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/a.png", encode(photo(), "PNG"))
    payload = upload(all_zip=packed.getvalue())
    *_, last = tab.run(take_turn("batch"), payload)
    Path(payload[0]["path"]).unlink()
    *_, later = tab.run(take_turn("batch"), payload, last[tab.batch])
    found = later[tab.batch].rows
    assert found[0] == last[tab.batch].rows[0]
    assert [(row.name, bool(row.problem)) for row in found[1:]] == [("all.zip", True)]


def test_a_batch_whose_folder_was_swept_has_a_new_one(tab: BatchTab) -> None:
    payload = upload(a_png=encode(photo(), "PNG"))
    *_, last = tab.run(take_turn("batch"), payload)
    shutil.rmtree(last[tab.batch].folder)
    *_, later = tab.run(take_turn("batch"), [*payload, *upload(b_png=encode(photo(90, 80), "PNG"))], last[tab.batch])
    assert "Finished: 2 examined." in sentence(tab, later)


def test_where_a_batch_cannot_begin_its_card_says_so_and_it_can_go_on(
    tab: BatchTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Path:
        raise OSError("The disk is full.")

    monkeypatch.setattr("ui.batch.tab.new_folder", full)
    said, last = tab.run(take_turn("batch"), upload(a_png=encode(photo(), "PNG")))
    assert "Something went wrong here" in sentence(tab, said)
    assert last[tab.start]["interactive"]
