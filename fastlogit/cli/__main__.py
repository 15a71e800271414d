"""``python -m fastlogit.cli``, for where the console script is not on the path."""

from fastlogit.cli import main

main()
