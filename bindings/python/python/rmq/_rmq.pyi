from typing import Final

__version__: Final[str]

def version() -> str:
    """The version of the native library."""
