"""Levqor's words in the app's log. `logging` is imported when there is something to say: it takes longer than all of the client."""


def warning(text: str, *arguments: object) -> None:
    """What somebody should mend, told once."""
    import logging

    logging.getLogger("levqor").warning(text, *arguments)


def debug(text: str) -> None:
    """An error of ours, with its traceback, that must not reach the app."""
    import logging

    logging.getLogger("levqor").debug(text, exc_info=True)
