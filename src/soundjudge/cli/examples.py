"""The commands by task, in the order of `soundjudge --help`, each with examples."""

TASKS: dict[str, dict[str, tuple[str, ...]]] = {
    "Score sounds": {
        "score": (
            'soundjudge score dog.wav "a dog barks"',
            'soundjudge score dog.wav "a dog barks, then a bell rings" --events',
        ),
        "score-table": ("soundjudge score-table pairs.csv --audio-dir wav -o scores.csv --resume",),
        "rank": (
            'soundjudge rank "a dog barks" take1.wav take2.wav',
            "soundjudge rank dog.wav --texts captions.txt",
        ),
        "report": ("soundjudge report tango2/ audiogen/ --prompts prompts.csv -o report.html",),
        "serve": ("soundjudge serve --model tmu2026",),
    },
    "Judges and weights": {
        "judges": ("soundjudge judges",),
        "fetch": ("soundjudge fetch tmu2026", "soundjudge fetch --for params.yaml"),
        "import-clap": (
            "soundjudge import-clap hf://laion/clap-htsat-unfused -o checkpoints/clap-judge",
        ),
        "import-tmu": ("soundjudge import-tmu model.pt -o checkpoints/tmu",),
        "push": ("soundjudge push checkpoints/judge owner/name --private",),
    },
    "Ratings of a listening test": {
        "reliability": ("soundjudge reliability ratings.csv --scale 1-5",),
        "study": ("soundjudge study ratings.csv -o study.json --plots plots",),
        "screen": ("soundjudge screen ratings.csv -o kept.csv --report report",),
        "standardize": ("soundjudge standardize kept.csv -o targets.csv",),
    },
    "Scores against ratings": {
        "evaluate": ("soundjudge evaluate scores.csv --reference average.csv --report page.html",),
        "compare": ("soundjudge compare a.csv b.csv --reference average.csv",),
    },
    "The pipeline": {
        "recipe": ("soundjudge recipe xacle2027 > params.yaml",),
        "curves": ("soundjudge curves -o curves.html",),
        "doctor": ("soundjudge doctor", "soundjudge doctor --model checkpoints/judge"),
    },
    "The challenge": {
        "submit": ("soundjudge submit scores.csv --list test.csv -o system.csv",),
        "submission": (
            "soundjudge submission scores.csv --list test.csv --model checkpoints/judge "
            "-o submission.zip",
        ),
    },
}


def find_examples(command: str) -> tuple[str, ...]:
    """The examples of a command; none of one that no task has."""
    return next((tasks[command] for tasks in TASKS.values() if command in tasks), ())
