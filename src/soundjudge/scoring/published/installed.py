"""Judges that a user has by name, in their cache folder."""

from pathlib import Path

from soundjudge.data.fetch import catalog, download
from soundjudge.data.fetch.catalog import TMU, TMU_TOKENIZER
from soundjudge.data.fetch.entries import user_cache
from soundjudge.data.user_files import outputs
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.judge_folder import read_card
from soundjudge.scoring.judge.manifest import read_manifest
from soundjudge.scoring.published.tmu import import_tmu

JUDGES = (TMU,)  # of the catalog


def judges_folder() -> Path:
    """Where the judges lie, each in a folder of its name."""
    return user_cache("judges")


def find_judge(name: str) -> Path | None:
    """The folder of the judge of that name; None where the name is none of a judge.

    Raises SoundjudgeError for one that can be fetched and is not here yet.
    """
    folder = judges_folder() / name
    if "/" in name or name.startswith("."):
        return None
    if not folder.is_dir():
        if name in JUDGES:
            raise SoundjudgeError(f"{name} is not here yet: get it with 'soundjudge fetch {name}'")
        return None
    return folder


def list_judges(tell: download.Tell) -> list[str]:
    """Name, score id, license and size of all that are here, a line each, in order.

    `tell` gets a sentence on each that cannot be read.
    """
    judges = []
    for folder in sorted(path for path in judges_folder().glob("*") if path.is_dir()):
        if folder.name.startswith("."):
            continue
        try:
            manifest, card = read_manifest(folder), read_card(folder)
        except SoundjudgeError as error:
            tell(str(error))
        else:
            license_name = card.license or "not stated"
            judges.append(f"{folder.name}  {manifest.score_id}  {license_name}  {manifest.size()}")
    return judges


def install_tmu(tell: download.Tell) -> Path:
    """Downloads the TMU system and makes a judge of it, unless it is here."""
    folder = judges_folder() / TMU
    folder.parent.mkdir(parents=True, exist_ok=True)
    with outputs.lock(folder, folder):
        if folder.is_dir():
            tell(f"{TMU}: {read_manifest(folder).score_id} is in {folder} already")
            return folder
        weights = download.fetch(TMU, catalog.find_entry(TMU), catalog.CATALOG[TMU].target, tell)
        manifest, _ = import_tmu(weights / "model.pt", folder, llm=fetch_tokenizer(tell))
    tell(f"{TMU}: {manifest.score_id} is in {folder}")
    tell(f"{TMU}: {weights} is no longer needed, and can be deleted")
    return folder


def fetch_tokenizer(tell: download.Tell) -> Path:
    """The configuration and tokenizer of TMU's language model, downloaded if need be."""
    entry = catalog.find_entry(TMU_TOKENIZER)
    return download.fetch(TMU_TOKENIZER, entry, entry.target, tell)
