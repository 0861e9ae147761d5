"""Asks the service on this machine whether it lives: `python -m serving.healthcheck`, exit code 0 or 1.

For images, which hold no curl. Nothing but the standard library is imported: it runs every few
seconds. It asks for life and not for readiness, since whoever restarts what is unhealthy gains
nothing by restarting a service that waits for its first model.
"""

import os
import sys
import urllib.request

TIMEOUT_SECONDS = 5


def main() -> int:
    """Ask once, and say what went wrong."""
    # The settings would import pydantic, and cost more than the question.
    port = os.environ.get("FLIGHTLINE_SERVING__PORT", "8000")
    path = sys.argv[1] if len(sys.argv) > 1 else "live"
    # Never through a proxy: Docker gives each container those of its client's settings.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(f"http://127.0.0.1:{port}/health/{path}", timeout=TIMEOUT_SECONDS).close()
    except OSError as err:
        sys.stderr.write(f"/health/{path}: {err}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
