"""The report of a change, as Markdown that fits into a comment of GitHub."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flightline.core.problem_spec import Problem
from flightline.evaluation.metrics import LOWER_IS_BETTER
from flightline.promotion.change_report import CONFIDENCE, Compared, MetricChange
from flightline.promotion.gate import SLICE, Comparison

MOST_BYTES = 60_000
MOST_SLICES, MOST_COLUMNS = 12, 20
CUT = "\n\n(The rest was cut off: a comment of GitHub holds no more.)\n"
WHAT_CHANGED = {
    "data_md5": "data version (data.dvc)",
    "features_sha256": "feature definitions",
    "feature_service": "feature service",
    "model": "model",
    "chosen": "settings chosen on the validation window",
    "calibration": "calibration",
    "lock_sha256": "packages (locks/all.txt)",
    "windows": "windows",
}


def write_page(problem: Problem, base: Mapping[str, Any], new: Mapping[str, Any], compared: Compared) -> str:
    """Write the report.

    Parameters
    ----------
    base, new
        What each tree was trained on and with, see `Side.told`.
    """
    parts = [
        f"## Training report: {compared.verdict.decision}",
        _headline(compared),
        f"This tree (`{new['commit'][:12]}`{' with changes' if new['dirty'] else ''}) against its base "
        f"(`{base['commit'][:12]}`), `{new['model']}`, on {compared.rows:,} test rows of both"
        f"{_left_out(compared)}. Nothing was registered or promoted.",
        "### What changed\n\n" + _changes(base, new),
        "### Metrics\n\n" + _metrics(compared.metrics),
        "### The gate, if the base were champion\n\n" + _verdict(compared),
    ]
    if compared.verdict.comparisons[1:]:
        parts.append("### Slices\n\n" + _slices(problem, compared.verdict.comparisons[1:]))
    if len(compared.changed):
        parts.append("### Most changed examples\n\n" + _examples(problem, compared))
    return _short("\n\n".join(parts) + "\n")


def _headline(compared: Compared) -> str:
    if compared.is_same:
        return "**Nothing changed**: both trees predict the same, bit by bit, for every test row."
    return "; ".join(compared.verdict.reasons) + "."


def _left_out(compared: Compared) -> str:
    told = (
        (compared.only_new, "only here"),
        (compared.only_base, "only in the base"),
        (compared.relabelled, "with another label than in the base"),
    )
    return "".join(f", {count:,} {what}" for count, what in told if count)


def _changes(base: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    rows = [
        (what, _shown(base.get(name)), _shown(new.get(name)))
        for name, what in WHAT_CHANGED.items()
        if base.get(name) != new.get(name)
    ]
    columns = [_columns("new columns", new, base), _columns("columns gone", base, new)]
    table = (
        _table(("what", "base", "this tree"), rows) if rows else "Data, features, settings and packages are the same."
    )
    return "\n\n".join([table, *filter(None, columns)])


def _columns(said: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = [name for name in one["columns"] if name not in other["columns"]]
    more = f" and {len(names) - MOST_COLUMNS} more" if len(names) > MOST_COLUMNS else ""
    return f"{said}: {', '.join(f'`{name}`' for name in names[:MOST_COLUMNS])}{more}" if names else ""


def _metrics(changes: Sequence[MetricChange]) -> str:
    rows = []
    for one in changes:
        sign = -1 if one.name in LOWER_IS_BETTER else 1
        low, high = sorted((sign * one.lower, sign * one.upper))
        said = "better" if low > 0 else "worse" if high < 0 else ""
        name = f"{one.name} ({'lower' if sign < 0 else 'higher'} is better)"
        rows.append(
            (
                name,
                f"{one.base:.4f}",
                f"{one.new:.4f}",
                f"{one.new - one.base:+.4f}",
                f"{one.lower:+.4f} to {one.upper:+.4f}",
                said,
            )
        )
    return _table(("metric", "base", "this tree", "difference", f"{CONFIDENCE:.0%} interval", ""), rows)


def _verdict(compared: Compared) -> str:
    reasons = "\n".join(f"- {reason}" for reason in compared.verdict.reasons)
    failed = [
        check
        for check in compared.verdict.checks
        if not check.is_passed and check.words not in compared.verdict.reasons
    ]
    others = "\n".join(f"- {check.words}" for check in failed[:MOST_SLICES])
    checked = sum(check.name.startswith(SLICE) for check in compared.verdict.checks)
    ended = f"\n\n{checked} slices were checked." if checked else ""
    return f"**{compared.verdict.decision}**\n\n{reasons}" + (f"\n{others}" if others else "") + ended


def _slices(problem: Problem, comparisons: Sequence[Comparison]) -> str:
    ordered = sorted(comparisons, key=lambda one: one.improvement.estimate / one.champion_loss)
    shown = ordered if len(ordered) <= MOST_SLICES else [*ordered[: MOST_SLICES // 2], *ordered[-MOST_SLICES // 2 :]]
    rows = []
    for one in shown:
        gain = one.improvement
        said = "better" if gain.lower > 0 else "worse" if gain.upper < 0 else ""
        rows.append(
            (
                f"`{one.name}`",
                f"{one.rows:,}",
                f"{one.champion_loss:.4f}",
                f"{-gain.estimate:+.4f}",
                f"{-gain.upper:+.4f} to {-gain.lower:+.4f}",
                said,
            )
        )
    left = f"The worst and the best of {len(ordered)} slices. " if len(shown) < len(ordered) else ""
    told = f"{left}Change of the mean loss ({problem.primary_metric}); all bounds hold at once."
    return told + "\n\n" + _table(("slice", "rows", "base", "change", "interval", ""), rows)


def _examples(problem: Problem, compared: Compared) -> str:
    rows = []
    for row in compared.changed.to_dict("records"):
        told = {str(name): value for name, value in row.items()}
        base, new, label = told.pop("base"), told.pop("new"), told.pop("label")
        outcome = f"{label:g}" if problem.task == "regression" else ("yes" if label else "no")
        asked = ", ".join(f"{name}={_plain(value)}" for name, value in told.items())
        rows.append((f"`{asked}`", f"{base:.3f}", f"{new:.3f}", outcome))
    return _table(("request", "base", "this tree", problem.label), rows)


def _plain(value: Any) -> str:
    """Write a value so that it breaks no table, whatever the data holds."""
    return str(value).replace("|", "/").replace("`", "'").replace("\n", " ")[:60]


def _shown(value: Any) -> str:
    text = ", ".join(f"{name}={one}" for name, one in value.items()) if isinstance(value, Mapping) else str(value)
    is_digest = len(text) >= 32 and " " not in text
    return f"`{_plain(text[:12] if is_digest else text) or 'none'}`"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _short(text: str) -> str:
    content = text.encode()
    return text if len(content) < MOST_BYTES else content[: MOST_BYTES - 200].decode(errors="ignore") + CUT
