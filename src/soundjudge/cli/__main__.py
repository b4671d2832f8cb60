"""`python -m soundjudge.cli` is the command `soundjudge`."""

from soundjudge.cli import main

main()
