"""`matrix --next` on stores whose scores are made up: what is named and told, and which cells the commands run."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts import tasks
from adapter_stilts.cli.matrix_next import entry_as_typed
from adapter_stilts.io import write_json
from adapter_stilts.matrices import plan_matrix
from adapter_stilts.stages.cells import Cell
from adapter_stilts.stages.record import METRICS, stage_record
from adapter_stilts.stages.store import Store

Cli = Callable[..., Any]
Scored = Callable[[Cell], float | None]
"""A cell's score; None of one that finished without. Raises KeyError of one that is missing."""

ABILITY = {"none": 0.0, "hellaswag": 5.0, "squad_v1": 2.0, "snli": -1.0}


class Made:
    """A matrix on the tiny world, some of whose evaluations are finished.

    Args:
        flags: of `plan_matrix`, each of which is an option of the command.
    """

    def __init__(self, cli: Cli, flags: dict[str, Any]) -> None:
        self._cli = cli
        self.study = plan_matrix(**flags)
        pairs = [
            ("--set" if name == "settings" else f"--{name.replace('_', '-')}", value)
            for name, values in flags.items()
            for value in (values if isinstance(values, list) else [values])
        ]
        self.words = ["matrix", *(str(word) for pair in pairs for word in pair)]

    def fill(self, scored: Scored) -> Made:
        """Write the evaluations of all cells that `scored` knows, as a run does."""
        store = Store(self.study.runtime.store)
        store.open()
        for cell in self.study.plan().cells:
            try:
                score = scored(cell)
            except KeyError:
                continue
            if not store.has(cell.evaluate):
                metrics = {} if score is None else {"accuracy": score}
                told = {"languages": {"en": metrics}, "average": metrics, "counts": {"en": 6}}
                with store.commit(
                    cell.evaluate, stage_record(cell.evaluate, {}, time.perf_counter())
                ) as path:
                    write_json(path / METRICS, told, "elsewhere")
        return self

    def next(self, count: int = 9) -> Any:
        """The printed JSON."""
        ran = self._cli(*self.words, "--next", count, "--json")
        assert ran.code == 0, ran.err
        return ran

    def text(self, count: int = 9) -> str:
        ran = self._cli(*self.words, "--next", count)
        assert ran.code == 0, ran.err
        return re.sub("[┃│]", " ", ran.out)

    def asks_for(self, command: str) -> set[tuple[str, ...]]:
        """The cells of a printed command, each of which has to be one of the matrix's."""
        ran = self._cli(*shlex.split(command)[1:], "--dry-run", "--json")
        assert ran.code == 0, ran.err
        ours = {cell.evaluate.key for cell in self.study.plan().cells}
        assert {cell["stage"] for cell in ran.json["cells"]} <= ours
        return {(cell["label"], cell["target"], cell["mode"]) for cell in ran.json["cells"]}


@pytest.fixture
def made(cli: Cli, tiny_base: Path, tiny_data: Path, tmp_path: Path) -> Callable[..., Made]:
    """A matrix by its flags; those of the tiny world may be given anew."""
    where = {"base": str(tiny_base), "data": str(tiny_data), "store": str(tmp_path / "store"), "mode": "lora"}
    return lambda **flags: Made(cli, {**where, **flags})


def but(missing: set[tuple[str, ...]], score: Callable[[Cell], float] | None = None) -> Scored:
    """Scores of all cells but some, by intermediate entry and target."""

    def scored(cell: Cell) -> float:
        if (cell.inter, cell.target) in missing:
            raise KeyError
        return 50 + ABILITY[cell.inter] if score is None else score(cell)

    return scored


FOUR = "none,hellaswag,squad_v1,snli"


def test_gains_are_over_none_of_the_same_seed(made: Any, tmp_path: Path) -> None:
    """Seed 1 is 20 points above seed 0, and of `snli` before udpos the only one: nothing but seeds may come of that."""
    missing = but({("hellaswag", "udpos")})

    def scored(cell: Cell) -> float:
        if (cell.inter, cell.target, cell.seed) == ("snli", "udpos", 0):
            raise KeyError
        return (missing(cell) or 0) + 20 * (cell.seed or 0)

    both = made(inter=FOUR, target="xquad,udpos", seeds=2).fill(scored).next().json
    one = (
        made(inter=FOUR, target="xquad,udpos", seeds=1, store=str(tmp_path / "one")).fill(missing).next().json
    )
    assert [(cell["inter"], cell["target"]) for cell in both["next"]] == [("hellaswag", "udpos")]
    assert {**both, "commands": None} == {**one, "commands": None}


