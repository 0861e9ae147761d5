"""Pages from the templates of `pipelines/templates`, which are there to be edited.

Jinja2 (https://jinja.palletsprojects.com) escapes every value in a template whose name ends in `.html.j2`.
"""

import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

MOST_CELL = 60  # characters


def render(template: str, **values: object) -> str:
    """Fill a template with values.

    Parameters
    ----------
    template
        Its name in `pipelines/templates`.
    values
        By the name that the template uses.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a name without a value.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = markdown_cell
    environment.tests["finite"] = math.isfinite
    return environment.get_template(template).render(values)


def markdown_cell(value: object) -> str:
    r"""Write a value so that it breaks no table of Markdown, whatever the data holds.

    Examples
    --------
    >>> markdown_cell("a|b\n<c>")
    'a/b &lt;c>'
    """
    text = str(value).replace("|", "/").replace("`", "'").replace("\n", " ")
    return text.replace("<", "&lt;")[:MOST_CELL]
