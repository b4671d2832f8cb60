"""Sections `screen` and `standardize` of params.yaml, and the defaults of commands and library.

Imports nothing slow, so that the command line can show these values.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import LARGEST_COUNT, check_range

Method: TypeAlias = Literal["rating", "listener", "both", "none"]
Shrinkage: TypeAlias = float | Literal["empirical_bayes"]

# SPO-CLAPScore's, by --published; the defaults of commands, library and pipeline are below.
PUBLISHED_METHOD: Method = "rating"
PUBLISHED_SHRINKAGE: Shrinkage = 0.0
MOST_TOLERANCE = 0.01  # relative change of the likelihood


@dataclass(frozen=True, kw_only=True)
class Screening:
    """Section `screen`: which ratings are trusted."""

    method: Method = "listener"
    """rating = drop ratings that no other rating of the same pair comes near (SPO); listener = drop
    careless listeners; both = first these listeners, then such ratings; none = keep all. Listener
    is best or equal for every target in benchmarks/listener_recovery.md"""
    tolerance: float = 5.0
    "of rating and both: points (0-10 scale) within which another rating of the pair must lie"
    careless_threshold: float = 0.5
    "of listener and both: a listener more probably careless than this is dropped"
    straightline_min_ratings: int = 8
    "of listener and both: a listener with so many ratings or more, all equal, is dropped"
    splits: tuple[Literal["train", "validation"], ...] = ("train",)
    "splits that are screened; SPO also screens validation, which then flatters selection"

    def __post_init__(self) -> None:
        check_range(self, "tolerance", least=0, most=10, unit=" rating points")
        check_range(self, "careless_threshold", above=0, below=1, unit=", a probability")
        check_range(self, "straightline_min_ratings", least=2, most=LARGEST_COUNT)


@dataclass(frozen=True, kw_only=True)
class LatentConfig:
    """Section `standardize.latent`: priors of listeners, and convergence.

    The spreads of qualities and biases are estimated from the ratings.
    """

    scale_sd: float = 0.2
    """prior spread of a listener's scale around 1, which a dozen ratings do not determine; 0.1 and
    0.3 differ by at most 0.002 SRCC (benchmarks/listener_recovery.md)"""
    noise_prior_weight: float = 4.0
    """ratings' worth of prior on a listener's noise variance, which draws it towards the panel's;
    without it the likelihood is infinite at noise 0"""
    tolerance: float = 1e-8
    """relative change of the penalized log likelihood at convergence: the scores are then mostly
    within 0.001 and at worst 0.014 points of their limit (benchmarks/intervals.md)"""
    max_iterations: int = 1000
    "about 50 are needed; a fit that ends here is reported as not converged"

    def __post_init__(self) -> None:
        check_range(self, "scale_sd", least=1e-6, most=10)  # of a scale around 1
        check_range(self, "noise_prior_weight", least=1e-6, most=LARGEST_COUNT)
        check_range(self, "tolerance", least=1e-15)  # doubles have no finer change
        if self.tolerance > MOST_TOLERANCE:
            raise SoundjudgeError(
                f"tolerance is {self.tolerance}: the fit would end before it began, choose at most "
                f"{MOST_TOLERANCE}"
            )
        check_range(self, "max_iterations", least=1, most=LARGEST_COUNT)


@dataclass(frozen=True, kw_only=True)
class Standardization:
    """Section `standardize`: how listeners are put on one scale."""

    shrinkage: Shrinkage = "empirical_bayes"
    """draws listeners' means and stds towards the global ones: as their differences call for, which
    repairs z-scores of a dozen ratings (benchmarks/listener_recovery.md); or as so many ratings;
    0.0 = as published (SPO)"""
    latent: LatentConfig = field(default_factory=LatentConfig)
    target: Literal["auto"] | None = None
    """auto = held-out listeners of train choose mean, spo or latent, for trainings whose target is
    auto (as `soundjudge study` does; latent stays unless another is better); null = no choice"""

    def __post_init__(self) -> None:
        check_shrinkage(self.shrinkage)


def check_shrinkage(shrinkage: Shrinkage | str) -> None:
    """Raises SoundjudgeError unless this is a strength of shrinkage."""
    is_number = isinstance(shrinkage, float | int) and shrinkage >= 0
    if shrinkage != "empirical_bayes" and not is_number:
        raise SoundjudgeError(
            f"shrinkage is {shrinkage}: choose empirical_bayes or a number of ratings, 0 for none"
        )


def parse_shrinkage(text: str) -> Shrinkage:
    """A strength of shrinkage as a user writes it. Raises SoundjudgeError."""
    if text == "empirical_bayes":
        return "empirical_bayes"
    try:
        number = float(text)
    except ValueError:
        check_shrinkage(text)
        raise
    check_shrinkage(number)
    return number
