"""Messages to people: automations of Prefect that send one through Apprise when something needs a person.

Apprise knows webhooks, mail and about a hundred services, each by a URL.
"""

from dataclasses import dataclass
from uuid import UUID

from apprise import Apprise
from prefect.automations import Automation
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import get_client
from prefect.events import EventTrigger
from prefect.events.actions import SendNotification
from pydantic import SecretStr

from flightline.core.errors import StartError
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from pipelines.common.events import Announced, resource_id

NO_TARGET = "none, for FLIGHTLINE_ALERTS__URL is not set (a URL of Apprise, such as jsons://host/path)"
OF_THE_MODEL = "{{ event.payload.summary }}\n{{ event.payload.reasons }}"
OF_A_RUN = (
    "flow run {{ flow_run.name }} of {{ flow.name }} is {{ flow_run.state.name }}\n{{ flow_run.state.message }}\n"
    "{{ flow_run|ui_url }}"
)


@dataclass(frozen=True)
class Alert:
    """What a person is told of."""

    subject: str
    trigger: EventTrigger
    body: str


def make_alerts(problem: Problem) -> list[Alert]:
    """Describe what a person is told of."""
    of_the_model: dict[str, str | list[str]] = {"prefect.resource.id": resource_id(problem)}
    return [
        Alert("retraining asked for", EventTrigger(expect={str(Announced.RETRAIN)}, match=of_the_model), OF_THE_MODEL),
        Alert(
            "champion kept",
            EventTrigger(expect={str(Announced.HOLD), str(Announced.REJECT)}, match=of_the_model),
            OF_THE_MODEL,
        ),
        Alert(
            "flow run failed",
            EventTrigger(
                expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"},
                match={"prefect.resource.id": "prefect.flow-run.*"},
                match_related={
                    "prefect.resource.role": "tag",
                    "prefect.resource.id": f"prefect.tag.{problem.model_name}",
                },
                for_each={"prefect.resource.id"},
            ),
            OF_A_RUN,
        ),
    ]


def keep_alerts(project: Project) -> str:
    """Make the automations that alert, or change them to the settings, or remove them if there is no target.

    Returns
    -------
    str
        What alerts there are, for a person.

    Raises
    ------
    StartError
        If Apprise does not know the URL.
    """
    url = project.settings.alerts.url.get_secret_value()
    alerts = make_alerts(project.problem)
    if not url:
        for alert in alerts:
            _remove(_name(project.problem, alert))
        return NO_TARGET
    if not Apprise().add(url):
        raise StartError(
            f"FLIGHTLINE_ALERTS__URL is no URL that Apprise knows (it begins with {url.split(':')[0]!r}); expected one "
            "such as jsons://host/path for a webhook, or mailtos://user:password@host for mail"
        )
    # Prefect has no block for any service; this one hands whatever is no address of Slack on to Apprise.
    block = SlackWebhook(url=SecretStr(url)).save(f"{project.problem.model_name}-alerts", overwrite=True)
    for alert in alerts:
        name = _name(project.problem, alert)
        sent = SendNotification(block_document_id=UUID(str(block)), subject=name, body=alert.body)
        _keep(Automation(name=name, trigger=alert.trigger, actions=[sent]))
    return f"{', '.join(alert.subject for alert in alerts)}, by {url.split(':')[0]}"


def _name(problem: Problem, alert: Alert) -> str:
    return f"{problem.model_name}: {alert.subject}"


def _keep(wanted: Automation) -> None:
    """Create an automation, or change the one of its name; one that a person has switched off stays off."""
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(wanted.name)
    if not found:
        wanted.create()
        return
    wanted.id, wanted.enabled = found[0].id, found[0].enabled
    wanted.update()


def _remove(name: str) -> None:
    with get_client(sync_client=True) as client:
        for found in client.read_automations_by_name(name):
            client.delete_automation(found.id)
