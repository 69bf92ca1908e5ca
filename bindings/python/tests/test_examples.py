"""The examples run."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "python"


@pytest.mark.parametrize("program", sorted(path.name for path in FOLDER.glob("*.py")))
def test_example(tmp_path: Path, program: str) -> None:
    arguments = ["--seconds", "0.3"] if program == "plot.py" else []
    command = [sys.executable, "-W", "error", str(FOLDER / program), *arguments]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout
    if program == "plot.py":
        assert (tmp_path / "run.png").exists() or "pip install 'rmq[plot]'" in ended.stdout


def test_examples_are_typed(tmp_path: Path) -> None:
    cache = f"--cache-dir={tmp_path}"
    programs = [path for path in FOLDER.glob("*.py") if path.name != "plot.py"]
    command = [sys.executable, "-m", "mypy", "--strict", cache, *map(str, programs)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
