"""The training by hand: `python -m pipelines.rerun`, with the options of `pipelines.training`.

Where nothing has changed since the last one, no flow is run: data, registry, signatures and served files are looked at,
the gate decides on the evidence of the last time, and all is printed as a training prints it.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.event_clock import ensure_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.approvals import Role as SignedAs
from flightline.adapters.model_store.approvals import check_approval
from flightline.adapters.model_store.model_file import MODEL_FILE, digest_of_file
from flightline.adapters.model_store.served_model import current_manifest, read_refusal, read_signed_manifest
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.errors import FlightlineError
from flightline.core.project import Project, open_project
from flightline.promotion.evidence import Gathered, Role
from flightline.promotion.gate import Decision
from pipelines.common.command_line import run_command
from pipelines.common.progress import collected, note_reuse, stage
from pipelines.promotion_steps.champion import fetch_champion, find_champion
from pipelines.promotion_steps.verdicts import decide, keep_verdict
from pipelines.rerun.digests import inputs_digest
from pipelines.rerun.last_training import LastTraining, find_last, keep
from pipelines.steps.behind import months_beyond
from pipelines.steps.signing import read_signed
from pipelines.steps.summary import TrainingResult, print_result

LOOKED_AT, DECIDED = ("pull", "register"), ("gate", "refit")


def train_again(project: Project, last: LastTraining) -> TrainingResult | None:
    """Say again what the last training came to, if a training would come to the same; else None.

    The verdict is of today: the champion may be another than then.
    """
    said: list[str] = []
    pulled: list[str] = []
    try:
        if ensure_clock(project.settings, project.problem.first_clock, said.append) != last.result.clock:
            return None
        data = dvc_data.pull(project, pulled.append)
        gathered = _gather_again(project, last)
    except FlightlineError:
        return None  # the training says what is wrong
    if data != last.result.data or gathered is None:
        return None
    verdict = replace(decide(project, gathered), warnings=last.result.verdict.warnings, notes=last.result.verdict.notes)
    if verdict.decision is Decision.PROMOTE:
        return None
    for line in said:
        sys.stderr.write(f"{line}\n")
    _print_stages(project, last, ", ".join(pulled))
    with stage("gate") as progress:
        keep_verdict(project, last.result.registered, gathered, verdict)
        if gathered.champion and not _is_delivered(project, gathered.champion.version):
            fetch_champion(project)
        progress.say(f"version {last.result.registered.version}: {verdict.decision}")
    return replace(last.result, champion=gathered.champion, verdict=verdict)


def _gather_again(project: Project, last: LastTraining) -> Gathered | None:
    """Give the evidence of the last time, if the registry still holds the models that it is of, signed and whole.

    None as well if there is no evidence of today's champion: neither of its own, nor as the challenger of then.
    """
    settings, name, judged = project.settings, project.problem.model_name, last.result.registered
    found = registry.find_version(settings, name, {"identity": last.tags["identity"]})
    if found is None or str(found.version) != judged.version or not last.tags.items() <= dict(found.tags).items():
        return None
    if not _is_whole(project, found, judged.sha256, "shadow"):
        return None
    gathered = _against(last.gathered, current := find_champion(project))
    if gathered and current and gathered.champion and not _is_whole(project, current, gathered.champion.model):
        return None
    if gathered:
        registry.set_challenger(settings, name, judged.version)
    return gathered


def _against(gathered: Gathered, current: registry.ModelVersion | None) -> Gathered | None:
    """Hold the challenger against today's champion, if there is evidence of it; against none if there is none."""
    champion, challenger, expected = gathered.champion, gathered.challenger, gathered.expected
    if gathered.champion_unjudged:
        return None
    if current is None or (champion and champion.version == str(current.version)):
        return gathered if (current is None) == (champion is None) else None
    if challenger.version != str(current.version):
        return None
    alone = replace(challenger, shared=None)  # on all rows, as it has learned from none
    return replace(
        gathered,
        challenger=alone,
        champion=replace(alone, role=Role.CHAMPION),
        expected=replace(expected, champion=expected.challenger),
    )


def _is_whole(project: Project, found: registry.ModelVersion, sha256: str, role: SignedAs = "champion") -> bool:
    """Say whether a version is signed and may be what it is, and its file in the registry still what was signed."""
    if read_signed(project, found, role).sha256 != sha256:
        return False
    return digest_of_file(registry.download_model(project.settings, found)) == sha256


def _print_stages(project: Project, last: LastTraining, pulled: str) -> None:
    """Print what the stages before the gate said; those that were looked at anew are not called reused."""
    for name, words in last.lines:
        if name in DECIDED:
            continue
        with stage(name) as progress:
            progress.say(pulled if name == "pull" else words)
            if name not in LOOKED_AT:
                note_reuse()
        if name == "pull" and (beyond := months_beyond(project.settings, last.result.clock)):
            print(f"{'clock':14}  {beyond}", flush=True)


def _is_delivered(project: Project, version: str) -> bool:
    """Say whether the folder that the service loads from holds this version as the current one, whole and as signed."""
    settings, keys = project.settings, read_trusted_keys(project.settings)
    folder = settings.serving_models_dir
    served = current_manifest(folder)
    if served is None or served.version != version or read_refusal(folder):
        return False
    try:
        manifest, statement = read_signed_manifest(folder / version, version, keys, project.problem)
        check_approval(folder / version, manifest, "champion", keys)
        found = registry.get_version(settings, project.problem.model_name, version)
        is_same = manifest == read_signed(project, found)
        return is_same and digest_of_file(folder / version / MODEL_FILE) == statement.files[MODEL_FILE]
    except (FlightlineError, OSError):
        return False


def train(project: Project, arguments: Sequence[str], run: Callable[[], TrainingResult]) -> None:
    """Run a training of these options, and note what it came to."""
    from flightline.evaluation.metrics import LOWER_IS_BETTER  # imports scikit-learn

    before = inputs_digest(project.settings, arguments)
    with collected() as lines:
        result = run()
    if [name for name, _ in lines].count("train") != 1:  # of several models the table is not kept
        return
    found = registry.get_version(project.settings, project.problem.model_name, result.registered.version)
    tags = {name: value for name, value in found.tags.items() if not name.startswith("verdict")}
    keep(project.settings, arguments, before, lines, tags, LOWER_IS_BETTER, result)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and train, if there is anything to do."""
    given = sys.argv[1:] if arguments is None else arguments
    is_done: list[bool] = []
    code = run_command(lambda: is_done.append(_say_again(open_project(), given)))
    if code or any(is_done):
        return code
    from pipelines.training import train_by_hand  # before `run_command`, which then looks for Prefect's server

    return run_command(lambda: train(open_project(), given, lambda: train_by_hand(given)))


def _say_again(project: Project, arguments: Sequence[str]) -> bool:
    last = find_last(project.settings, arguments)
    again = last and train_again(project, last)
    if last and again:
        print_result(again, project.problem, last.lower_is_better)
    return again is not None


if __name__ == "__main__":
    sys.exit(main())
