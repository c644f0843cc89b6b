"""Starts localstripe on loopback and keeps its state out of the temporary folder; a process of its own, never imported."""

import sys

from aiohttp import web
from localstripe import resources  # type: ignore[import-untyped]
from localstripe.server import app  # type: ignore[import-untyped]

if __name__ == "__main__":
    resources.Store.dump_to_disk = lambda _store: None
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
