"""Cross-lingual intermediate-task training (X-STILTs) with full models, adapters and LoRA modules.

import adapter_stilts as stilts
results = stilts.train(inter=["none", "hellaswag"], target="tydiqa", mode="lora", recipe="miniature")
results.frame()

Names are loaded when they are first used (PEP 562): importing the package loads neither torch nor Transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from adapter_stilts.version import __version__ as __version__

if TYPE_CHECKING:
    from adapter_stilts.bundles import (
        compose,
        export,
        import_bundle,
    )
    from adapter_stilts.checking import (
        check_task,
    )
    from adapter_stilts.errors import (
        AdapterStiltsError,
        BundleError,
        CheckpointError,
        DataError,
        SourceUnavailableError,
        StoreError,
        TrainingError,
        UnknownNameError,
        UsageError,
    )
    from adapter_stilts.formats.examples import (
        Answer,
        MultipleChoiceExample,
        PairClassificationExample,
        RetrievalExample,
        SpanQAExample,
        TaggingExample,
        TextClassificationExample,
        TextExample,
        TextRegressionExample,
    )
    from adapter_stilts.library import (
        evaluate,
        fit,
        plan_evaluate,
        plan_train,
        score,
        train,
    )
    from adapter_stilts.loaded import (
        LoadedBundle,
        load_bundle,
    )
    from adapter_stilts.matrices import (
        matrix,
        plan_matrix,
    )
    from adapter_stilts.recipe import (
        Recipe,
        load_recipe,
    )
    from adapter_stilts.runtime import (
        Runtime,
    )
    from adapter_stilts.stages.watch import (
        Watch,
    )
    from adapter_stilts.study import (
        Results,
        Study,
    )
    from adapter_stilts.suggesting import (
        Suggestion,
        suggest,
    )
    from adapter_stilts.tasks import (
        add_folder,
        all_tasks,
        get_task,
    )
    from adapter_stilts.tasks.base import (
        Task,
    )

# Name -> the module that it is loaded from.
_HOMES = {
    "AdapterStiltsError": "adapter_stilts.errors",
    "BundleError": "adapter_stilts.errors",
    "CheckpointError": "adapter_stilts.errors",
    "DataError": "adapter_stilts.errors",
    "SourceUnavailableError": "adapter_stilts.errors",
    "StoreError": "adapter_stilts.errors",
    "TrainingError": "adapter_stilts.errors",
    "UnknownNameError": "adapter_stilts.errors",
    "UsageError": "adapter_stilts.errors",
    "Answer": "adapter_stilts.formats.examples",
    "MultipleChoiceExample": "adapter_stilts.formats.examples",
    "PairClassificationExample": "adapter_stilts.formats.examples",
    "RetrievalExample": "adapter_stilts.formats.examples",
    "SpanQAExample": "adapter_stilts.formats.examples",
    "TaggingExample": "adapter_stilts.formats.examples",
    "TextClassificationExample": "adapter_stilts.formats.examples",
    "TextExample": "adapter_stilts.formats.examples",
    "TextRegressionExample": "adapter_stilts.formats.examples",
    "check_task": "adapter_stilts.checking",
    "compose": "adapter_stilts.bundles",
    "evaluate": "adapter_stilts.library",
    "export": "adapter_stilts.bundles",
    "fit": "adapter_stilts.library",
    "import_bundle": "adapter_stilts.bundles",
    "plan_evaluate": "adapter_stilts.library",
    "plan_train": "adapter_stilts.library",
    "score": "adapter_stilts.library",
    "train": "adapter_stilts.library",
    "LoadedBundle": "adapter_stilts.loaded",
    "load_bundle": "adapter_stilts.loaded",
    "matrix": "adapter_stilts.matrices",
    "plan_matrix": "adapter_stilts.matrices",
    "Recipe": "adapter_stilts.recipe",
    "load_recipe": "adapter_stilts.recipe",
    "Runtime": "adapter_stilts.runtime",
    "Watch": "adapter_stilts.stages.watch",
    "Results": "adapter_stilts.study",
    "Study": "adapter_stilts.study",
    "Suggestion": "adapter_stilts.suggesting",
    "suggest": "adapter_stilts.suggesting",
    "add_folder": "adapter_stilts.tasks",
    "all_tasks": "adapter_stilts.tasks",
    "get_task": "adapter_stilts.tasks",
    "Task": "adapter_stilts.tasks.base",
}

__all__ = [
    "AdapterStiltsError",
    "Answer",
    "BundleError",
    "CheckpointError",
    "DataError",
    "LoadedBundle",
    "MultipleChoiceExample",
    "PairClassificationExample",
    "Recipe",
    "Results",
    "RetrievalExample",
    "Runtime",
    "SourceUnavailableError",
    "SpanQAExample",
    "StoreError",
    "Study",
    "Suggestion",
    "TaggingExample",
    "Task",
    "TextClassificationExample",
    "TextExample",
    "TextRegressionExample",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
    "Watch",
    "add_folder",
    "all_tasks",
    "check_task",
    "compose",
    "evaluate",
    "export",
    "fit",
    "get_task",
    "import_bundle",
    "load_bundle",
    "load_recipe",
    "matrix",
    "plan_evaluate",
    "plan_matrix",
    "plan_train",
    "score",
    "suggest",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
