"""The PostgreSQL of the tests: a server that works, and no silence in CI where there is none."""

import psycopg
import pytest

from tests.support.servers.postgres import go_without


def test_each_database_is_new_and_works(postgres_server):
    urls = [postgres_server.new_database() for _ in range(2)]
    for url in urls:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t (a int)")
    assert urls[0] != urls[1]


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [({}, pytest.skip.Exception), ({"CI": ""}, pytest.skip.Exception), ({"CI": "true"}, pytest.fail.Exception)],
)
def test_without_postgresql_a_test_is_skipped_but_in_ci_it_fails(environment, outcome):
    with pytest.raises(outcome, match=r"PostgreSQL is not installed .*apt-get install postgresql"):
        go_without(environment)
