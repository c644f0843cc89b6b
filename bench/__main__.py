"""Runs every bench and prints its figures: `python -m bench [NAME ...]`."""

import os
import pkgutil
import platform
import subprocess
import sys
import time

import bench

TIME_LIMIT_S = 900.0


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))


def run(name: str) -> bool:
    """One bench in a process of its own, so that no figure is taken beside another bench's threads and memory."""
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    try:
        code = subprocess.run([sys.executable, "-m", f"bench.{name}"], timeout=TIME_LIMIT_S, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"{name}: not done within {TIME_LIMIT_S:.0f} s")
        return False
    print(f"   ({time.monotonic() - started:.0f} s{'' if code == 0 else f', ended with {code}'})", flush=True)
    return code == 0


def main(arguments: list[str]) -> int:
    known = names()
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(known) or 'none'}", file=sys.stderr)
        return 2
    cpus = os.cpu_count()
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {cpus} cores, load {os.getloadavg()[0]:.1f}")
    failed = [name for name in arguments or known if not run(name)]
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
