"""The promises about the tree itself: what it names, what it documents, what it hides."""

import ast
import re
from pathlib import Path

import pytest

from tools.tree import project_files

ROOT = Path(__file__).parent.parent

# The files that a cloner changes; docs/architecture.md lists the same.
CLONER_FILES = {
    "feature_repo/definitions.py",
    "src/flightline/problem/api_schema.py",
    "src/flightline/problem/source.py",
    "src/flightline/problem/raw_tables.py",
    "src/flightline/problem/features.py",
    "src/flightline/problem/availability.py",
    "src/flightline/problem/config.py",
    "src/flightline/problem/request_features.py",
}
CODE = [
    file
    for folder in ("src", "pipelines", "serving", "tools", "tests")
    for file in ROOT.glob(f"{folder}/**/*.py")
    if not file.is_relative_to(ROOT / "tests" / "problem")
]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked() -> list[Path]:
    return [ROOT / name for name in project_files(ROOT)]


def test_cloner_files_say_so_in_their_first_line():
    said = {
        relative(file)
        for file in [*CODE, *ROOT.glob("feature_repo/*.py")]
        if "CHANGE ME" in file.read_text().split("\n")[0]
    }
    assert said == CLONER_FILES


def make_targets() -> dict[str, str]:
    """Targets a person may call, with the help text behind each."""
    files = [ROOT / "Makefile", *(file for file in tracked() if file.suffix == ".mk")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    phony = re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE)
    helped = dict(re.findall(r"^([a-z-]+):[^#\n]*## (.+)$", text, re.MULTILINE))
    return {name: helped.get(name, "") for name in phony}


def test_every_make_target_has_help():
    assert [name for name, text in make_targets().items() if not text] == []


DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("file", DOCS, ids=relative)
def test_every_make_target_in_the_docs_exists(file):
    named = set(re.findall(r"(?:`|^    )make ([a-z][a-z-]+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    assert named - set(make_targets()) == set()


# What GNU's tools have and BSD's, which macOS brings, have not or mean otherwise.
OF_GNU = (
    r"sed (-\w+ )*-i|\b(date|head|tail) (-d|--)|readlink -f|stat -c|xargs (-\w+ )*-r|grep (-\w+ )*-\w*P|sort -V"
    r"|find .* -printf|\btac\b|cp (-a|--)|\bnproc\b(?!.* \|\|)"
)


def test_recipes_use_no_option_that_the_tools_of_bsd_lack():
    lines = [
        line
        for file in tracked()
        if file.suffix == ".mk" or file.name == "Makefile"
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    assert [line for line in lines if re.search(OF_GNU, line)] == []
    assert [word for word in ("sed -i s/a/b/ file", "date -d now", "grep -qP a") if not re.search(OF_GNU, word)] == []


def test_dev_container_and_editor_run_what_there_is():
    container = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    assert set(re.findall(r'"make (\S+)"', container)) <= set(make_targets())
    marks = re.search(r'"-m", "(.+?)"', (ROOT / ".vscode" / "settings.json").read_text(encoding="utf-8"))[1]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    here = re.search(r"^HERE := (.+)$", makefile, re.MULTILINE)[1]
    of_make = re.search(r'^test-fast:.*\n.*-m "(.+)"$', makefile, re.MULTILINE)[1]
    assert marks == of_make.replace("$(HERE)", here)


@pytest.mark.parametrize("file", DOCS, ids=relative)
def test_every_link_in_the_docs_leads_somewhere(file):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (file.parent / link).exists()] == []


@pytest.mark.parametrize("file", DOCS, ids=relative)
def test_every_test_that_the_docs_name_exists(file):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", file.read_text(encoding="utf-8"))
    assert [test for place, test in named if f"def {test}(" not in (ROOT / place).read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("file", sorted(ROOT.glob("docs/concepts/*.md")), ids=relative)
def test_every_concept_has_a_snippet_that_is_run(file):
    assert "```pycon\n>>> " in file.read_text(encoding="utf-8")
    testpaths = re.search(r"^testpaths = \[(.+)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert f'"{relative(file.parent)}"' in testpaths


def test_the_changelog_begins_with_the_version_of_the_project():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == version


def quoted_messages() -> list[str]:
    """Give the messages in the first column of the tables of troubleshooting."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", text, re.MULTILINE)
    # One that holds a backtick stands between two.
    return [(first or second).strip() for row in rows for first, second in re.findall(r"``(.+?)``|`([^`]+)`", row)]


def has_message(message: str, text: str) -> bool:
    """Say whether a text holds the parts of a message between "...", near to each other."""
    return bool(re.search(r".{0,120}?".join(map(re.escape, message.split("..."))), text, re.DOTALL))


def test_every_message_in_troubleshooting_is_in_the_code():
    files = [file for file in tracked() if file.suffix in {".py", ".mk"} or file.name == "Makefile"]
    texts = [
        file.read_text(encoding="utf-8") for file in files if not {"tests", "docs"} & set(file.relative_to(ROOT).parts)
    ]
    # A string that goes on in the next line.
    code = [re.sub(r"[\"']\s*\n\s*f?[\"']", "", text) for text in texts]
    assert len(quoted_messages()) > 20
    assert [message for message in quoted_messages() if not any(has_message(message, text) for text in code)] == []


def test_a_message_that_the_code_has_not_is_found():
    assert has_message("got ..., expected one", 'f"got {len(found)} files, expected one"')
    assert not has_message("got ..., expected two", 'f"got {len(found)} files, expected one"')


def test_every_decision_has_its_four_headings():
    for file in sorted(ROOT.glob("docs/decisions/*.md")):
        headings = re.findall(r"^## (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Status", "Context", "Decision", "Consequences"], file.name


def test_every_workflow_step_is_a_make_call():
    steps = [
        line
        for file in [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/actions/*/action.yml")]
        for line in re.findall(r"^\s*run: (.+)$", file.read_text(), re.M)
    ]
    assert steps
    assert [step for step in steps if not re.fullmatch(r"make [a-z-]+( [A-Z]+=\S+)*", step)] == []
    # An expression in a command would be text of a stranger run as code: they come by `env`.
    assert [step for step in steps if "${{" in step] == []
    assert {step.split()[1] for step in steps} - set(make_targets()) == set()


def test_every_hook_is_a_make_call():
    hooks = re.findall(r"^\s*entry: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.M)
    assert hooks
    assert [hook for hook in hooks if hook.removeprefix("make ") not in make_targets()] == []


def test_every_action_is_pinned_by_commit():
    files = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/actions/*/action.yml")]
    uses = [line for file in files for line in re.findall(r"uses: (\S+)", file.read_text())]
    # A workflow of this project is of the same commit.
    foreign = [use for use in uses if not use.startswith("./")]
    assert [use for use in foreign if not re.search(r"@[0-9a-f]{40}$", use)] == []


@pytest.mark.parametrize("file", sorted(ROOT.glob("locks/*.txt")), ids=relative)
def test_locks_hold_hashes_and_no_address(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "://" in line or "index-url" in line] == []
    packages = [number for number, line in enumerate(lines) if re.match(r"^[a-z0-9]", line)]
    assert packages
    assert [lines[number] for number in packages if "--hash=" not in lines[number + 1]] == []


def test_no_machine_path_is_committed():
    machine = re.compile(r"(?<![\w.])/(?:root|home/\w+|farm|work/main|tmp/bash_jobs)/")
    text_files = [
        file for file in tracked() if file.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".env", ".dvc"}
    ]
    found = [
        relative(file)
        for file in text_files
        if file != Path(__file__) and machine.search(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "switch",
    [
        "DO_NOT_TRACK=true",
        "DVC_NO_ANALYTICS=1",
        "MLFLOW_DISABLE_TELEMETRY=true",
        "PREFECT_SERVER_ANALYTICS_ENABLED=false",
    ],
)
def test_no_tool_phones_home(switch):
    assert switch in (ROOT / "tools.env").read_text(encoding="utf-8").splitlines()


def test_python_files_stay_short():
    long = {relative(file): len(file.read_text().splitlines()) for file in tracked() if file.suffix == ".py"}
    assert {file: lines for file, lines in long.items() if lines > 340} == {}


CLOCKS = {"monotonic", "perf_counter", "process_time", "monotonic_ns", "perf_counter_ns", "process_time_ns"}
WAITING = ROOT / "tests" / "support" / "waiting.py"
# Run on their own, by `make prove`, with what lies in the copy they are in.
OF_COPIES = {"tests/proof/execution/server.py", "tests/proof/inside/ask_service.py"}


def has_call(node: ast.AST, names: set[str]) -> bool:
    """Say whether a function of one of these names is called, here or further in."""
    called = [found.func for found in ast.walk(node) if isinstance(found, ast.Call)]
    return any((getattr(one, "attr", None) or getattr(one, "id", None)) in names for one in called)


def what_hangs_on_load(text: str) -> list[str]:
    """Find lines that sleep, and asserts on a clock or on what was computed from one."""
    nodes = list(ast.walk(ast.parse(text)))
    assigned = [node for node in nodes if isinstance(node, ast.Assign) and has_call(node.value, CLOCKS)]
    timed = {ast.unparse(target) for node in assigned for target in node.targets}
    found = [
        node
        for node in nodes
        if (isinstance(node, ast.Call) and has_call(ast.Call(node.func, [], []), {"sleep"}))
        or (isinstance(node, ast.Assert) and has_call(node, CLOCKS))
        or (isinstance(node, ast.Assert) and timed & {ast.unparse(part) for part in ast.walk(node)})
    ]
    lines = text.splitlines()
    return [f"{number}: {lines[number - 1].strip()}" for number in sorted({node.lineno for node in found})]


@pytest.mark.parametrize("file", sorted(ROOT.glob("tests/**/*.py")), ids=relative)
def test_no_verdict_hangs_on_the_load_of_the_machine(file):
    if file != WAITING and relative(file) not in OF_COPIES:
        assert what_hangs_on_load(file.read_text(encoding="utf-8")) == [], "wait with tests.support.waiting.wait_until"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import time\ntime.sleep(0.5)", ["2: time.sleep(0.5)"]),
        ("async def hold():\n    await asyncio.sleep(1)", ["2: await asyncio.sleep(1)"]),
        ("jobs = [lambda rows: (rows, sleep(1))]", ["1: jobs = [lambda rows: (rows, sleep(1))]"]),
        ("began = time.monotonic()\nassert time.monotonic() - began < 12", ["2: assert time.monotonic() - began < 12"]),
        ("took = perf_counter() - began\nassert 1 < took", ["2: assert 1 < took"]),
        ("self.end = time.monotonic() + 9\nassert self.end > now", ["2: assert self.end > now"]),
        ("took = perf_counter() - began\nprint(took)", []),
        ("wait_until(lambda: done, said='it is done')\nassert done", []),
    ],
)
def test_the_check_for_load_bites(text, found):
    assert what_hangs_on_load(text) == found