def test_without_a_seed_in_common_a_cell_is_not_known(made: Any) -> None:
    def scored(cell: Cell) -> float:
        if cell.seed != int((cell.inter, cell.target) == ("snli", "udpos")):
            raise KeyError
        return 50 + ABILITY[cell.inter]

    matrix = made(inter=FOUR, target="xquad,udpos", seeds=2).fill(scored)
    found = matrix.next().json
    assert [(cell["inter"], cell["target"]) for cell in found["next"]] == [("snli", "udpos")]
    assert (found["known"], found["cells"]) == (7, 8)
    (command,) = found["commands"]
    assert " --seeds 2 " in command
    assert matrix.asks_for(command) == {("snli", "udpos", "lora")}


def test_a_baseline_that_trains_nothing_stands_beside_every_seed(made: Any) -> None:
    """Before retrieval `none` is the untouched encoder, one evaluation for all seeds; entries were run with seed 1."""

    def scored(cell: Cell) -> float:
        if (cell.inter != "none" and cell.seed == 0) or (cell.inter, cell.target) == ("snli", "tatoeba"):
            raise KeyError
        return 50 + ABILITY[cell.inter]

    matrix = made(inter=FOUR, target="xquad,tatoeba", seeds=2).fill(scored)
    found = matrix.next().json
    assert [(cell["inter"], cell["target"]) for cell in found["next"]] == [("snli", "tatoeba")]
    assert (found["known"], found["cells"]) == (7, 8)


def test_tasks_of_one_stage_are_joined_as_they_were_typed(made: Any) -> None:
    matrix = made(inter="none,hellaswag+snli,squad_v1,snli", target="xquad,udpos")
    matrix.fill(but({("hellaswag,snli", "udpos"), ("snli", "udpos")}, lambda cell: 50 + len(cell.inter)))
    found = matrix.next().json
    assert {cell["inter"] for cell in found["next"]} == {"hellaswag,snli", "snli"}
    (command,) = found["commands"]
    assert " --inter hellaswag+snli,snli --target udpos --mode lora " in command
    assert matrix.asks_for(command) == {("hellaswag,snli", "udpos", "lora"), ("snli", "udpos", "lora")}


@pytest.mark.parametrize(
    ("entry", "typed"),
    [
        ("mnli,squad_v1", "mnli+squad_v1"),
        ("three,mnli", "three.toml+mnli"),
        ("runs/train-anli_r1+anli_r2-0a1b/bundle", "runs/train-anli_r1+anli_r2-0a1b/bundle"),
        ("runs/a,b/bundle", "runs/a,b/bundle"),
        ("hf://somebody/mnli+snli@v1", "hf://somebody/mnli+snli@v1"),
        ("all", "all"),
    ],
)
def test_entries_as_typed(entry: str, typed: str) -> None:
    assert entry_as_typed(entry, {"three": "three.toml"}) == typed


OWN = """
name = "{name}"
format = "text_classification"
labels = ["science", "travel"]
[columns]
text = "headline"
label = "topic"
[files]
train = "train.csv"
test = "test.csv"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `own` with two tasks, from beside which commands are given; what they make known stays in the test."""
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())
    folder = tmp_path / "own"
    folder.mkdir()
    rows = ["headline,topic"] + [f'"The {n} was mended",{"science" if n % 2 else "travel"}' for n in range(8)]
    for name in ("train.csv", "test.csv"):
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name in ("topics", "three"):
        (folder / f"{name}.toml").write_text(OWN.format(name=name), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return folder


def test_files_of_own_tasks_are_typed_again(made: Any, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"inter": "none,own/three.toml+snli,hellaswag,squad_v1", "target": "xquad,own/topics.toml"}
    missing = {("three,snli", "topics"), ("hellaswag", "topics")}
    matrix = made(**flags).fill(but(missing, lambda cell: 50 + len(cell.inter)))
    found = matrix.next().json
    assert {(cell["inter"], cell["target"]) for cell in found["next"]} == missing
    (command,) = found["commands"]
    words = shlex.split(command)
    assert set(words[words.index("--inter") + 1].split(",")) == {"own/three.toml+snli", "hellaswag"}
    assert words[words.index("--target") + 1] == "own/topics.toml"
    # Another process knows neither task.
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())
    assert matrix.asks_for(command) == {("three,snli", "topics", "lora"), ("hellaswag", "topics", "lora")}


