"""A judge by its files, without its members: what it says of itself, saved and uploaded.

Not by huggingface_hub's ModelHubMixin: that writes a config.json of its own, which no judge lists,
and looks a folder that is not there up on the hub.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, Unpack

import yaml

from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.judge import integrity
from soundjudge.scoring.judge.integrity import CARD
from soundjudge.scoring.judge.manifest import MANIFEST, JudgeManifest
from soundjudge.scoring.members.m2d_reference import own_copies

NO_LICENSE = ("", "other", "unknown")  # as cards state them


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


class UploadOptions(TypedDict, total=False):
    """Those of huggingface_hub's `push_to_hub`, and one more."""

    commit_message: str | None
    private: bool | None
    token: str | bool | None
    branch: str | None
    create_pr: bool | None
    redistribution_allowed: bool


class JudgeFolder:
    """The judge of `manifest` in `folder`."""

    def __init__(self, manifest: JudgeManifest, folder: Path) -> None:
        self.manifest, self.folder = manifest, folder

    @property
    def score_id(self) -> str:
        """Name, version and fingerprint of what makes these scores: cite it with them."""
        return self.manifest.score_id

    @property
    def note(self) -> str:
        """What must be told beside every score, such as "simulated ratings"; "" for nothing."""
        return self.manifest.note

    @property
    def intervals(self) -> Intervals | None:
        """How far mean ratings lie from scores; None where that was not learned from ratings."""
        return self.manifest.intervals

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> str | None:
        """Copies the judge to a folder that does not exist or is empty, its model card included.

        With `push_to_hub` it is uploaded, too: see there.
        """
        out = Path(save_directory)
        check_new_folder(out)
        self.check_files()
        with artifacts.atomic_folder(out) as copy:
            for name in self._names():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder / name, copy / name)
        return self.push_to_hub(repo_id or out.name, **options) if push_to_hub else None

    def push_to_hub(self, repo_id: str, **options: Unpack[UploadOptions]) -> str:
        """Makes `repo_id` of the hub, owner/name, this judge, in one commit: the commit's address.

        What lies there and is none of the judge's files is deleted in that commit: a judge holds
        nothing else. Raises SoundjudgeError for a judge with `restrictions`, unless
        `redistribution_allowed`, and HubError where the hub refuses.
        """
        from huggingface_hub import HfApi, constants, errors

        self.check_files()
        clauses = self.restrictions()
        if clauses and not options.get("redistribution_allowed"):
            raise SoundjudgeError(
                f"{self.manifest.score_id} was not uploaded: {'; '.join(clauses)}. Whoever may "
                "pass it on says so: --redistribution-allowed, or redistribution_allowed=True"
            )
        api = HfApi(endpoint=constants.ENDPOINT, token=options.get("token"))
        message = options.get("commit_message") or f"The judge {self.manifest.score_id}"
        try:
            repository = api.create_repo(repo_id, private=options.get("private"), exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository.repo_id,
                folder_path=self.folder,
                commit_message=message,
                revision=options.get("branch"),
                create_pr=options.get("create_pr"),
                allow_patterns=self._names(),
                delete_patterns="*",
            )
        # httpx's or httpx2's, by the version of the client; ValueError: a name, or a card's head.
        except (errors.HTTPError, OSError, ValueError) as error:  # type: ignore[attr-defined]
            reason = " ".join(str(error).split()) or type(error).__name__
            raise HubError(
                f"the hub did not take {repo_id}: {reason} (it needs owner/name, and "
                "'hf auth login' as someone who may write there)"
            ) from error
        return str(commit)

    def restrictions(self) -> list[str]:
        """What speaks against passing the judge on, as far as its files tell: a clause each."""
        clauses = []
        if members := own_copies(integrity.read_members(self.folder, self.manifest)):
            clauses.append(
                f"{', '.join(members)} stand on M2D-CLAP, whose license (NTT, evaluation only) "
                "allows no distribution, and NTT has not said whether that holds for what was "
                "fitted on it"
            )
        if (read_card(self.folder).license or "").lower() in NO_LICENSE:
            clauses.append(
                "its card states no license under which it may be passed on (package.license of "
                "params.yaml, --license of import-clap, or the head of its README.md)"
            )
        return clauses

    def _names(self) -> list[str]:
        """All files of the judge, by their paths from its folder."""
        card = [integrity.CARD] if (self.folder / integrity.CARD).is_file() else []
        return [MANIFEST, *card, *self.manifest.files]

    def check_files(self) -> None:
        """Raises SoundjudgeError unless the folder is what its judge.json says, and readable."""
        if not self.folder.is_dir():
            raise SoundjudgeError(
                f"{self.folder} is gone, and with it the judge's files: load the judge from a "
                "folder that stays, as import-clap and import-tmu write one"
            )
        integrity.check_folder(self.folder, self.manifest)
        for name in self._names():
            artifacts.check_readable(self.folder / name)


def check_new_folder(out: Path) -> None:
    """Raises SoundjudgeError unless `out` is absent or an empty folder."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SoundjudgeError(f"{out} exists already: name another folder, or delete it.")
