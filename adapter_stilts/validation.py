"""From plain values to pydantic's models: the first error becomes one message, with the value and the choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from adapter_stilts.errors import UnknownNameError, UsageError

ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(model: type[ModelT], values: Mapping[str, Any], where: str) -> ModelT:
    """Validate `values`; the first error becomes one UsageError with the value and the valid choices."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _usage_error(model, error, where) from error


def first_error(error: ValidationError) -> Mapping[str, Any]:
    """The one that is told. A key that is written wrong is missing as well: its wrong name says more."""
    every: list[Any] = list(error.errors())
    return next((each for each in every if each["type"] == "extra_forbidden"), every[0])


def _usage_error(model: type[BaseModel], error: ValidationError, where: str) -> UsageError:
    first = first_error(error)
    path = [str(part) for part in first["loc"]]
    dotted = ".".join(path)
    if first["type"] == "extra_forbidden":
        parent = _model_at(model, path[:-1])
        prefix = "".join(f"{part}." for part in path[:-1])
        others = _sections_with(model, path[-1])
        hint = f"There is {', '.join(others)}." if others else ""
        return UnknownNameError(f"{where} key", dotted, [prefix + name for name in parent.model_fields], hint)
    if first["type"] == "value_error":
        return UsageError(str(first["ctx"]["error"]))
    if first["type"] == "missing":
        return UsageError(f"{where} key {dotted} is missing: add {path[-1]} = …")
    if first["type"] == "literal_error":
        return UsageError(f"{where} key {dotted} = {first['input']!r}; valid: {first['ctx']['expected']}")
    return UsageError(f"{where} key {dotted} = {first['input']!r}: {first['msg']}")


def _sections_with(model: type[BaseModel], name: str, before: str = "") -> list[str]:
    """The dotted keys of this name in sections: what was written may only stand in the wrong one."""
    found: list[str] = []
    for section, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += [f"{before}{section}.{name}"] if name in inner.model_fields else []
            found += _sections_with(inner, name, f"{before}{section}.")
    return found


def _model_at(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    for part in path:
        inner = model.model_fields[part].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return model
