"""Step 1: a server that has no tools yet, and says that it is well.

python examples/steps/step_1_health.py
"""

from gatepost import Server, run
from gatepost.configuration.settings import load_settings

server = Server("step-1")

OPEN = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
"""No login and no tokens: those come in step 6."""

if __name__ == "__main__":
    run(server, settings=load_settings(OPEN))
