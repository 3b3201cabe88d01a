"""Tries with names and members that lead elsewhere, or nowhere: in a zip for Batch, and in a folder for the archive."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from causalclip.archive.sources import list_pictures, read_bytes
from scripts.redteam.target import Target, heard, picture

CHAINS = ("zip://x.jpg::/etc/hostname", "simplecache::file:///etc/hostname", "file:///etc/hostname::zip://x")


def bad_members_of_a_zip(target: Target) -> tuple[bool, str]:
    """Sends a zip with a pipe, a link, names with ::, and a damaged LZMA member beside one good picture"""
    path = target.upload(_zip(), name="x.zip")
    with target.http(timeout=60) as http, http.stream("GET", "gradio_api/heartbeat/members"):
        begun = target.batch(http, "members", [path])
        said = heard(http, "members")
    judged, damaged = "good.jpg" in said, "damaged in the archive" in said
    held = begun and judged and damaged and '"success":true' in said and "root:" not in said
    return held, f"the picture was {'' if judged else 'not '}judged, the others told"


def paths_of_an_archive(target: Target) -> tuple[bool, str]:
    """Has an archive read a pipe, /dev/zero, a link out of its folder and names with ::"""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as pool:
        folder = Path(name)
        (folder / "good.jpg").write_bytes(picture(9))
        os.mkfifo(folder / "pipe.jpg")
        (folder / "link.jpg").symlink_to("/etc/hostname")
        listed = pool.submit(list_pictures, name).result(10)
        places = (str(folder / "pipe.jpg"), "/dev/zero", *CHAINS)
        refused = sum(pool.submit(_refused, place).result(10) for place in places)
    return listed == [f"{name}/good.jpg"] and refused == len(places), f"{refused} refused, one picture listed"


def _refused(place: str) -> bool:
    try:
        read_bytes(place, limit=1000)
    except OSError:
        return True
    return False


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("good.jpg", picture(9))
        for name, kind in (("pipe.jpg", stat.S_IFIFO), ("link.jpg", stat.S_IFLNK)):
            member = zipfile.ZipInfo(name)
            member.external_attr = (kind | 0o644) << 16
            archive.writestr(member, "/etc/passwd")
        for chain in CHAINS:
            archive.writestr(chain, b"x")
        archive.writestr("damaged.jpg", picture(10), zipfile.ZIP_LZMA)
        place = archive.getinfo("damaged.jpg").header_offset
    data = bytearray(file.getvalue())
    begin = place + 30 + len("damaged.jpg") + 20
    data[begin : begin + 400] = bytes(400)
    return bytes(data)
