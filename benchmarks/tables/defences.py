"""Purification: answers that stay, and what the gate lets pass."""

from pathlib import Path

from benchmarks.tables.aims import Aim
from benchmarks.tables.markdown import Report, percent, percents, table
from purifier.evaluation import markdown
from purifier.evaluation.kept import Kept, fingerprint
from purifier.models import MODELS

OURS, ADAPTED, NONE, JPEG = "ours, 1 step", "ours, 1 step, adapted encoder", "no defence", "JPEG 10"
UNGATED = "ours, ungated"  # its quantisation is drawn anew each time
UNGATED_ADAPTED = "ours, ungated, adapted encoder"
ADAPTIVE = "adaptive", "budget by budget"  # how the threats of attackers who know ours begin
KEPT = {"PGD 8/255": 0.85, "APGD 8/255": 0.82, "PGD l2 4.0": 0.85, "patch 2 %": 0.80}  # aims: answers that stay
KNOWN = {"APGD, then PGD-40 2/255, white-box adaptive": 0.40, "APGD, then PGD-40 4/255, white-box adaptive": 0.20}
RESTORED = {"PGD 8/255": 0.85, "APGD 8/255": 0.75}  # aims: the share of the clean picture's right answers
OUTCOMES = Path(__file__).resolve().parents[1] / "purification" / "outcomes"


def cell(report: Report, row: str, column: str) -> Report:
    """What was measured of one defence under one attack.

    Raises:
        KeyError: nothing was.
    """
    for found in report["cells"]:
        if (found["row"], found["column"]) == (row, column):
            return dict(found)
    raise KeyError((row, column))


def columns(report: Report, *threats: str) -> list[str]:
    """The columns whose threat begins with one of these words, where our row with the adapted encoder was measured."""
    ours = {c["column"] for c in report["cells"] if c["row"] == ADAPTED}
    return [name for name, about in report["threats"].items() if about["threat"].startswith(threats) and name in ours]


def knowing(report: Report) -> list[str]:
    """The columns of attackers who know the purifier, at 4/255."""
    return [name for name in columns(report, *ADAPTIVE) if report["threats"][name]["eps"] == 4]


def purification(report: Report) -> str:
    return markdown(report).replace("## ", "#### ").rstrip()


def passed(report: Report) -> str:
    """Attacked pictures that the gate took for clean, which are as they were; empty if the outcomes are not here."""
    kept = Kept(OUTCOMES / f"{fingerprint(MODELS / name for name in ('vlm', 'vlm-eye', 'purifier'))}.csv.gz")
    rows = []
    for column in columns(report, "no attack", "grey box"):
        found = [o for o in kept.all(column).values() if OURS in o and NONE in o]
        same = sum(o[OURS].psnr == o[NONE].psnr and o[OURS].ssim == o[NONE].ssim for o in found)
        rows.append([column, str(len(found)), str(same)])
    return table(["pictures", "number", "left as they were"], rows) if any(int(r[1]) for r in rows) else ""


def purification_aims(report: Report) -> list[Aim]:
    clean, none = cell(report, OURS, "clean"), cell(report, NONE, "clean")
    lost = none["accuracy"] - clean["accuracy"]
    changed = 1 - cell(report, NONE, "PGD 8/255")["agreement"]
    return [
        Aim("PGD at 8/255 changes at least 95 % of undefended answers", changed >= 0.95, percent(changed)),
        *(_restored(report, column, aim) for column, aim in RESTORED.items()),
        Aim(
            "clean pictures: at most 1 point of accuracy lost, PSNR at least 34 dB",
            lost <= 0.01 and clean["psnr"] >= 34,
            f"{100 * lost:.1f} points, {clean['psnr']:.0f} dB",
        ),
        *(_stays(report, column, aim) for column, aim in KEPT.items()),
        _as_made(report),
        _adapted(report),
        _ahead(report),
        _adaptive(report),
        *(_known(report, column, aim) for column, aim in KNOWN.items()),
    ]


def _stays(report: Report, column: str, aim: float) -> Aim:
    """Behind the purifier, by the adapted encoder, as the page shows it."""
    found = cell(report, ADAPTED, column)["agreement"]
    what = f"purified, seen by the adapted encoder: at least {percent(aim)} of the answers stay under {column}"
    why = "A coarse twin guides the picture, and what the twin has lost does not come back."
    short = f"{percent(aim)} of answers under {column}"
    return Aim(what, found >= aim, f"{100 * found:.1f} %", why, short=short)  # rounded further, 79.8 % were 80 %


