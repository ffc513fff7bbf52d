"""Lay slices of real data out as the releases they are cut from, so that `train` and `matrix` read them.

    python benchmarks/real_slices.py OUT
    adapter-stilts matrix --recipe real-small --base e5-small --data OUT --dry-run --calibrate

Below `--data`: `uner/UNER_English-EWT`, `uner/UNER_German-PUD`, `masakhaner/swa`, `masakhaner/yor`, as their releases
name their files. UNER's English sentences are those of its dev file: the first `--train` of them are the train set
here, the rest is dev. All other folders are linked to as they are. It is no benchmark of its own: it prints sentences
by file.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import measure

TRAIN = 1200
"""English sentences of UNER to train on, of the 1,500 of its slice."""
LAID_OUT = ("uner", "masakhaner")


def prepare(data: Path, train: int, out: Path) -> dict[str, int]:
    """Lay UNER and MasakhaNER out, UNER's English sentences cut into train and dev; sentences by file.

    Raises:
        SystemExit: a file is missing, or too few English sentences are left for dev.
    """
    english, german = "uner/UNER_English-EWT", "uner/UNER_German-PUD"
    copied = {f"{english}/en_ewt-ud-test.iob2": english, f"{german}/de_pud-ud-test.iob2": german}
    for code in ("swa", "yor"):
        copied |= {
            f"masakhaner/{code}/{split}.txt": f"masakhaner2/{code}" for split in ("train", "dev", "test")
        }
    whole = data / english / "en_ewt-ud-dev.iob2"
    missing = [path for path in (whole, *(data / name for name in copied)) if not path.is_file()]
    if missing:
        raise SystemExit(f"no file {missing[0]}: --data names a folder that holds the slices")
    sentences = whole.read_text(encoding="utf-8").strip("\n").split("\n\n")
    if len(sentences) <= train:
        raise SystemExit(f"{whole} holds {len(sentences)} sentences; --train {train} leaves none for dev")
    for name, folder in copied.items():
        (out / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(data / name, out / folder)
    for split, part in (("train", sentences[:train]), ("dev", sentences[train:])):
        text = "".join(sentence + "\n\n" for sentence in part)
        (out / english / f"en_ewt-ud-{split}.iob2").write_text(text, encoding="utf-8")
    return {
        str(path.relative_to(out)): _sentences(path) for path in sorted(out.rglob("*.*")) if path.is_file()
    }


def _sentences(path: Path) -> int:
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    return sum(1 for block in blocks if block.strip())


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("out", type=Path, help="a folder that does not exist")
    options.add_argument("--data", type=Path, default=measure.folder("ADAPTER_STILTS_DATA", "data"))
    options.add_argument("--train", type=int, default=TRAIN, help=f"default {TRAIN}")
    given = options.parse_args()
    if given.out.exists():
        raise SystemExit(f"{given.out} exists: name a new folder")
    given.out.mkdir(parents=True)
    print(json.dumps(prepare(given.data, given.train, given.out), indent=2))
    for folder in sorted(given.data.iterdir()):
        if folder.is_dir() and folder.name not in LAID_OUT:
            (given.out / folder.name).symlink_to(folder.resolve(), target_is_directory=True)


if __name__ == "__main__":
    main()
