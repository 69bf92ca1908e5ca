"""The types that the package promises are those that it has."""

import subprocess
import sys
from pathlib import Path

import rmq


def run(*arguments: str | Path, folder: Path) -> None:
    command = [sys.executable, "-m", *map(str, arguments)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_package_and_its_tests_are_typed(tmp_path: Path) -> None:
    cache = f"--cache-dir={tmp_path}"
    run("mypy", "--strict", cache, "-p", "rmq", folder=tmp_path)
    run("mypy", "--strict", cache, *Path(__file__).parent.glob("*.py"), folder=tmp_path)


def test_the_stub_is_that_of_the_native_module(tmp_path: Path) -> None:
    run("mypy.stubtest", "rmq._rmq", folder=tmp_path)


def test_everything_public_is_documented() -> None:
    undocumented = []
    for module in (rmq, rmq.aio, rmq.testing):
        assert module.__doc__
        for name in module.__all__:
            found = getattr(module, name)
            if not isinstance(found, type):
                continue
            if not found.__doc__:
                undocumented.append(name)
            # What synchronous and asyncio handles share is inherited.
            owners = [owner for owner in found.__mro__ if owner.__module__.startswith("rmq")]
            for member, value in (item for owner in owners for item in vars(owner).items()):
                public = not member.startswith("_") and not isinstance(value, (int, found))
                told = callable(value) or isinstance(value, property)
                if public and told and not value.__doc__:
                    undocumented.append(f"{name}.{member}")
    assert undocumented == []
