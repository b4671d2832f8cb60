"""Writes models of transformers without the library's progress bars, which say nothing of a run."""

from pathlib import Path
from typing import Any

from transformers.utils import logging


def save_model(model: Any, folder: Path) -> None:  # noqa: ANN401  transformers types none
    """Configuration and safetensors; the same weights give the same bytes."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model.save_pretrained(folder)
    finally:
        if shown:
            logging.enable_progress_bar()
