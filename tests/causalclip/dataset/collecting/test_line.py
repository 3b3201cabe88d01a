"""Over https the pinned commit and the listed files come, and nothing else; a host that leads away is not followed."""

import os
from pathlib import Path

import pytest

from causalclip.dataset.collecting.originals import Source, collect, place
from causalclip.dataset.table import Picture
from tests.causalclip.dataset.collecting.hosting import Host, blob, git, sha
from tests.causalclip.dataset.collecting.line import Line, https
from tests.causalclip.dataset.making import picture


def reasons(rows: list[Picture], out: Path, base: str) -> list[str]:
    return [m.reason for m in collect(rows, out, Source(base=base))]


def test_only_the_pinned_commit_and_the_listed_files_are_fetched(host: Host, line: Line, tmp_path: Path) -> None:
    files = {"a.jpg": b"one", "folder/b.jpg": b"two", "large.jpg": os.urandom(2**20), "other.jpg": os.urandom(2**20)}
    rows = host.pictures("anna/photos", files)[:2]
    newest = host.commit("anna/photos", {"a.jpg": b"of a later day", "large.jpg": os.urandom(2**20)})
    assert reasons(rows, tmp_path / "out", line.url) == []
    assert [place(tmp_path / "out", row).read_bytes() for row in rows] == [b"one", b"two"]
    folder = host.repository("anna/photos")
    listed = {git(folder, "rev-parse", f"{row.commit}:{row.path}").decode().strip() for row in rows}
    assert line.wanted == {rows[0].commit, *listed}
    assert newest not in line.wanted
    assert line.sent < 2**16
    assert {entry.split("?")[0] for entry in line.asked} == {
        "GET /anna/photos/info/refs",
        "POST /anna/photos/git-upload-pack",
    }


def test_a_repository_of_another_is_not_asked_for(host: Host, line: Line, tmp_path: Path) -> None:
    inner = host.pictures("bert/site", {"x.jpg": b"six"})[0]
    modules = f'[submodule "sub"]\npath = sub\nurl = {line.url}/bert/site\n'.encode()
    commit = host.commit(
        "anna/photos", {".gitmodules": modules, "sub": ("160000", inner.commit), "a.jpg": b"one", "b.jpg": b"two"}
    )
    rows = [picture("anna/photos", path, commit=commit, sha256=sha(b"six")) for path in ("sub", "sub/x.jpg")]
    rows += [picture("anna/photos", "a.jpg", commit=commit, sha256=sha(b"one"))]
    assert sorted(reasons(rows, tmp_path / "out", line.url)) == ["moved", "refused"]
    assert not any("bert" in entry for entry in line.asked)
    assert place(tmp_path / "out", rows[2]).read_bytes() == b"one"


def test_a_repository_with_a_new_name_is_followed_over_https(host: Host, line: Line, tmp_path: Path) -> None:
    rows = host.pictures("anna/photos", {"a.jpg": b"one"})
    line.moved["/old/name"] = f"{line.url}/anna/photos"
    old = [picture("old/name", "a.jpg", commit=rows[0].commit, sha256=rows[0].sha256)]
    assert reasons(old, tmp_path / "out", line.url) == []


@pytest.mark.parametrize("scheme", ["file", "http", "ext"])
def test_a_host_that_leads_to_another_protocol_is_not_followed(
    host: Host, line: Line, tmp_path: Path, scheme: str
) -> None:
    rows = host.pictures("anna/photos", {"a.jpg": b"one"})
    ran = tmp_path / "ran"
    with https(host.folder, None) as plain:
        to = {"file": f"{host.folder.as_uri()}/anna/photos", "http": f"{plain.url}/anna/photos"}
        line.moved["/anna/photos"] = to.get(scheme, f"ext::touch {ran} #")
        assert reasons(rows, tmp_path / "out", line.url) == ["gone"]
        assert plain.asked == []
        assert reasons(rows, tmp_path / "out", plain.url) == ["gone"]  # it would have had the file
        assert plain.asked == []
    assert not ran.exists()


def test_a_host_whose_certificate_is_not_trusted_is_not_asked(
    host: Host, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = host.pictures("anna/photos", {"a.jpg": b"one"})
    monkeypatch.delenv("GIT_SSL_CAINFO")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")  # a habit that is not taken over
    assert reasons(rows, tmp_path / "out", line.url) == ["gone"]
    assert line.asked == []


def test_hooks_and_settings_of_a_host_stay_there(host: Host, line: Line, tmp_path: Path) -> None:
    """What is fetched is objects: no hook, no attribute and no setting comes along or is run."""
    ran = tmp_path / "ran"
    attributes = b"*.jpg filter=evil diff=evil\n"
    rows = host.pictures("anna/photos", {"a.jpg": b"one", ".gitattributes": attributes, ".lfsconfig": b"[lfs]\n"})[:1]
    folder = host.repository("anna/photos")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 3\n"
    commit = host.commit("anna/photos", {"lfs.jpg": ("100644", blob(folder, pointer))})
    rows.append(picture("anna/photos", "lfs.jpg", commit=commit, sha256=sha(b"abc")))
    hook = f"#!/bin/sh\ntouch {ran}\n"
    for name in ("post-checkout", "post-merge", "reference-transaction"):
        (folder / "hooks").mkdir(exist_ok=True)
        (folder / "hooks" / name).write_text(hook)
        (folder / "hooks" / name).chmod(0o755)
    assert reasons(rows, tmp_path / "out", line.url) == ["changed"]
    assert place(tmp_path / "out", rows[0]).read_bytes() == b"one"
    assert not ran.exists()
    assert [p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")] == [".clones"]
    assert not any((tmp_path / "out" / ".clones").iterdir())
