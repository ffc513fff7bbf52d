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


def _usage_error(model: type[BaseModel], error: ValidationError, where: str) -> UsageError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    dotted = ".".join(path)
    if first["type"] == "extra_forbidden":
        parent = _model_at(model, path[:-1])
        prefix = "".join(f"{part}." for part in path[:-1])
        return UnknownNameError(f"{where} key", dotted, [prefix + name for name in parent.model_fields])
    if first["type"] == "value_error":
        return UsageError(str(first["ctx"]["error"]))
    if first["type"] == "literal_error":
        return UsageError(f"{where} key {dotted} = {first['input']!r}; valid: {first['ctx']['expected']}")
    return UsageError(f"{where} key {dotted} = {first['input']!r}: {first['msg']}")


def _model_at(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    for part in path:
        inner = model.model_fields[part].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return model
