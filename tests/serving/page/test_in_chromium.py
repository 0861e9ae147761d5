"""The page as a person meets it: in Chromium, with a narrow window, a keyboard, a key, and axe's rules."""

from typing import Any

import pytest

from serving.api.dependencies import get_serving_state
from serving.middleware.api_keys import digest_of
from tests.serving.page.conftest import app_of, served, serving, state_of
from tests.support.chromium import NARROW, WIDE, faults_of, opened, serious_faults
from tests.support.small_service import always

pytestmark = pytest.mark.system
KEY = "fl_of_the_page"
SENTENCES = {
    "classification": "The probability is ",
    "multiclass": "The likeliest class is ",
    "regression": "units is predicted as ",
}


def answered(page: Any, sentence: str) -> None:
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("status").filter(has_text=sentence).wait_for()


@pytest.mark.parametrize("task", ["classification", "multiclass", "regression"])
def test_axe_finds_no_serious_fault_and_nothing_is_cut_off(browser, make_project, task):
    with served(make_project(task)) as url, opened(browser, url, NARROW) as page:
        answered(page, SENTENCES[task])
        for details in page.locator("details").all():
            details.locator("summary").first.click()
        assert faults_of(page) == []


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_example_is_answered_with_what_drove_it(browser, make_project, task):
    with served(make_project(task)) as url, opened(browser, url, WIDE) as page:
        answered(page, SENTENCES[task])
        beside = "the base rate is 50 %" if task == "classification" else "between -16 and 56, the median is 20"
        assert beside in page.get_by_role("status").text_content()
        drove = page.get_by_role("region", name="What drove it")
        assert {text.strip() for text in drove.locator("summary").all_text_contents()} == {"recent", "plan", "request"}
        assert "mean_units: 60 (typical 10)" in drove.text_content()
        answer = page.locator("#answer").text_content()
        assert "plan: after the clock" in answer
        assert "recent: 5 minutes" in answer
        assert "make why PREDICTION=" in answer


def test_a_keyboard_is_enough(browser, make_project):
    with served(make_project()) as url, opened(browser, url) as page:
        page.get_by_role("button", name="Predict").wait_for()
        seen = []
        for _ in range(5):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert seen[:2] == ["field-shop", "field-city"]  # then the parts of a date, as the browser has them
        page.locator("#field-city").focus()
        page.keyboard.press("Enter")
        page.get_by_role("status").filter(has_text="The probability is ").wait_for()


def test_every_field_has_a_name_and_what_is_wrong_is_told_of_it(browser, make_project):
    with served(make_project()) as url, opened(browser, url) as page:
        page.get_by_role("textbox", name="city").fill("bergen")
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("String should match pattern").wait_for()
        city = page.get_by_role("textbox", name="city")
        assert city.get_attribute("aria-invalid") == "true"
        assert "field-city-error" in city.get_attribute("aria-describedby")
        assert page.evaluate("document.activeElement.id") == "field-city"
        city.fill("Tartu")
        answered(page, "The probability is ")
        assert city.get_attribute("aria-invalid") is None


def test_a_key_is_typed_once_and_forgotten_with_the_page(browser, make_project):
    # Outside of loopback keys are needed; what is bound here is loopback all the same.
    project = make_project(host="192.0.2.1", api_keys={"team": digest_of(KEY)})
    with served(project) as url, opened(browser, url) as page:
        field = page.get_by_label("API key")
        field.fill("fl_wrong")
        field.press("Enter")
        page.get_by_role("alert").filter(has_text="valid API key").wait_for()
        assert serious_faults(page) == []
        field.fill(KEY)
        field.press("Enter")
        answered(page, "The probability is ")
        assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        page.reload()
        field.wait_for()
        assert page.get_by_role("button", name="Predict").count() == 0


def test_what_is_told_of_the_model_follows_the_one_that_answers(browser, make_project):
    project = make_project()
    app = app_of(project)
    with serving(app) as url, opened(browser, url) as page:
        page.get_by_role("button", name="Predict").wait_for()
        app.dependency_overrides[get_serving_state] = always(state_of(project, "4"))
        answered(page, "The probability is ")
        page.get_by_text("4, served here since").wait_for()
        assert "Version 4, logged as" in page.locator("#answer").text_content()


@pytest.mark.parametrize("task", ["classification", "multiclass", "regression"])
def test_a_link_leads_to_the_answer_that_was_given(browser, make_project, task):
    with served(make_project(task)) as url, opened(browser, url) as page:
        answered(page, SENTENCES[task])
        said = page.locator("#answer .value").text_content()
        page.locator("#answer a").click()
        page.reload()
        page.get_by_role("status").filter(has_text=SENTENCES[task]).wait_for()
        assert page.locator("#answer .value").text_content() == said
        assert "about shop " in page.locator("#answer").text_content()
        assert faults_of(page) == []


def test_axe_bites(browser, make_project):
    with served(make_project()) as url, opened(browser, url) as page:
        page.get_by_role("button", name="Predict").wait_for()
        assert serious_faults(page) == []
        page.evaluate("document.querySelector('label[for=field-city]').remove()")
        assert "label" in [fault.partition(":")[0] for fault in serious_faults(page)]
