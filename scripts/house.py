"""Draws the rooms of the house and which of them import which: python scripts/house.py [--out docs/house.svg]

Rooms and arrows come from the imports of the code, read by grimp; nothing is typed in. Needs requirements-dev.txt.
"""

import argparse
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import grimp
import networkx as nx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FLOORS = {
    "ui": "ui: everything of Gradio",
    "purifier": "purifier: attacks, purification, vision-language models",
    "causalclip": "causalclip: detection",
}
PAGE, MARGIN, BOX, HEIGHT, GAP, HEAD = 880, 16, 150, 26, 34, 34
STYLE = """
  svg { background: #fdfcfa; font: 13px system-ui, sans-serif }
  .floor { fill: #f1eee8 } .room { fill: #fff; stroke: #57534e } .name, .title { fill: #1c1917 }
  .title { font-weight: bold } .name { text-anchor: middle } path { fill: none; stroke: #78716c }
  .tip { fill: #78716c; stroke: none } .below { fill: #57534e; font-size: 12px }
  @media (prefers-color-scheme: dark) {
    svg { background: #1c1917 } .floor { fill: #292524 } .room { fill: #44403c; stroke: #a8a29e }
    .name, .title { fill: #fafaf9 } path { stroke: #a8a29e } .tip { fill: #a8a29e; stroke: none }
    .below { fill: #d6d3d1 }
  }
"""


def imports() -> nx.DiGraph:
    """Rooms (the folders and modules of each floor), and an edge from each to those that it imports."""
    modules = grimp.build_graph(*FLOORS, exclude_type_checking_imports=True, cache_dir=None)
    rooms = nx.DiGraph()
    for module in sorted(modules.modules):
        for imported in sorted(modules.find_modules_directly_imported_by(module)):
            pair = _room(module), _room(imported)
            if pair[0] != pair[1] and not any("__main__" in name for name in pair):
                rooms.add_edge(*pair)
    return rooms


def rows(floor: nx.DiGraph) -> list[list[str]]:
    """The rooms of a floor from top to bottom: each stands above all that it imports."""
    level: dict[str, int] = {}
    for room in reversed(list(nx.lexicographical_topological_sort(floor))):
        level[room] = 1 + max((level[below] for below in floor[room]), default=-1)
    return [sorted(r for r in level if level[r] == n) for n in reversed(range(1 + max(level.values())))]


def draw(rooms: nx.DiGraph) -> str:
    """The picture as SVG: a band a floor, arrows without those that a longer way implies, and what is used below."""
    parts: list[str] = []
    top = MARGIN
    for name, title in FLOORS.items():
        floor = rooms.subgraph(r for r in rooms if r.split(".")[0] == name)
        stacked = rows(floor)
        used = _used_below(rooms, name)
        height = HEAD + len(stacked) * (HEIGHT + GAP) - GAP + MARGIN + (20 if used else 0)
        parts.append(
            f'<rect class="floor" x="{MARGIN}" y="{top}" width="{PAGE - 2 * MARGIN}" height="{height}" rx="6"/>'
        )
        parts.append(f'<text class="title" x="{2 * MARGIN}" y="{top + 22}">{escape(title)}</text>')
        parts += _floor(floor, stacked, top + HEAD)
        if used:
            parts.append(f'<text class="below" x="{2 * MARGIN}" y="{top + height - 10}">{escape(used)}</text>')
        top += height + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{PAGE}" height="{top}" viewBox="0 0 {PAGE} {top}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def _floor(floor: nx.DiGraph, stacked: list[list[str]], top: int) -> Iterator[str]:
    """Arrows and rooms."""
    place = _places(floor, stacked, top)
    for room, below in sorted(nx.transitive_reduction(floor).edges):
        (x, y), (to_x, to_y) = place[room], place[below]
        start, end = y + HEIGHT, to_y - 5
        lane = _lane(to_x, [other for other, at in place.values() if y < at < to_y])
        leaves, arrives = start + GAP, to_y - GAP  # the lane; where there is no row between, they are the two ends
        way = f"M{x} {start} {_bend(x, start, lane, min(leaves, end))}"
        if arrives > leaves:
            way += f" L{lane} {arrives} {_bend(lane, arrives, to_x, end)}"
        yield f'<path d="{way}"/>'
        yield f'<path class="tip" d="M{to_x - 4} {end - 3} L{to_x + 4} {end - 3} L{to_x} {end + 4} Z"/>'
    for room, (x, y) in place.items():
        yield f'<rect class="room" x="{x - BOX // 2}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="4"/>'
        yield f'<text class="name" x="{x}" y="{y + 17}">{escape(room.split(".")[1])}</text>'


def _lane(wanted: int, between: list[int]) -> int:
    """Where an arrow goes down past the rooms between its ends: near `wanted`, behind none of them."""
    free = (x for x in range(3 * MARGIN // 2, PAGE - MARGIN, 2) if all(abs(x - at) > BOX // 2 + 8 for at in between))
    return min([wanted] if not between else free, key=lambda x: (abs(x - wanted), x))


def _bend(x: int, y: int, to_x: int, to_y: int) -> str:
    return f"C{x} {y + 18} {to_x} {to_y - 18} {to_x} {to_y}"


def _places(floor: nx.DiGraph, stacked: list[list[str]], top: int) -> dict[str, tuple[int, int]]:
    """The middle of each room's upper edge; rooms stand near those above them that import them."""
    place: dict[str, tuple[int, int]] = {}
    for number, row in enumerate(stacked):
        pulls = {r: [place[above][0] for above in floor.predecessors(r)] for r in row}
        order = sorted(row, key=lambda r: (sum(pulls[r]) / len(pulls[r]) if pulls[r] else PAGE / 2, r))
        step = (PAGE - 4 * MARGIN) // len(row)
        for i, room in enumerate(order):
            place[room] = 2 * MARGIN + step * i + step // 2, top + number * (HEIGHT + GAP)
    return place


def _used_below(rooms: nx.DiGraph, floor: str) -> str:
    """The rooms of lower floors that this floor imports, in words."""
    below = sorted({b for a, b in rooms.edges if a.split(".")[0] == floor and b.split(".")[0] != floor})
    by_floor: dict[str, list[str]] = {}
    for room in below:
        by_floor.setdefault(room.split(".")[0], []).append(room.split(".")[1])
    words = (f"{name} ({', '.join(names)})" for name, names in sorted(by_floor.items(), reverse=True))
    return f"uses {' and '.join(words)}" if by_floor else ""


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "house.svg")
    options = parser.parse_args()
    options.out.write_text(draw(imports()), encoding="utf-8")


if __name__ == "__main__":
    main()
