"""`python -m soundjudge` is the command `soundjudge`."""

from soundjudge.cli import main

main()
