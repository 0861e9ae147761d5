"""From the schema of a request to the fields of a form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flightline.core.project import Project

Kind = Literal["list", "moment", "date", "number", "text"]
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True)
class FormField:
    """A field of the form.

    Parameters
    ----------
    name, label, help
        Of the request; as it is shown; the schema's description.
    kind
        What a person fills it in with.
    value
        Of the example, as a form has it.
    offset
        Of a moment: the example's offset from UTC.
    limits
        Attributes of the input: min, max, step, maxlength, pattern.
    is_whole, is_flag
        Of a number, and of a list: whether the request holds a whole number, or true and false.
    """

    name: str
    label: str
    help: str
    kind: Kind
    is_required: bool
    value: str
    offset: str = ""
    options: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    json_type: str = "string"


def form_fields(project: Project) -> list[FormField]:
    """Give the fields of a request, in the schema's order, filled in with the example."""
    schema = project.schemas.instance.model_json_schema()
    required, definitions = set(schema.get("required", ())), schema.get("$defs", {})
    return [
        _form_field(name, given, definitions, name in required, project.schemas.example.get(name))
        for name, given in schema["properties"].items()
    ]


def _form_field(
    name: str, given: Mapping[str, Any], definitions: Mapping[str, Any], is_required: bool, example: object
) -> FormField:
    known = _without_null(given, definitions)
    options, kind = _options(known), _kind_of(known)
    value = "" if example is None else str(example).lower() if isinstance(example, bool) else str(example)
    offset = ""
    if kind == "moment" and (found := _OFFSET.search(value)):
        value, offset = value[: found.start()], "+00:00" if found[1] == "Z" else found[1]
    return FormField(
        name=name,
        label=name.replace("_", " "),
        help=str(given.get("description", known.get("description", ""))),
        kind=kind,
        is_required=is_required,
        value=value,
        offset=offset,
        options=options,
        limits=_limits(known) if kind in ("number", "text") else {},
        json_type=_json_type(known),
    )


def _without_null(given: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, and take what a value may be besides null."""
    if "$ref" in given:
        return _without_null(definitions[given["$ref"].rpartition("/")[2]], definitions)
    choices = [each for each in given.get("anyOf", ()) if each.get("type") != "null"]
    return _without_null(choices[0], definitions) if choices else given


def _options(known: Mapping[str, Any]) -> tuple[str, ...]:
    if known.get("type") == "boolean":
        return ("true", "false")
    return tuple(str(each) for each in known.get("enum", [known["const"]] if "const" in known else []))


def _json_type(known: Mapping[str, Any]) -> str:
    values = known.get("enum", [known.get("const")])
    if "type" in known:
        return str(known["type"])
    return "string" if isinstance(values[0], str | None) else "number"


def _kind_of(known: Mapping[str, Any]) -> Kind:
    if _options(known):
        return "list"
    by_format: dict[str, Kind] = {"date-time": "moment", "date": "date"}
    if known.get("format") in by_format:
        return by_format[known["format"]]
    return "number" if known.get("type") in ("integer", "number") else "text"


def _limits(known: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a browser can check by itself; the service checks all of it again."""
    names = {"minimum": "min", "maximum": "max", "maxLength": "maxlength", "pattern": "pattern"}
    found = {names[name]: value for name, value in known.items() if name in names}
    if "pattern" in found:  # a browser's pattern is anchored by itself
        found["pattern"] = found["pattern"].removeprefix("^").removesuffix("$")
    if known.get("type") in ("integer", "number"):
        found["step"] = 1 if known["type"] == "integer" else "any"
    return found