def _as_made(report: Report) -> Aim:
    found = cell(report, ADAPTED, "PGD 8/255")
    return Aim(
        "purified pictures, PGD at 8/255: captions with a CIDEr of at least 0.62, PSNR at least 32 dB",
        found["cider"] >= 0.62 and found["psnr"] >= 32,
        f"{found['cider']:.2f}, {found['psnr']:.1f} dB",
        "What the guided step leaves of an attack is quantised away, and detail with it.",
        short="captions and detail of purified pictures",
    )


def _adapted(report: Report) -> Aim:
    """What the adapted encoder adds to the same purified pictures."""
    names = ["clean", *RESTORED]
    clean, *gained = (cell(report, ADAPTED, name)["accuracy"] - cell(report, OURS, name)["accuracy"] for name in names)
    return Aim(
        "the adapted encoder: at least 2 points more right answers under PGD and APGD at 8/255, at most 1 lost on "
        "clean pictures",
        min(gained) >= 0.02 and clean >= -0.01,
        f"{' and '.join(f'{100 * g:+.1f}' for g in gained)} points; clean {100 * clean:+.1f}",
        "It was taught to say what the model says of the clean picture, right or wrong.",
        short="2 points of right answers by the adapted encoder",
    )


def kept(report: Report, row: str, names: list[str]) -> list[float]:
    """The share of answers that stay those of the clean picture, in each of these columns."""
    return [float(cell(report, row, name)["agreement"]) for name in names]


def _restored(report: Report, column: str, aim: float) -> Aim:
    share = cell(report, ADAPTED, column)["accuracy"] / cell(report, NONE, "clean")["accuracy"]
    known = "" if report["threats"][column]["trained on"] else ", which it was never trained on"
    what = f"at least {percent(aim)} of the right answers restored under {column}{known}"
    return Aim(f"purified, seen by the adapted encoder: {what}", share >= aim, percent(share))


def _ahead(report: Report) -> Aim:
    """As the page shows it, of every other defence that was asked the same questions, under every attack that does not
    know ours."""
    under = columns(report, "grey box")
    behind = {m: sum(_beaten(report, column, m) for column in under) for m in ("agreement", "accuracy")}
    clean = percents(kept(report, ADAPTED, ["clean"])), percents(kept(report, JPEG, ["clean"]))
    return Aim(
        "purified, seen by the adapted encoder: ahead of every other defence under every attack that does not know it",
        not any(behind.values()),
        f"another one is ahead under {behind['agreement']} of {len(under)} attacks (answers that stay), under "
        f"{behind['accuracy']} (right answers)",
        f"What guides the picture is quantised as coarsely as {JPEG}. On clean pictures {clean[0]} of the answers "
        f"stay, behind {JPEG} {clean[1]}.",
        short=f"a lead over {JPEG} under every attack",
    )


def _beaten(report: Report, column: str, metric: str) -> bool:
    ours = cell(report, ADAPTED, column)
    if ours["n"] != cell(report, OURS, column)["n"]:
        raise ValueError(f"{ADAPTED!r} was not asked all questions of {column!r}: measure it on the others, too.")
    others = [c for c in report["cells"] if c["column"] == column and c["n"] == ours["n"]]
    return any(c[metric] > ours[metric] for c in others if not c["row"].startswith(("ours", NONE)))


def _adaptive(report: Report) -> Aim:
    under = knowing(report)
    ours, none = kept(report, ADAPTED, under), kept(report, NONE, under)
    return Aim(
        "an attacker who knows the purifier, at 4/255: 20 points more answers stay than without a defence, under every "
        "attack",
        min(a - b for a, b in zip(ours, none, strict=True)) >= 0.20,
        f"{percents(ours)} stay, {percents(none)} without",
        "The attacker closes the gate. Without one, a network that learned from attacks through itself kept about as "
        "many.",
        short="a defence against an attacker who knows the purifier",
    )


def _known(report: Report, column: str, aim: float) -> Aim:
    """Of an attacker who follows the mean gradient through what is drawn, if the gate is switched off."""
    (stay, clean), count = kept(report, UNGATED, [column, "clean"]), cell(report, UNGATED, column)["n"]
    adapted, adapted_clean = kept(report, UNGATED_ADAPTED, [column, "clean"])
    attack = column.removesuffix(", white-box adaptive")
    return Aim(
        f"{attack} by a white-box adaptive attacker (the mean of 4 draws): at least {percent(aim)} of the "
        f"answers stay behind {UNGATED!r}",
        stay >= aim,
        f"{percent(stay)} of {count}, seen by the adapted encoder {percent(adapted)}; with the gate, too, "
        f"{percents(kept(report, ADAPTED, [column]))}",
        f"The attacker follows the mean of what is drawn. Of clean pictures {percent(clean)} of the answers stay, seen "
        f"by the adapted encoder {percent(adapted_clean)}.",
        short=f"{percent(aim)} of answers under {attack} by a white-box adaptive attacker",
    )