def test_own_tasks_of_a_recipe_are_found_by_another_process(
    made: Any, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its axes as they stand there, of its other keys by their whole path."""
    recipe = tmp_path / "mine.toml"
    axes = '[matrix]\ninter = ["none", "three.toml+snli", "hellaswag", "squad_v1"]\n'
    recipe.write_text(f'{axes}[target]\ntasks = ["xquad", "own/topics.toml"]\n', encoding="utf-8")
    shutil.copy(own / "three.toml", tmp_path)
    for name in ("train.csv", "test.csv"):
        shutil.copy(own / name, tmp_path)
    missing = {("three,snli", "topics"), ("hellaswag", "topics")}
    matrix = made(recipe=str(recipe)).fill(but(missing, lambda cell: 50 + len(cell.inter)))
    (command,) = matrix.next().json["commands"]
    words = shlex.split(command)
    assert set(words[words.index("--inter") + 1].split(",")) == {"three.toml+snli", "hellaswag"}
    assert words[words.index("--target") + 1] == str(own / "topics.toml")
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())
    assert matrix.asks_for(command) == {("three,snli", "topics", "lora"), ("hellaswag", "topics", "lora")}


@pytest.fixture
def german(tiny_data: Path, tmp_path: Path) -> str:
    """Data with a German treebank to train on."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    test = data / "ud" / "UD_German-GSD" / "de_gsd-ud-test.conllu"
    for split in ("train", "dev"):
        shutil.copy(test, test.with_name(f"de_gsd-ud-{split}.conllu"))
    return str(data)


def test_each_language_taught_has_its_own_baseline(made: Any, german: str, tmp_path: Path) -> None:
    def scored(cell: Cell) -> float:
        if (cell.inter, cell.taught.languages) == ("hellaswag", ("de",)):
            raise KeyError
        # Whoever takes the baseline of English finds 30 points.
        return 50 + ABILITY[cell.inter] + (30 if cell.taught.languages == ("de",) else 0)

    matrix = made(inter=FOUR, target="udpos", train_languages="each", data=german).fill(scored)
    found = matrix.next().json
    (cell,) = found["next"]
    assert (cell["inter"], cell["target"], cell["taught"]) == ("hellaswag", "udpos", "trained in de")
    assert (found["known"], found["cells"]) == (7, 8)
    alike = made(inter=FOUR, target="xquad,udpos", store=str(tmp_path / "alike")).fill(
        but({("hellaswag", "udpos")})
    )
    assert cell["gain"] == alike.next().json["next"][0]["gain"]
    (command,) = found["commands"]
    assert matrix.asks_for(command) == {("hellaswag, trained in de", "udpos", "lora")}
    text = matrix.text()
    assert re.search(r"rank +intermediate +target +taught +gain", text)
    assert re.search(r"1 +hellaswag +udpos +trained in de +\+", text)


def test_none_with_a_few_examples_is_the_baseline_too(made: Any, german: str) -> None:
    """Its label is another than `none`."""
    matrix = made(inter=FOUR, target="udpos,tatoeba", few_shot=["de=3"], data=german)
    found = matrix.fill(but({("none", "udpos")})).next(1).json
    (cell,) = found["next"]
    told = (cell["inter"], cell["target"], cell["taught"], cell["gain"])
    assert told == ("none", "udpos", "few-shot de=3", None)
    (command,) = found["commands"]
    assert " --few-shot de=3" in command
    assert matrix.asks_for(command) == {("none, few-shot de=3", "udpos", "lora")}


@pytest.mark.parametrize("typed", [{"train_languages": "each"}, {"settings": ['target.languages=["each"]']}])
def test_of_a_model_for_each_language_a_command_runs_those_named(
    made: Any, german: str, typed: dict[str, Any]
) -> None:
    missing = {("hellaswag", ("de",)), ("snli", ("en",)), ("snli", ())}

    def scored(cell: Cell) -> float:
        if (cell.inter, cell.taught.languages) in missing:
            raise KeyError
        return 50 + ABILITY[cell.inter]

    matrix = made(inter=FOUR, target="udpos,tatoeba", data=german, **typed).fill(scored)
    commands = matrix.next().json["commands"]
    asked = [matrix.asks_for(command) for command in commands]
    assert {cell for cells in asked for cell in cells} == {
        ("hellaswag, trained in de", "udpos", "lora"),
        ("snli", "udpos", "lora"),
        ("snli", "tatoeba", "lora"),
    }
    assert sorted(map(len, asked)) == [1, 1, 1]


def test_of_a_few_examples_of_each_language_a_command_runs_those_named(made: Any, german: str) -> None:
    """French has as many examples, and its cells are finished."""
    treebanks = Path(german) / "ud"
    (treebanks / "UD_French-GSD").mkdir()
    for split in ("train", "dev", "test"):
        file = treebanks / "UD_German-GSD" / f"de_gsd-ud-{split}.conllu"
        shutil.copy(file, treebanks / "UD_French-GSD" / f"fr_gsd-ud-{split}.conllu")

    def scored(cell: Cell) -> float:
        if (cell.inter, dict(cell.taught.few_shot)) == ("hellaswag", {"de": 3}):
            raise KeyError
        return 50 + ABILITY[cell.inter]

    matrix = made(inter=FOUR, target="udpos", few_shot=["each=3"], data=german).fill(scored)
    (command,) = matrix.next().json["commands"]
    labels = {cell.label for cell in matrix.study.plan().cells if cell.inter == "hellaswag"}
    assert labels == {"hellaswag, few-shot de=3", "hellaswag, few-shot fr=3"}
    assert matrix.asks_for(command) == {("hellaswag, few-shot de=3", "udpos", "lora")}


def test_a_target_without_labels_is_told_and_left_out(made: Any) -> None:
    def scored(cell: Cell) -> float | None:
        if (cell.inter, cell.target) in {("hellaswag", "udpos"), ("snli", "tatoeba")}:
            raise KeyError
        return None if cell.target == "tatoeba" else 50 + ABILITY[cell.inter]

    matrix = made(inter=FOUR, target="xquad,udpos,tatoeba").fill(scored)
    ran = matrix.next()
    assert [(cell["inter"], cell["target"]) for cell in ran.json["next"]] == [("hellaswag", "udpos")]
    assert (ran.json["known"], ran.json["cells"]) == (7, 8)
    rows = "none, hellaswag, squad_v1"
    told = f"left out tatoeba (lora, fp32): {rows} finished without a score, as where no test row has a label"
    assert f"note: {told}\n" in ran.err


def test_where_the_rest_is_finished_a_target_without_labels_is_too(made: Any, cli: Cli) -> None:
    matrix = made(inter=FOUR, target="xquad,udpos,tatoeba")
    matrix.fill(lambda cell: None if cell.target == "tatoeba" else 50 + ABILITY[cell.inter])
    ran = cli(*matrix.words, "--next", "2")
    assert (ran.code, ran.out) == (2, "")
    assert "left out tatoeba (lora, fp32)" in ran.err
    assert "--next 2: every one of the 8 cells is finished" in ran.err
    none = made(inter=FOUR, target="tatoeba")
    ran = cli(*none.words, "--next", "2")
    assert "--next 2: no cell of the matrix can have a score to go by" in ran.err


def test_a_single_cell_without_a_score_is_not_missing(made: Any) -> None:
    def scored(cell: Cell) -> float | None:
        if (cell.inter, cell.target) == ("hellaswag", "udpos"):
            raise KeyError
        return None if (cell.inter, cell.target) == ("snli", "udpos") else 50 + ABILITY[cell.inter]

    ran = made(inter=FOUR, target="xquad,udpos,tatoeba").fill(scored).next()
    assert [(cell["inter"], cell["target"]) for cell in ran.json["next"]] == [("hellaswag", "udpos")]
    assert "note: left out snli before udpos (lora, fp32): snli finished without a score" in ran.err


def test_a_column_stands_for_what_the_matrix_varies_in(made: Any, tmp_path: Path) -> None:
    """All that is missing is of one mode."""

    def scored(cell: Cell) -> float:
        if (cell.inter, cell.target, cell.mode) == ("hellaswag", "udpos", "ia3"):
            raise KeyError
        return 50 + ABILITY[cell.inter]

    text = made(inter=FOUR, target="xquad,udpos", mode="lora,ia3").fill(scored).text()
    assert re.search(r"rank +intermediate +target +mode +gain", text)
    assert re.search(r"1 +hellaswag +udpos +ia3 +\+", text)
    alone = (
        made(inter=FOUR, target="xquad,udpos", store=str(tmp_path / "alone"))
        .fill(but({("hellaswag", "udpos")}))
        .text()
    )
    assert re.search(r"rank +intermediate +target +gain", alone)


def test_a_damaged_evaluation_is_told_and_missing(made: Any) -> None:
    matrix = made(inter=FOUR, target="xquad,udpos").fill(but(set()))
    (stage,) = (
        cell.evaluate
        for cell in matrix.study.plan().cells
        if (cell.inter, cell.target) == ("hellaswag", "udpos")
    )
    file = matrix.study.runtime.store / stage.name / METRICS
    file.write_text(file.read_text(encoding="utf-8").replace("55", "95"), encoding="utf-8")
    ran = matrix.next()
    assert [(cell["inter"], cell["target"]) for cell in ran.json["next"]] == [("hellaswag", "udpos")]
    assert f"note: {stage.name} (hellaswag before udpos (lora, fp32), seed 0): metrics.json " in ran.err
    assert "left out: its command makes it again" in ran.err


def test_keys_that_the_command_says_anew_are_not_set_beside_it(made: Any) -> None:
    settings = ["mode=lora", "target.tasks=['xquad','udpos']", "target.max_steps=4"]
    matrix = made(inter=FOUR, mode=[], target=[], settings=settings).fill(but({("hellaswag", "udpos")}))
    (command,) = matrix.next().json["commands"]
    assert " --mode lora " in command
    assert command.endswith(" --set target.max_steps=4")
    assert matrix.asks_for(command) == {("hellaswag", "udpos", "lora")}
