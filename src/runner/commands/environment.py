"""What the environment holds for a command that needs keys: with a `.env` file, if there is one."""

from runner.errors import RunnerError


def load() -> None:
    """Take over what a `.env` file, here or in a folder above, sets and the environment does not.

    Raises:
        RunnerError: there is one, and it cannot be read.
    """
    # Only what serves agents has it installed.
    import dotenv

    file = dotenv.find_dotenv(usecwd=True)
    try:
        dotenv.load_dotenv(file)
    except (OSError, UnicodeDecodeError) as error:
        raise RunnerError(f"{file} cannot be read ({error}); save it as UTF-8 text") from error
