"""The demo as a stranger runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.timeout(480)
def test_the_demo_grows_and_comes_back(tmp_path: Path) -> None:
    """A step up is seen and explained within 60 s of the start, no job is lost, the fleet comes back to one worker."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "levqor.cli", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=450, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    first = report["steps"][0]
    assert (first["from"], first["to"]) == (1, 2)
    assert first["at_s"] < 60
    assert first["why"] in done.stderr
    assert report["lost"] == 0
    assert report["target_last"] == 1
    assert Path(report["report"]).exists()
