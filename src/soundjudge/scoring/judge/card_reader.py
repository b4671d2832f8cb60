"""What a judge's model card states, read back: anyone may have edited it."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.integrity import CARD


@dataclass(frozen=True, kw_only=True)
class StatedCard:
    """The card's own words; nothing where there is no card."""

    license: str | None = None
    sections: dict[str, str] = field(default_factory=dict)
    "those of the second level that are not empty, by their titles"

    @property
    def licenses(self) -> list[str]:
        """The license notes, a line each."""
        lines = self.sections.get("Licenses", "").splitlines()
        return [line.removeprefix("- ") for line in lines if line]


def read_card(folder: Path) -> StatedCard:
    """The card of the judge in `folder`. Raises SoundjudgeError for one that cannot be read."""
    from huggingface_hub import metadata_load

    path = folder / CARD
    if not path.is_file():
        return StatedCard()
    try:
        text = path.read_text(encoding="utf-8")
        stated = (metadata_load(path) or {}).get("license")
    except UnicodeDecodeError as error:
        raise SoundjudgeError(f"{path} is not UTF-8: save it again") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SoundjudgeError(f"{path}: its head is no YAML: correct it ({error})") from error
    return StatedCard(license=str(stated) if stated else None, sections=_sections(text))


def _sections(text: str) -> dict[str, str]:
    sections, title = {}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ").strip()
            sections[title] = ""
        elif title:
            sections[title] += f"{line}\n"
    return {title: text.strip() for title, text in sections.items() if text.strip()}
