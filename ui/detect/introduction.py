"""The head of the page: what this is, and the two numbers that matter."""

from __future__ import annotations

from causalclip.evidence.precision import error_rates
from causalclip.languages import LANGUAGES, _, current


def introduction(measured_as: str | None) -> str:
    """As HTML; the numbers are the benchmark's, and are left out where there is none of that revision."""
    what = _("Was this picture made by an image generator, and where in it does the score come from?")
    rates = error_rates(measured_as)
    return f"<h1>CausalCLIP</h1><p>{what} {f'<b>{rates.sentence}</b> {rates.unsure}' if rates else ''}</p>"


# Of the switch: the choice goes into the address, and stays in the browser's own storage.
CHOOSE = """const select = element.querySelector("select");
select.addEventListener("change", () => {
  try { localStorage.setItem("language", select.value); } catch { /* a browser may keep nothing */ }
  const address = new URL(location);
  address.searchParams.set("lang", select.value);
  location.assign(address);
});"""


def languages() -> str:
    """The switch, as HTML; each language by its own name."""
    options = "".join(
        f"<option value='{code}' lang='{code}'{' selected' if code == current() else ''}>{name}</option>"
        for code, name in LANGUAGES.items()
    )
    return f"<label class='cc-language'>{_('Language')} <select>{options}</select></label>"
