"""Write the goldens anew and say what changed: python -m tests.goldens"""

from tests.goldens.pages import VARIANTS, Pages, draw_pages
from tests.goldens.store import LINES, as_kept, differences, read, report, write


def main() -> None:
    """Draw all pages, say what changed, keep that."""
    pages: Pages = {}
    for variant in VARIANTS:
        pages |= draw_pages(variant)
    before = read() if LINES.is_file() else {}
    print(report(differences(before, pages), most=400) or "Nothing changed.")
    write({name: list(as_kept(before.get(name, []), page)) for name, page in pages.items()})


if __name__ == "__main__":
    main()
