"""Write the goldens anew and say what changed: python -m tests.goldens"""

from tests.goldens.pages import VARIANTS, Pages, draw_pages
from tests.goldens.store import LINES, differences, read, report, write


def main() -> None:
    """Draw all pages, say what changed, keep them."""
    pages: Pages = {}
    for variant in VARIANTS:
        pages |= draw_pages(variant)
    before = read() if LINES.is_file() else {}
    print(report(differences(before, pages), most=400) or "Nothing changed.")
    write(pages)


if __name__ == "__main__":
    main()
