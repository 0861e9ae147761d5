"""The guard around the developer's state, and the servers, as tests/conftest.py has them."""

from tests.conftest import isolated_root, isolated_session  # noqa: F401 fixtures, which pytest finds by these names
from tests.support.servers.postgres import postgres_server  # noqa: F401 likewise
from tests.support.servers.redis_server import redis_server  # noqa: F401 likewise
