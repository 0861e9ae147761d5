"""What the page is made of, without a browser."""

import json
import re

import pytest

from flightline.core.project import Project
from serving.app import create_app
from serving.middleware.api_keys import digest_of
from serving.page.form import form_fields
from serving.page.routes import CONTENT, FILES
from tests.serving.conftest import TestClient
from tests.serving.page.conftest import app_of, without_profile
from tests.toy_problem import EXAMPLE

KEY = "fl_of_the_page"


@pytest.fixture
def project(make_project) -> Project:
    return make_project()


def test_the_form_is_made_of_the_schema(project: Project) -> None:
    shop, city, opens = form_fields(project)
    assert (shop.kind, shop.is_required, shop.value, shop.limits) == ("text", False, "S01", {"pattern": "S[0-9]{2}"})
    assert (city.kind, city.is_required, city.help) == ("text", True, "Where it is.")
    assert (opens.kind, opens.value, opens.offset) == ("moment", "2020-07-02T08:00:00", "+02:00")


def test_no_page_lets_a_script_or_style_of_its_own_text_run(project: Project) -> None:
    client = TestClient(app_of(project))
    for path in (*FILES, CONTENT):
        answer = client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "http" not in policy
    html = client.get("/").text + client.get(CONTENT).text
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", html)


def test_every_value_of_the_content_is_escaped(make_project) -> None:
    project = make_project()
    decision = {
        "version": "<b>3</b>",
        "decision": {"action": "ok", "summary": "ok: <script>alert(1)</script>"},
        "windows": [],
    }
    folder = project.settings.state_dir / "monitoring"
    folder.mkdir(parents=True)
    (folder / "latest_decision.json").write_text(json.dumps(decision))
    html = TestClient(app_of(project)).get(CONTENT).text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


@pytest.mark.parametrize("text", ["", "{", "[]", '{"windows": [{}]}'])
def test_a_broken_decision_leaves_the_rest_of_the_page(project: Project, text: str) -> None:
    folder = project.settings.state_dir / "monitoring"
    folder.mkdir(parents=True)
    (folder / "latest_decision.json").write_text(text)
    assert "Monitoring has not run here yet" in TestClient(app_of(project)).get(CONTENT).text


def test_a_model_of_before_profiles_has_a_page_too(project: Project) -> None:
    html = TestClient(app_of(project, without_profile(project))).get(CONTENT).text
    assert "registered before pictures were kept" in html


def test_the_card_of_the_served_version_is_shown_and_given(project: Project) -> None:
    client = TestClient(app_of(project))
    answer = client.get(f"/v1/models/{project.problem.model_name}/card")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# Model card")
    html = client.get(CONTENT).text
    assert f'href="v1/models/{project.problem.model_name}/card"' in html
    assert "&lt;b&gt;late&lt;/b&gt;" in html


def test_a_version_without_a_card_says_so(project: Project) -> None:
    client = TestClient(app_of(project, without_profile(project)))
    answer = client.get(f"/v1/models/{project.problem.model_name}/card")
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        "version 3 was registered without a card; train it again",
    )
    assert 'id="card"' not in client.get(CONTENT).text
    assert client.get("/v1/models/another/card").status_code == 404


def test_what_is_not_ready_says_why(project: Project) -> None:
    html = TestClient(create_app(project)).get(CONTENT).text
    assert "Not ready: the service is starting" in html
    assert "No model is served." in html


def test_where_keys_are_needed_only_the_empty_shell_is_open(make_project) -> None:
    project = make_project(host="192.0.2.1", api_keys={"team": digest_of(KEY)})
    client = TestClient(app_of(project))
    assert {client.get(path).status_code for path in FILES} == {200}
    assert client.get(CONTENT).status_code == 401
    assert client.get(CONTENT, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    shell = "".join(client.get(path).text for path in FILES)
    told = [project.problem.model_name, project.problem.label, *project.request_fields, *map(str, EXAMPLE.values())]
    assert [word for word in told if re.search(rf"\b{re.escape(word)}\b", shell)] == []


def test_switched_off_there_is_no_page(make_project) -> None:
    project = make_project(page=False)
    client = TestClient(app_of(project))
    assert set(client.get("/").json()) == {"model", "ready", "docs"}
    assert {client.get(path).status_code for path in (*FILES, CONTENT) if path != "/"} == {404}
    assert client.get("/").headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_switched_off_nothing_is_open_where_keys_are_needed(make_project) -> None:
    client = TestClient(app_of(make_project(host="192.0.2.1", api_keys={"team": digest_of(KEY)}, page=False)))
    assert {client.get(path).status_code for path in (*FILES, CONTENT)} == {401}
