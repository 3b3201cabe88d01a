"""What a verdict costs, and what was tried to make it cost less."""

from benchmarks.light.memory import CHECKED
from benchmarks.tables.aims import Aim
from benchmarks.tables.markdown import Report, table


def avx2(report: Report) -> str:
    """Ways to judge where a processor has AVX2 alone."""
    rows = [
        [
            way,
            f"{row['cpu']:.2f}",
            f"{row['times']:.2f}",
            f"{row['moved_median']:.2f}",
            f"{row['moved_most']:.2f}",
            f"{row['answers']} of {row['pictures']}",
        ]
        for way, row in report["rows"].items()
    ]
    head = ["way", "processor s", "times float32's", "log-odds apart, median", "most", "other answers"]
    words = (
        f"On {report['processor']['name']}, held to AVX2 but for int8 with VNNI, {report['date']}, at a load of "
        f"{report['load']:.0f} on {report['processor']['cores']} cores: photographs of `train`, half of them "
        "generated; median over pictures, on one thread, without the map. `int8-avx2` multiplies weights of 8 bits "
        "with inputs of 7, and 16 channels of each layer in float32. What was tried on 12 pictures, at a load of 2, "
        "does not ship: it moves the log-odds further."
    )
    return f"{table(head, rows)}\n\n{words}"


def batches(report: Report) -> str:
    """Processor seconds a view, by how many go through the tower together."""
    first = report["rows"][0]["cpu"]
    rows = [[str(r["views"]), f"{r['cpu']:.3f}", f"{r['cpu'] / first:.2f}"] for r in report["rows"]]
    words = (
        f"On {report['processor']['name']}, in {report['runtime']}, on one thread, {report['date']}, at a load of "
        f"{report['load']:.0f}. A picture has three to five views, which go together already. Views of several "
        "visitors together would take about as long as one after the other, and the first of them would wait for the "
        "last: so they are not put together."
    )
    return f"{table(['views in one pass', 'processor s a view', 'times the first row'], rows)}\n\n{words}"


def answers(report: Report) -> str:
    """Which answers other runtimes change, on `test`."""
    rows, said = [], []
    for runtime, found in report["runtimes"].items():
        for name, row in found["sets"].items():
            auc = [f"{row['auc'][k]:.3f}" if row["auc"] else "" for k in ("bfloat16", "now")]
            share = f"{row['answers']} ({100 * row['answers'] / row['pictures']:.1f} %)"
            moved = [f"{row[k]:.2f}" for k in ("moved_median", "moved_most")]
            rows.append([runtime, name, f"{row['pictures']:,}", *auc, share, *moved])
        judged = found["sets"]["all"]["pictures"]
        part = "all" if judged == found["of"] else f"{judged:,} of the"
        said.append(
            f"`{runtime}`: {part} {found['of']:,} pictures, {found['cpu']:.2f} processor s each, {found['date']}, at a "
            f"load of {found['load']:.0f}."
        )
    head = ["runtime", "set", "pictures", "AUC in bfloat16", "AUC", "other answers"]
    words = (
        "Against bfloat16, by features kept in half precision. An answer is another one where a score crosses a border "
        "between bands, or where one runtime alone takes a picture for no photograph."
    )
    return f"{table([*head, 'log-odds apart, median', 'most'], rows)}\n\n{words} {' '.join(said)}"


def memory(report: Report) -> str:
    """Resident MB after each step, by runtime."""
    runtimes = report["runtimes"]
    steps = [row["after"] for row in next(iter(runtimes.values()))]
    rows = [
        [step, *(f"{found[i]['mb']:,} ({found[i]['files_mb']:,})" for found in runtimes.values())]
        for i, step in enumerate(steps)
    ]
    rows.append(["**the most, with the check**", *(f"**{_checked(found):,}**" for found in runtimes.values())])
    rows.append(["**the most, with Purify**", *(f"**{found[-1]['most_mb']:,}**" for found in runtimes.values())])
    words = (
        "Resident MB of one process, in brackets what of that is pages of files, which processes share. Each runtime "
        f"is asked for by CAUSALCLIP_RUNTIME, on {report['processor']['name']}, {report['date']}, with PyTorch "
        f"{report['torch']}. PyTorch's build for graphics cards takes some 310 MB more."
    )
    return f"{table(['after', *runtimes], rows)}\n\n{words}"


def memory_aims(report: Report) -> list[Aim]:
    """By int8, which most processors judge in."""
    found = report["runtimes"]["int8"]
    why = "PyTorch, OpenVINO and diffusers are most of it."
    return [
        _megabytes("memory of a detection with its check", _checked(found), 800, why),
        _megabytes("memory with Purify in the same process", found[-1]["most_mb"], 1100, why),
    ]


def _checked(rows: list[Report]) -> int:
    most: int = next(row["most_mb"] for row in rows if row["after"] == CHECKED)
    return most


def _megabytes(what: str, found: int, aim: int, why: str) -> Aim:
    return Aim(f"{what}, at most {aim:,} MB", found <= aim, f"{found:,} MB", why, f"{aim:,} MB")
