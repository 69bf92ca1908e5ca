"""The package loads, and tells the version it was built from."""

import importlib.metadata
import pathlib
import tomllib

import rmq

WORKSPACE = pathlib.Path(__file__).resolve().parents[3] / "Cargo.toml"


def test_version_is_that_of_the_workspace() -> None:
    built_from = tomllib.loads(WORKSPACE.read_text())["workspace"]["package"]["version"]
    assert rmq.version() == built_from
    assert rmq.__version__ == built_from
    assert importlib.metadata.version("rmq") == built_from


def test_package_is_typed() -> None:
    package = pathlib.Path(rmq.__file__).parent
    assert (package / "py.typed").exists()
    stub = (package / "_rmq.pyi").read_text()
    native = [name for name in dir(rmq._rmq) if name == "__version__" or not name.startswith("_")]
    missing = [name for name in native if name not in stub]
    assert missing == []
