"""Parts of pictures: pictures found in screenshots, and what a comparison of two copies finds."""

from benchmarks.tables.aims import Aim, at_least, at_most
from benchmarks.tables.markdown import Report, percent, table

WHITE = (
    "Pictures whose ground is the page's colour, such as a product on white, and dark pictures on a page that shows "
    "the same dark elsewhere have sides without an edge."
)

FOUND = 0.9  # of edits by hand, that a comparison is to find
RULE = 2  # of what counts as a change; the table of an older one says so
OLDER = (
    "What counts as a change was set anew on training pictures after this was measured (benchmarks/local/README.md). "
    "The new rule was not looked at on test pictures."
)


def inside(report: Report) -> str:
    rows = [
        [f"pages: {kind}", *(str(row[name]) for name in ("pictures", "found", "boxes", "false"))]
        for kind, row in report["by_kind"].items()
    ]
    said = (
        f"{report['pages']} pages, {percent(report['found'])} of their {report['pictures']} pictures found, "
        f"{percent(report['false'])} of the boxes false. Of {report['plain_pictures']} pictures without a page around "
        f"them, {percent(report['plain_pictures_cut'])} were cut; with an even margin put around them, "
        f"{percent(report['margins_left_out'])} were found without it."
    )
    return f"{table(['', 'pictures', 'found', 'boxes', 'false'], rows)}\n\n{said}"


def inside_aims(report: Report) -> list[Aim]:
    return [
        at_least("Pictures found in screenshots of pages", report["found"], 0.9, WHITE),
        at_most("False ones among the pictures that are found in pages", report["false"], 0.1, WHITE),
    ]


def compare(report: Report) -> str:
    kinds = {f"copies, {kind}": row for kind, row in report["copies"].items()}
    kinds |= {f"edits: {kind}": row for kind, row in report["edits"].items()}
    for name, found in report["real_edits"].items():
        kinds |= {f"real edits, `{name}`: {part}": row for part, row in found.items() if part != "pairs"}
    kinds |= report["others"]
    answers = ("same picture", "same scene, another moment", "no match")
    rows = [
        [kind, str(row["n"]), *(str(row["answers"].get(name, 0)) for name in answers), percent(row["flagged"])]
        + (_right(row) if "edit" in kind else ["", ""])
        for kind, row in kinds.items()
    ]
    head = ["pairs", "number", *answers, "a part framed", "the right one", "IoU where it is"]
    said = (
        f"From {report['pictures']} photographs: a row of a few pairs says little. Edits by hand whose region changed "
        "by less than 6 of 255 on average are counted as faint, in rows of their own. Real edits are of test pictures; "
        "those that were made anew are left out of `edits2`. Where their difference shows no region, any frame counts. "
        "IoU: of all frames of a pair together with what was changed; a frame is a rectangle, what was changed is not."
    )
    older = "" if report.get("rule") == RULE else f" {OLDER}"
    return f"{table(head, rows)}\n\n{said}{older}"


def _right(row: Report) -> list[str]:
    """How often the right part is framed, and how well where it is."""
    return [percent(row["found"]), f"{row['iou_where_found']:.2f}" if "iou_where_found" in row else ""]


def compare_aims(report: Report) -> list[Aim]:
    copies = report["copies"].values()
    unchanged = sum(row["n"] for row in copies)
    framed = round(sum(row["flagged"] * row["n"] for row in copies))
    by_hand = {kind: row for kind, row in report["edits"].items() if not kind.endswith(", faint")}
    missed = ", ".join(kind for kind, row in by_hand.items() if row["found"] < FOUND)
    why = f"On {sum(row['n'] for row in by_hand.values())} edits; under it: {missed}."
    of = f"It is {framed} of {unchanged} copies."
    return [
        at_least("Copies called the same picture", report["same_picture"], 0.98),
        at_least("Edits by hand found by comparing with a copy", report["edits_found"], FOUND, why),
        at_most("Unchanged copies in which a part is framed", framed / unchanged, 0.02, of),
    ]
