"""Originals come from mirrors and over https, each checked by its hash; nothing of a repository is
believed or run."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.training.dataset.hosting import (
    Host,
    Line,
    blob,
    boasting_blob,
    git,
    https,
    make_certificate,
    picture,
    sha,
)
from training.dataset.collecting import Source, collect
from training.dataset.repositories import Repository
from training.dataset.table import Picture, place, write_table


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a host on this machine, with its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate") / "host.pem")


@pytest.fixture
def line(host: Host, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The host's repositories over https, by a certificate that git is told to trust."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    with https(host.folder, certificate) as serving:
        yield serving


@pytest.fixture(params=["mirrors", "line"])
def source(request: pytest.FixtureRequest, host: Host) -> Source:
    """Mirrors in a folder, and a host that is asked over https."""
    if request.param == "mirrors":
        return Source(mirrors=host.mirrors)
    return Source(base=request.getfixturevalue("line").url)


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_every_original_lands_under_its_hash(host: Host, source: Source, tmp_path: Path) -> None:
    files = {
        "a.jpg": b"one",
        "deep/er/b c.jpg": b"two",
        "-rf.jpg": b"three",
        "ü*.jpg": b"four",
        "same.jpg": b"one",
    }
    rows = host.pictures("anna/photos", files)[:4]
    rows += host.pictures("anna/photos", {"later.png": b"five"}, format="PNG")  # of another commit
    rows += host.pictures("bert/site", {"x.jpg": b"six"})
    told: list[int] = []
    assert collect(rows, tmp_path / "out", source, tell=lambda: told.append(1)) == []
    assert len(told) == 6
    assert {f.name: f.read_bytes() for f in (place(tmp_path / "out", row) for row in rows)} == {
        f"{sha(data)}.{ending}": data
        for data, ending in zip(
            b"one two three four five six".split(), ["jpg"] * 4 + ["png", "jpg"], strict=True
        )
    }
    assert len(contents(tmp_path / "out")) == 6


def test_what_is_missing_has_its_reason_and_keeps_no_other_out(
    host: Host, source: Source, tmp_path: Path
) -> None:
    good = host.pictures("anna/photos", {"a.jpg": b"one", "folder/b.jpg": b"two"})
    folder = host.repository("anna/photos")
    odd = {
        "link.jpg": ("120000", blob(folder, b"/etc/passwd")),
        "sub.jpg": ("160000", good[0].commit),
    }
    commit = host.commit("anna/photos", {**odd, "c.jpg": b"changed", "dir/d.jpg": b"d"})
    reasons = {
        "gone": picture("nobody/nothing"),
        "moved": replace(good[0], path="other.jpg", sha256=sha(b"x")),
        "moved to another history": replace(good[0], commit="1" * 40, sha256=sha(b"y")),
        "changed": picture("anna/photos", "c.jpg", commit=commit, sha256=sha(b"as it was")),
        "refused: a link": picture(
            "anna/photos", "link.jpg", commit=commit, sha256=sha(b"/etc/passwd")
        ),
        "refused: a repository": picture("anna/photos", "sub.jpg", commit=commit, sha256=sha(b"z")),
        "refused: a folder": picture("anna/photos", "dir", commit=commit, sha256=sha(b"d")),
    }
    missing = collect([*good, *reasons.values()], tmp_path / "out", source)
    assert {m.picture: m.reason for m in missing} == {
        p: name.split(":")[0].split()[0] for name, p in reasons.items()
    }
    assert set(contents(tmp_path / "out").values()) == {b"one", b"two"}


def test_a_path_that_leaves_the_repository_reads_nothing(
    host: Host, source: Source, tmp_path: Path
) -> None:
    good = host.pictures("anna/photos", {"a/b.jpg": b"one"})[0]
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    paths = [
        "../secret.jpg",
        "../../../secret.jpg",
        "a/../../secret.jpg",
        str(secret),
        "a/../a/b.jpg",
    ]
    rows = [replace(good, path=path, sha256=sha(b"secret")) for path in paths]
    missing = collect(rows, tmp_path / "out", source)
    assert Counter(m.reason for m in missing) == {"moved": len(paths)}
    assert contents(tmp_path / "out") == {}


def test_a_file_of_a_gigabyte_is_not_read(host: Host, tmp_path: Path) -> None:
    folder = host.repository("anna/photos")
    commit = host.commit(
        "anna/photos", {"big.jpg": ("100644", boasting_blob(folder, 2**30)), "a.jpg": b"one"}
    )
    rows = [
        picture("anna/photos", "a.jpg", commit=commit, sha256=sha(b"one")),
        picture("anna/photos", "big.jpg", commit=commit),
    ]
    missing = collect(rows, tmp_path / "out", Source(mirrors=host.mirrors))
    assert [(m.picture.path, m.reason) for m in missing] == [("big.jpg", "refused")]
    assert list(contents(tmp_path / "out").values()) == [b"one"]


def test_nothing_is_executed_and_nothing_of_the_users_is_read(
    host: Host, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    rows = host.pictures(
        "anna/photos", {"a.jpg": b"one", ".gitattributes": b"*.jpg filter=evil diff=evil\n"}
    )[:1]
    folder = host.repository("anna/photos")
    hooks = folder / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        (hooks / name).write_text(script.read_text())
        (hooks / name).chmod(0o755)
    evil = {
        "core.fsmonitor": str(script),
        "filter.evil.smudge": str(script),
        "diff.evil.textconv": str(script),
    }
    evil |= {"core.pager": str(script), "core.sshCommand": str(script), "core.askPass": str(script)}
    evil |= {
        "log.showSignature": "true",
        "gpg.program": str(script),
        "gpg.openpgp.program": str(script),
    }
    evil |= {
        "extensions.partialClone": "origin",
        "remote.origin.url": f"ext::{script}",
        "remote.origin.promisor": "true",
    }
    users = tmp_path / "users.gitconfig"
    for name, value in evil.items():
        git(folder, "config", name, value)
        subprocess.run(["git", "config", "--file", str(users), name, value], check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(users))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(folder))
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    rows.append(replace(rows[0], path="none.jpg", sha256=sha(b"x")))
    assert [m.reason for m in collect(rows, tmp_path / "m", Source(mirrors=host.mirrors))] == [
        "moved"
    ]
    assert [m.reason for m in collect(rows, tmp_path / "l", Source(base=line.url))] == ["moved"]
    head, _, message = git(folder, "cat-file", "commit", rows[0].commit).partition(b"\n\n")
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----"
    signed = git(
        folder,
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--stdin",
        sent=b"\n".join((head, signature, b"", message)),
    )
    assert "a.jpg" in Repository(folder).tree(signed.decode().strip())
    oid = "2" * 40  # an object that a promisor would be asked for
    assert Repository(folder).size(oid) is None
    assert not ran.exists()


@pytest.mark.parametrize(
    "base",
    ["{url}", "ext::touch {ran} #", "git://127.0.0.1:9", "ssh://127.0.0.1:9", "http://127.0.0.1:9"],
)
def test_no_protocol_but_https_is_spoken(host: Host, tmp_path: Path, base: str) -> None:
    rows = host.pictures("anna/photos", {"a.jpg": b"one"})
    ran = tmp_path / "ran"
    missing = collect(rows, tmp_path / "out", Source(base=base.format(url=host.url, ran=ran)))
    assert [m.reason for m in missing] == ["gone"]
    assert not ran.exists()


def test_a_repository_that_does_not_answer_is_left_when_the_time_is_over(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = host.pictures("anna/photos", {"a.jpg": b"one", "b.jpg": b"two"})
    bin = tmp_path / "bin"
    bin.mkdir()
    git_here = subprocess.run(
        ["which", "git"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (bin / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *cat-file*) exec sleep 30;; esac\nexec {git_here} "$@"\n'
    )
    (bin / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}:{os.environ['PATH']}")
    missing = collect(rows, tmp_path / "out", Source(mirrors=host.mirrors, patience=0.5))
    assert [m.reason for m in missing] == ["stopped", "stopped"]


def test_the_command_prints_what_is_missing_and_why(host: Host, tmp_path: Path) -> None:
    rows = host.pictures("anna/photos", {f"{n}.jpg": bytes([n]) for n in range(40)})
    rows += host.pictures("bert/site", {"t.jpg": b"test"}, split="test")
    table, out = tmp_path / "t.csv.gz", tmp_path / "out"
    write_table([*rows, picture("nobody/nothing")], table)

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "training",
            "data",
            "collect",
            "--table",
            str(table),
            "--out",
            str(out),
        ]
        command += ["--mirrors", str(host.mirrors), *more]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    done = run()
    assert done.returncode == 0, done.stderr  # 41 of 42 are more than 97 %
    assert "41 of 42" in done.stdout
    assert "gone" in done.stdout
    assert "nobody/nothing" in (out / "missing.csv").read_text()
    assert len((out / "manifest.csv").read_text().splitlines()) == 42
    assert run("--split", "test").stdout.startswith("1 of 1")
    write_table([*rows[:3], picture("nobody/nothing")], table)
    assert run().returncode == 2


def reasons(rows: list[Picture], out: Path, base: str) -> list[str]:
    return [m.reason for m in collect(rows, out, Source(base=base))]


def test_only_the_pinned_commit_and_the_listed_files_are_fetched(
    host: Host, line: Line, tmp_path: Path
) -> None:
    files = {
        "a.jpg": b"one",
        "folder/b.jpg": b"two",
        "large.jpg": os.urandom(2**20),
        "other.jpg": os.urandom(2**20),
    }
    rows = host.pictures("anna/photos", files)[:2]
    newest = host.commit(
        "anna/photos", {"a.jpg": b"of a later day", "large.jpg": os.urandom(2**20)}
    )
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
        "anna/photos",
        {".gitmodules": modules, "sub": ("160000", inner.commit), "a.jpg": b"one", "b.jpg": b"two"},
    )
    rows = [
        picture("anna/photos", path, commit=commit, sha256=sha(b"six"))
        for path in ("sub", "sub/x.jpg")
    ]
    rows += [picture("anna/photos", "a.jpg", commit=commit, sha256=sha(b"one"))]
    assert sorted(reasons(rows, tmp_path / "out", line.url)) == ["moved", "refused"]
    assert not any("bert" in entry for entry in line.asked)
    assert place(tmp_path / "out", rows[2]).read_bytes() == b"one"


def test_a_repository_with_a_new_name_is_followed_over_https(
    host: Host, line: Line, tmp_path: Path
) -> None:
    rows = host.pictures("anna/photos", {"a.jpg": b"one"})
    line.moved["/old/name"] = f"{line.url}/anna/photos"
    old = [picture("old/name", "a.jpg", commit=rows[0].commit, sha256=rows[0].sha256)]
    assert reasons(old, tmp_path / "out", line.url) == []


def test_a_host_whose_certificate_is_not_trusted_is_not_asked(
    host: Host, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = host.pictures("anna/photos", {"a.jpg": b"one"})
    monkeypatch.delenv("GIT_SSL_CAINFO")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")  # a habit that is not taken over
    assert reasons(rows, tmp_path / "out", line.url) == ["gone"]
    assert line.asked == []
