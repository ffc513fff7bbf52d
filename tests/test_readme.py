"""README and docs/ say what the code does: commands, keys, tables, links and the sample file are checked against it."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from adapter_stilts.cli import tuning_table
from adapter_stilts.cli.main import VERBS, group
from adapter_stilts.cli.task_table import markdown, markdown_table
from adapter_stilts.formats import get_format
from adapter_stilts.model import known_encoders
from adapter_stilts.model.combinations import combinations
from adapter_stilts.model.tuning import tuning_settings
from adapter_stilts.recipe import load_recipe, parse_override
from adapter_stilts.tasks import all_tasks

ROOT = Path(__file__).parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (README, *DOCS.glob("*.md"))}
TEXT = "\n".join(PAGES.values())
OF_ROOT = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
LINKING = {**PAGES, **{name: (ROOT / name).read_text(encoding="utf-8") for name in OF_ROOT}}

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")


def command(name: str) -> str:
    script = [sys.executable, ROOT / "scripts" / "readme-command", name]
    return subprocess.run(script, capture_output=True, text=True, check=True).stdout


def shell_commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours in a fenced block of shell, with its page."""
    for page, text in PAGES.items():
        for language, block in FENCED.findall(text):
            if language != "sh":
                continue
            for line in re.split(r"\n|&&", re.sub(r"(\\|&&)\n", r"\1", block).replace("\\", "")):
                words = shlex.split(line, comments=True)
                if words[:1] == ["adapter-stilts"]:
                    yield page, words[1:]


def verb_of(words: list[str]) -> tuple[click.Command, list[str]]:
    found: click.Command | None = group
    while isinstance(found, click.Group):
        found, words = found.get_command(click.Context(found), words[0]), words[1:]
    assert found is not None
    return found, words


@pytest.mark.parametrize("name", ["install", "first", "train", "test", "python"])
def test_commands_that_ci_runs_are_there(name: str) -> None:
    assert command(name).strip()


def test_a_command_that_is_nowhere_is_told() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        command("nowhere")
    assert caught.value.returncode == 1


def test_readme_sets_up_with_two_commands_the_first_of_which_installs() -> None:
    """CI runs the parts of the first apart: the install in the checkout, the training in a folder of its own."""
    install, trains = command("first").split("&&")
    assert install.split() == command("install").split()
    assert install.split()[:2] == ["pip", "install"]
    assert trains.split()[:2] == ["adapter-stilts", "train"]
    marked = re.findall(r"<!-- command: (\w+) -->\n```sh", PAGES["README.md"])
    assert marked == ["first", "test"]
    before = PAGES["README.md"].split("<!-- command: first -->")[0]
    assert not FENCED.search(before), "nothing is to be typed before the install"


def test_readme_fits_its_reader() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 200


def test_every_command_parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checked = 0
    for page, words in shell_commands():
        verb, arguments = verb_of(words)
        for folder in arguments:  # arguments that have to be there
            if re.fullmatch(r"PREDICTIONS|LABELS|runs/[\w<>-]+", folder):
                Path(folder).mkdir(parents=True, exist_ok=True)
        try:
            verb.make_context(" ".join(words), arguments)
        except click.ClickException as error:
            pytest.fail(f"{page}: adapter-stilts {shlex.join(words)}: {error.message}")
        checked += 1
    assert checked >= 20


def test_every_setting_is_a_recipe_key() -> None:
    settings = re.findall(r"--set ((?!KEY=)[\w.]+=[\w.-]+)", TEXT)
    settings += re.findall(r"`((?:intermediate|target|formats|tuning|merge)\.[\w.]+=[^`…]+)`", TEXT)
    assert len(settings) >= 20
    for setting in settings:
        key, value = parse_override(setting)
        recipe = load_recipe(None, [("mode", "lora"), (key, value)])
        for name, section in recipe.formats.items():
            get_format(name).Settings.model_validate(section)
        for name in recipe.tuning:
            tuning_settings(name, recipe.tuning)


def test_the_sample_recipe_loads(tmp_path: Path) -> None:
    (sample,) = (block for language, block in FENCED.findall(PAGES["docs/recipes.md"]) if language == "toml")
    (tmp_path / "mine.toml").write_text(sample, encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "mine.toml"))
    assert (recipe.mode, recipe.target.learning_rate) == ("lora", 3e-4)


def test_every_option_and_verb_exists() -> None:
    verbs = [group.get_command(click.Context(group), verb) for verb in VERBS]
    verbs += [inner for verb in verbs if isinstance(verb, click.Group) for inner in verb.commands.values()]
    options = {option for verb in verbs for parameter in verb.params for option in parameter.opts} | {
        "--help"
    }
    used = {
        option
        for line in TEXT.splitlines()
        if "adapter-stilts " in line or line.startswith("| ")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z_-]+", line)
    }
    assert used
    # accelerate's own options have underscores.
    assert {option for option in used if "_" not in option} <= options
    assert set(re.findall(r"`adapter-stilts (\w+)", TEXT)) <= {*VERBS, "COMMAND"}


