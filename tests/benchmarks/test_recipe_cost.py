"""What the recipe tmu2026 is reckoned to cost: by hand, and as the docs say it."""

import pytest
from repository import ROOT, load_benchmark

recipe_cost = load_benchmark("recipe_cost")
SIZES = recipe_cost.operations.published_sizes()
CORPUS = recipe_cost.Corpus(captions=273_000, rated=(7500, 3000, 3000), words=13)
COSTS = {cost.name: cost for cost in recipe_cost.costs(SIZES, CORPUS)}


@pytest.mark.parametrize(
    ("stage", "steps"),
    [
        ("caption", 3 * 17_063),  # 273,000 captions in 16s, the last of 8
        ("pretrain@uncaptioned", 20 * 66_543),  # 273,000 + 518,700 + 273,000 pairs in 16s
        ("finetune@full1", 150 * 468),  # 7,500 pairs in 16s, 12 left over
    ],
)
def test_steps_are_epochs_times_lists(stage, steps):
    assert COSTS[stage].steps == steps


def test_hours_are_operations_at_two_fifths_of_the_rate_and_bytes_of_the_optimizer():
    # benchmarks/README.md: 4,168.2 x 10^9 operations and 20.2 GB a step.
    seconds = 4168.2e9 / (0.4 * 790e12) + 20.2e9 / 4.8e12
    hours = COSTS["pretrain@captioned"].hours(SIZES)
    assert hours == pytest.approx(1_330_860 * seconds / 3600, rel=0.002)


def test_float32_passes_without_gradients_are_counted_once():
    # A pair forward: a 16th of the README's 1,339.7, and of a third of 56.5, 92.5 and .1.
    pair = (1339.7 + (56.5 + 92.5 + 0.1) / 3) / 16 * 1e9
    assert COSTS["finetune@full2"].fp32 == pytest.approx(150 * 3000 * pair, rel=0.01)
    # BEATs hears 286,500 clips; a 16th of the README's 1,577.7 each.
    assert COSTS["features"].fp32 == pytest.approx(286_500 * 1577.7e9 / 16, rel=0.001)


def test_bytes_are_those_of_the_shapes():
    disk = recipe_cost.sizes_on_disk(SIZES, CORPUS)
    assert disk["features"] == 286_500 * 100 * 768 * 2
    assert disk["clips (16 bits)"] == 286_500 * 160_000 * 2
    assert disk["embeddings"] == 546_000 * 512 * 2
    assert disk["a trained language model"] == pytest.approx(4 * 505e6, rel=0.002)
    assert disk["a state to resume from"] == 3 * disk["a trained language model"]


def test_the_tables_of_the_docs_are_what_the_benchmark_prints():
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    for table in recipe_cost.tables(SIZES, CORPUS).split("\n\n"):
        assert table in page
