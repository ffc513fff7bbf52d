"""README says what the code does: its commands, keys, tables and sample file are checked against it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from adapter_stilts.cli import tuning_table
from adapter_stilts.cli.main import VERBS, group
from adapter_stilts.cli.task_table import markdown
from adapter_stilts.model.combinations import combinations
from adapter_stilts.recipe import load_recipe, parse_override
from adapter_stilts.tasks import all_tasks

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def command(name: str) -> str:
    script = [sys.executable, ROOT / "scripts" / "readme-command", name]
    return subprocess.run(script, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", ["install", "first", "train", "test"])
def test_commands_that_ci_runs_are_there(name) -> None:
    assert command(name).strip()


@pytest.mark.parametrize("name", ["first", "train"])
def test_the_train_commands_parse(name) -> None:
    words = shlex.split(command(name).replace("\\\n", " "))
    assert words[:2] == ["adapter-stilts", "train"]
    verb = group.get_command(click.Context(group), "train")
    assert verb is not None
    verb.make_context("train", words[2:])


def test_every_setting_is_a_recipe_key() -> None:
    settings = re.findall(r"--set ([\w.]+=[\w.-]+)", TEXT)
    assert len(settings) >= 4
    for setting in settings:
        key, value = parse_override(setting)
        load_recipe(None, [(key, value)])


def test_every_option_and_verb_exists() -> None:
    verbs = [group.get_command(click.Context(group), verb) for verb in VERBS]
    verbs += [inner for verb in verbs if isinstance(verb, click.Group) for inner in verb.commands.values()]
    options = {option for verb in verbs for parameter in verb.params for option in parameter.opts}
    used = {
        option
        for line in TEXT.splitlines()
        if "adapter-stilts " in line or line.startswith("| ")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z_-]+", line)
    }
    assert used
    # accelerate's own options have underscores.
    assert {option for option in used if "_" not in option} <= options
    assert set(re.findall(r"`adapter-stilts (\w+)", TEXT)) <= set(VERBS)


def test_the_tables_of_tasks_are_what_the_command_prints() -> None:
    """After a change: paste what `adapter-stilts tasks --markdown` prints between the marks."""
    shown = TEXT.split("<!-- tasks -->\n")[1].split("<!-- /tasks -->")[0]
    assert shown == markdown(all_tasks())


def test_the_table_of_tunings_is_what_the_command_prints() -> None:
    """After a change: paste what `adapter-stilts tunings --markdown` prints between the marks."""
    shown = TEXT.split("<!-- tunings -->\n")[1].split("<!-- /tunings -->")[0]
    assert shown == tuning_table.markdown(combinations())


def test_the_sample_task_is_the_file() -> None:
    source = (ROOT / "adapter_stilts" / "tasks" / "commonsenseqa.py").read_text(encoding="utf-8")
    body = source[source.index("from __future__") :].strip()
    assert f"```python\n{body}\n```" in TEXT
