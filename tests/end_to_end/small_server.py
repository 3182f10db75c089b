"""A server that takes only as many connections as the environment variable MOST_CONNECTIONS says."""

import os

from gatepost.listening import serving
from tests.end_to_end.sample_server import server

__all__ = ["server"]

serving.MOST_CONNECTIONS = int(os.environ["MOST_CONNECTIONS"])  # read when the server is configured
