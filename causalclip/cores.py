"""The number of processor cores that this process may use: in a container its quota, not the host's
cores."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def limit_threads() -> None:
    """Have OpenMP, and so PyTorch, start as many threads as there are usable cores, unless
    OMP_NUM_THREADS is set.

    Call it before PyTorch is imported.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def usable_cores(cgroups: Path = CGROUPS, own_group: Path = OWN_GROUP) -> int:
    """Return the cores that this process may use, at least 1: those it may run on, within its
    control group's quota.

    Args:
        cgroups: where Linux shows control groups.
        own_group: the file that names this process's.
    """
    affinity = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quotas = [math.ceil(quota) for quota in _cpu_quotas(cgroups, own_group)]
    return max(1, min([affinity, *quotas]))


def _cpu_quotas(cgroups: Path, own_group: Path) -> list[float]:
    """Return the quotas, in cores, of this process's control group and of those above it; none
    elsewhere than Linux.

    Of cgroup v2, and of v1 as containers see it.
    """
    paths = [
        line.split(":", 2)[2] for line in _read(own_group).splitlines() if line.startswith("0::")
    ]
    group = cgroups / paths[0].lstrip("/") if paths else cgroups
    files = [
        parent / "cpu.max" for parent in (group, *group.parents) if parent.is_relative_to(cgroups)
    ]
    limits = [_read(file).split() for file in files]
    limits.append(
        (
            _read(cgroups / "cpu/cpu.cfs_quota_us") + " " + _read(cgroups / "cpu/cpu.cfs_period_us")
        ).split()
    )
    pairs = [limit for limit in limits if len(limit) == 2 and limit[0] not in ("max", "-1")]
    return [int(quota) / int(period) for quota, period in pairs]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError:
        return ""
