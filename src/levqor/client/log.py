"""Levqor's words in the app's log. `logging` is imported when there is something to say: it takes longer than all of the client."""

from functools import cache


def warning(text: str, *arguments: object) -> None:
    """What somebody should mend, told once."""
    import logging

    logging.getLogger("levqor").warning(text, *arguments)


@cache
def fault(text: str) -> None:
    """An error of ours that must not reach the app: told once in a process, with its traceback."""
    import logging

    logging.getLogger("levqor").warning(text, exc_info=True)
