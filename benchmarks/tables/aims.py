"""What was aimed at, whether it was reached, and why not. The numbers are the benchmarks' own."""

from dataclasses import dataclass

from benchmarks.tables.markdown import table


@dataclass(frozen=True, slots=True)
class Aim:
    """what: in words. found: the number, in words. why: it was missed. short: what the README calls it."""

    what: str
    reached: bool
    found: str
    why: str = ""
    short: str = ""


def at_least(what: str, found: float, aim: float, why: str = "", *, short: str = "") -> Aim:
    return Aim(f"{what}, at least {aim:g}", found >= aim, f"{found:.3f}", why, short or what)


def at_most(what: str, found: float, aim: float, why: str = "", *, short: str = "") -> Aim:
    return Aim(f"{what}, at most {aim:g}", found <= aim, f"{found:.3f}", why, short or what)


def seconds(what: str, found: float, aim: float, why: str = "", *, short: str = "") -> Aim:
    return Aim(f"{what}, at most {aim:g} s", found <= aim, f"{found:.2f} s", why, short or what)


def aims_table(aims: list[Aim]) -> str:
    rows = [[a.what, "reached" if a.reached else "**missed**", a.found, "" if a.reached else a.why] for a in aims]
    return table(["aim", "reached?", "measured", "why it was missed"], rows)


def missed_line(aims: list[Aim]) -> str:
    """How many were missed, in one sentence with a link to which and why."""
    missed = sum(not aim.reached for aim in aims)
    if not missed:
        return f"All {len(aims)} aims are reached."
    return f"{missed} of {len(aims)} aims were missed: [which, and why](docs/measured.md)."
