"""RocketMQ: nameserver, broker and client in your own process."""

from rmq._rmq import __version__, version

__all__ = ["__version__", "version"]
