"""Memory for one more worker (spec A13)."""

import os
from pathlib import Path

import psutil
import pytest

from levqor.agent import room

MIB = 1024 * 1024


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tmp_path / "proc"


@pytest.fixture
def cgroups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_without_a_limit_the_machine_decides(proc: Path, cgroups: Path) -> None:
    write(proc / "self" / "cgroup", "0::/a\n")
    write(cgroups / "a" / "memory.max", "max\n")
    write(cgroups / "a" / "memory.current", "5\n")
    assert room.free_bytes(proc, cgroups) > 0.5 * psutil.virtual_memory().available


def test_the_tightest_limit_of_all_ancestors_binds(proc: Path, cgroups: Path) -> None:
    write(proc / "self" / "cgroup", "0::/slice/unit\n")
    write(cgroups / "slice" / "memory.max", f"{10 * MIB}\n")
    write(cgroups / "slice" / "memory.current", f"{7 * MIB}\n")
    write(cgroups / "slice" / "unit" / "memory.max", f"{9 * MIB}\n")
    write(cgroups / "slice" / "unit" / "memory.current", f"{2 * MIB}\n")
    assert room.free_bytes(proc, cgroups) == 3 * MIB


def test_file_cache_that_nobody_uses_counts_as_free(proc: Path, cgroups: Path) -> None:
    write(proc / "self" / "cgroup", "0::/\n")
    write(cgroups / "memory.max", f"{10 * MIB}\n")
    write(cgroups / "memory.current", f"{9 * MIB}\n")
    write(cgroups / "memory.stat", f"anon 1\ninactive_file {4 * MIB}\n")
    assert room.free_bytes(proc, cgroups) == 5 * MIB


def test_the_first_cgroup_version_is_read_too(proc: Path, cgroups: Path) -> None:
    write(proc / "self" / "cgroup", "4:memory:/box\n1:cpu:/\n0::/\n")
    write(cgroups / "memory" / "box" / "memory.limit_in_bytes", f"{8 * MIB}\n")
    write(cgroups / "memory" / "box" / "memory.usage_in_bytes", f"{6 * MIB}\n")
    write(cgroups / "memory" / "memory.limit_in_bytes", "9223372036854771712\n")
    write(cgroups / "memory" / "memory.usage_in_bytes", "0\n")
    assert room.free_bytes(proc, cgroups) == 2 * MIB


def test_more_used_than_allowed_leaves_nothing_rather_than_less(proc: Path, cgroups: Path) -> None:
    write(proc / "self" / "cgroup", "0::/\n")
    write(cgroups / "memory.max", "5\n")
    write(cgroups / "memory.current", "6\n")
    assert room.free_bytes(proc, cgroups) == 0


def test_pressure_is_the_full_stall_of_the_last_ten_seconds(proc: Path) -> None:
    write(proc / "pressure" / "memory", "some avg10=9.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=2.50 avg60=0.10 avg300=0.00 total=1\n")
    assert room.stalled_percent(proc) == 2.5


def test_no_pressure_file_is_unknown_not_zero(proc: Path) -> None:
    assert room.stalled_percent(proc) is None


def test_before_any_sample_a_worker_is_taken_for_64_mib() -> None:
    assert room.WorkerSizes().p95() == 64 * MIB


def test_the_95th_percentile_is_the_nearest_rank() -> None:
    sizes = room.WorkerSizes()
    for size in range(1, 101):
        sizes.add(size)
    assert sizes.p95() == 95


def test_only_the_last_hundred_samples_count() -> None:
    sizes = room.WorkerSizes()
    for size in [10_000] * 50 + [1] * 100:
        sizes.add(size)
    assert sizes.p95() == 1


def test_a_living_process_has_a_size_and_a_dead_one_adds_nothing() -> None:
    sizes = room.WorkerSizes()
    sizes.sample([2**22 - 1])
    assert sizes.p95() == room.DEFAULT_WORKER_BYTES
    sizes.sample([os.getpid()])
    assert MIB < sizes.p95() != room.DEFAULT_WORKER_BYTES