def test_the_tables_of_tasks_are_what_the_command_prints() -> None:
    """After a change: paste what `adapter-stilts tasks --markdown` prints between the marks of docs/tasks.md."""
    shown = PAGES["docs/tasks.md"].split("<!-- tasks -->\n")[1].split("<!-- /tasks -->")[0]
    assert shown == markdown(all_tasks())


def test_the_table_of_tunings_is_what_the_command_prints() -> None:
    """After a change: paste what `adapter-stilts tunings --markdown` prints between the marks of docs/tunings.md."""
    shown = PAGES["docs/tunings.md"].split("<!-- tunings -->\n")[1].split("<!-- /tunings -->")[0]
    assert shown == tuning_table.markdown(combinations())


def test_the_table_of_encoders_is_what_the_command_prints() -> None:
    """After a change: paste what `adapter-stilts tunings --encoders --markdown` prints between the marks."""
    shown = PAGES["docs/encoders.md"].split("<!-- encoders -->\n")[1].split("<!-- /encoders -->")[0]
    assert shown == markdown_table(
        known_encoders.header(), [known_encoders.cells(row) for row in known_encoders.KNOWN]
    )


def test_the_sample_task_is_the_file() -> None:
    source = (ROOT / "adapter_stilts" / "tasks" / "commonsenseqa.py").read_text(encoding="utf-8")
    body = source[source.index("from __future__") :].strip()
    assert f"```python\n{body}\n```" in PAGES["docs/extending.md"]


def test_the_picture_is_what_the_script_draws(tmp_path: Path) -> None:
    """After a change: run `scripts/draw_result.py`."""
    subprocess.run([sys.executable, ROOT / "scripts" / "draw_result.py", tmp_path], check=True)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(drawn) == {"miniature_tydiqa.svg"}
    for name, text in drawn.items():
        assert text == (DOCS / "images" / name).read_text(encoding="utf-8")
        assert f"images/{name}" in PAGES["docs/miniature.md"]


def test_the_picture_says_what_the_table_says() -> None:
    picture = (DOCS / "images" / "miniature_tydiqa.svg").read_text(encoding="utf-8")
    rows = re.findall(r'text-anchor="end">(\w+)<(.*?)(?=text-anchor="end"|<line)', picture, re.DOTALL)
    gains = {task: re.findall(r">([+-]\d+\.\d)<", drawn) for task, drawn in rows}
    assert len(gains) == 9
    table = PAGES["docs/miniature.md"].split("| | TyDiQA: full | adapter | lora |")[1]
    for task, drawn in gains.items():
        cells = re.findall(rf"^\| {task} \| (.*)$", table, re.MULTILINE)[0].split(" | ")
        full, adapter, lora = (re.findall(r"\((.*)\)", cell)[0] for cell in cells[:3])
        assert drawn == [full, lora, adapter]


def test_every_page_is_in_the_navigation() -> None:
    def names(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for inner in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
            yield from names(inner)

    listed = list(names(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(listed) == sorted(
        [*(path.name for path in DOCS.glob("*.md")), *site_hooks().PAGES.values()]
    )


def site_hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts" / "site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_out_of_the_pages_lead_to_what_the_site_holds() -> None:
    links = site_hooks().site_links
    card = "adapter_stilts/miniature/encoder/README.md"
    text = f"[a](speed.md#encoding) [b](../recipes/study.toml) [c](../CHANGELOG.md) [d](../{card}) [e](https://x.org)"
    assert links(text, "docs") == (
        f"[a](speed.md#encoding) [b](repository/recipes/study.toml) [c](changelog.md) [d](repository/{card}.txt) "
        "[e](https://x.org)",
        ["recipes/study.toml", card],
    )
    assert links("[a](docs/speed.md)", "") == ("[a](speed.md)", [])
    with pytest.raises(ValueError, match="no file 'recipes'"):
        links("[a](../recipes)", "docs")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as its host and the site make them."""
    outside = FENCED.sub("", text)
    headings = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower())) for heading in headings}


@pytest.mark.parametrize("page", sorted(LINKING))
def test_links_lead_to_files_and_headings(page: str) -> None:
    outside = FENCED.sub("", LINKING[page])
    for link in LINK.findall(outside):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: no {link}"
        if page.startswith("docs/"):
            assert target.is_file(), f"{page}: {link} is a folder, which the site has not"
        if target.suffix == ".svg":
            # The site's theme shows a picture in the light or the dark alone.
            assert anchor in ("", "only-light", "only-dark"), f"{page}: {link}"
        elif anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page}: no heading for {link}"


def test_every_page_can_be_reached_from_readme() -> None:
    linked = {Path(link.partition("#")[0]).name for link in LINK.findall(PAGES["README.md"])}
    of_index = {Path(link.partition("#")[0]).name for link in LINK.findall(PAGES["docs/index.md"])}
    assert {path.name for path in DOCS.glob("*.md")} - {"index.md"} <= linked | of_index
    assert {"CONTRIBUTING.md", "CHANGELOG.md"} <= linked
