"""Decides what kind of target a label is, and which classes it has."""

import pandas as pd

from flightline.core.problem_spec import MIN_CLASSES
from template.from_table.columns import INTEGER, NUMBER, TEXT, Column, kind_of
from template.from_table.question import LABEL_FORMS, Question
from template.renaming import StartError

MOST_CLASSES, LEAST_ROWS_A_CLASS = 20, 50
MOST_SHARES = 6  # of so many classes the share among earlier rows is a feature


def task_of(question: Question, columns: dict[str, Column]) -> str:
    """Give the task that the label asks for, or that was asked for and fits it.

    Raises
    ------
    StartError
        If the column can be no label, or not of that task.
    """
    label = question.label
    possible = ["classification"] if label.follows or label.comparison else _tasks_of(columns[label.column])
    if question.task and question.task not in possible:
        raise StartError(
            f"got TASK={question.task}, but LABEL={label.column or label.name} asks for {' or '.join(possible)}; "
            f"expected {LABEL_FORMS}"
        )
    return question.task or possible[0]


def _tasks_of(column: Column) -> list[str]:
    """Give what a column can be the label of, the likeliest first."""
    if column.is_truth:
        return ["classification"]
    few = MIN_CLASSES <= column.distinct <= MOST_CLASSES
    if column.kind == INTEGER:
        return ["regression", "multiclass"] if few else ["regression"]
    if column.kind == NUMBER:
        return ["regression"]
    if column.kind == TEXT and few:
        return ["multiclass"]
    shown = ", ".join(column.values[:3]) or column.kind.replace("object", "text")
    raise StartError(
        f"LABEL={column.name} holds {column.distinct:,} different values ({shown}), expected {MIN_CLASSES} to "
        f"{MOST_CLASSES} texts as classes, or another label: {LABEL_FORMS}"
    )


def classes_of(label: pd.Series) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the classes in order, those that are numbers by size, and the commonest of them.

    Raises
    ------
    StartError
        If one has too few rows to be learned.
    """
    values = label.dropna().astype(str).str.removesuffix(".0")
    counts = values.value_counts()
    if len(rare := counts[counts < LEAST_ROWS_A_CLASS]):
        shown = ", ".join(f"{name} ({rows})" for name, rows in rare.items())
        raise StartError(
            f"{label.name} has classes of fewer than {LEAST_ROWS_A_CLASS} rows: {shown}; give them one name together "
            "in the table, or leave their rows out"
        )
    are_numbers = kind_of(label.dropna()) == INTEGER
    return tuple(sorted(counts.index, key=int if are_numbers else str)), tuple(counts.index[:MOST_SHARES])
