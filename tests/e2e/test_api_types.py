"""The dashboard's types are made from the API as it is: neither is changed without the other."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.e2e.documented import ROOT

from levqor.bootstrap.web import openapi

SITE = ROOT / "levqor-site"
GENERATOR = SITE / "node_modules" / "openapi-typescript" / "bin" / "cli.js"


def test_the_committed_description_is_the_apis() -> None:
    written = json.loads((SITE / "openapi.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(openapi())), "run `make types`"


def test_the_committed_types_are_the_descriptions(tmp_path: Path) -> None:
    node = shutil.which("node", path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if node is None or not GENERATOR.exists():
        if os.environ.get("CI"):
            pytest.fail("the dashboard's packages are not installed: `make site`")
        pytest.skip("the dashboard's packages are not installed: `make site`")
    made = tmp_path / "api-types.ts"
    subprocess.run([node, str(GENERATOR), "openapi.json", "-o", str(made)], cwd=SITE, check=True, capture_output=True, timeout=50)
    assert made.read_text(encoding="utf-8") == (SITE / "src" / "lib" / "api-types.ts").read_text(encoding="utf-8"), "run `make types`"
