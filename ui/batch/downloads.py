"""What can be downloaded of a batch at any moment: the table, a summary to mail, and all reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from causalclip.languages import N_

if TYPE_CHECKING:
    from ui.batch.kept import Batch

Kind = Literal["csv", "html", "pdf", "zip"]
KINDS: dict[Kind, str] = {
    "csv": N_("Table (CSV)"),
    "html": N_("Summary (HTML)"),
    "pdf": N_("Summary (PDF)"),
    "zip": N_("All reports (zip)"),
}


def write_download(kind: Kind, batch: Batch) -> Path:
    """Writes it of what is done by now; returns its path."""
    from causalclip.examine.batch import as_csv, zip_reports
    from causalclip.report.overview import Overview, as_html
    from causalclip.report.overview_pdf import as_pdf
    from ui.batch.triage import counts, rank

    path = batch.folder / f"causalclip-{'reports' if kind == 'zip' else 'batch'}.{kind}"
    in_order = sorted(batch.rows, key=lambda row: row.number)
    overview = Overview(tuple(sorted(batch.rows, key=rank)), batch.thumbnails, counts(batch.rows), batch.edges)
    if kind == "zip":
        zip_reports(path, in_order, [("summary.html", as_html(overview)), *batch.reports()])
    elif kind == "pdf":
        path.write_bytes(as_pdf(overview))
    else:
        path.write_text(as_csv(in_order) if kind == "csv" else as_html(overview), encoding="utf-8", newline="")
    return path
