"""The door: arguments, exit codes, and the one catch-all."""

import argparse
import math
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from runner import __version__
from runner.errors import RunnerError

COULD_NOT_RUN = 3
INTERRUPTED = 130

_FORMATS = ("text", "json", "github", "sarif")
_STATE_HELP = (
    "where agents, records of calls and what calls learn of backends are kept"
    " (default: $RUNNER_STATE_DIR, else your own)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 clean, 1 diagnostics, 2 usage, 3 could not run, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        command = getattr(import_module(f"runner.commands.{options.command}"), options.command)
        return int(command(options))
    except RunnerError as error:
        print(f"runner: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return COULD_NOT_RUN
    except Exception:  # the door: a defect of ours must still end with a sentence
        traceback.print_exc()
        print("runner: this is a defect of voice-runner; please report it", file=sys.stderr)
        return COULD_NOT_RUN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="runner", description="YAML in, voice agents out.")
    parser.add_argument("--version", action="version", version=f"voice-runner {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_init(commands.add_parser("init", help="begin a folder of agents"))
    _add_validate(commands.add_parser("validate", help="say what is wrong with agent files"))
    _add_explain(commands.add_parser("explain", help="show what an agent's file comes to"))
    _add_route(commands.add_parser("route", help="say which agent would answer a room, and why"))
    commands.add_parser("schema", help="print the JSON Schema of the agent file")
    _add_chat(commands.add_parser("chat", help="talk with an agent by text"))
    _add_serve(commands.add_parser("serve", help="answer calls: on LiveKit, or in the studio"))
    _add_doctor(commands.add_parser("doctor", help="check everything that a call needs"))
    _add_status(commands.add_parser("status", help="say which hosts run, and how agents stand"))
    _add_calls(commands.add_parser("calls", help="list the calls that were recorded"))
    return parser


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="FOLDER",
        help="where to begin (default: here)",
    )  # fmt: skip
    parser.add_argument(
        "--template", nargs="?", const="", default="assistant", metavar="NAME",
        help="the agent to begin with (default: assistant); without a name, list them",
    )  # fmt: skip


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[Path("agents")], metavar="PATH",
        help="agent files and folders (default: agents)",
    )  # fmt: skip
    parser.add_argument("--format", choices=_FORMATS, default="text", help="how to print findings")


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="an agent file, or an id in agents/")
    parser.add_argument("--room", default="", metavar="NAME", help="as if in the room NAME")
    parser.add_argument(
        "--set", action="append", default=[], dest="assignments", metavar="NAME=VALUE",
        help="as if the call brought this variable",
    )  # fmt: skip
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _add_chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="an agent file, or an id in agents/")
    parser.add_argument(
        "--say", action="append", default=[], metavar="TEXT",
        help="say this, and leave after the answer (may be given several times)",
    )  # fmt: skip
    _add_state(parser)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("agents"), metavar="FOLDER",
        help="the agents folder (default: agents)",
    )  # fmt: skip


def _add_route(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("room", metavar="ROOM", help="the room's name")
    _add_folder(parser)
    parser.add_argument(
        "--metadata", default="", metavar="JSON",
        help="as if dispatched with this metadata: an agent's id, or JSON",
    )  # fmt: skip
    parser.add_argument(
        "--number", metavar="NUMBER", help="as if a caller by phone had called NUMBER"
    )


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    parser.add_argument("--check", action="store_true", help="validate and exit")
    parser.add_argument("--strict", action="store_true", help="start only if all agents are valid")
    parser.add_argument(
        "--poll", action="store_true",
        help="look for edits once a second, where the file system tells of none",
    )  # fmt: skip
    parser.add_argument(
        "--worker-name", metavar="NAME", help="take only explicit dispatches to NAME"
    )
    parser.add_argument(
        "--drain", type=float, default=60.0, metavar="SECONDS",
        help="how long running calls may go on when the host is told to stop (default: 60)",
    )  # fmt: skip
    parser.add_argument(
        "--status-port", type=_port, default=0, metavar="PORT",
        help="where the status is told on 127.0.0.1 (default: a free port; see runner status)",
    )  # fmt: skip
    _add_state(parser)
    _add_studio(parser)
    parser.add_argument(
        "--log-format", choices=("text", "json"), help="default: text in a terminal, else json"
    )
    parser.add_argument(
        "--record-transcripts", action="store_true",
        help="keep what was said in the records of calls",
    )  # fmt: skip
    parser.add_argument(
        "--keep-calls", type=_days, default=30.0, metavar="DAYS",
        help="how long records of calls are kept (default: 30)",
    )  # fmt: skip


def _add_studio(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--studio", action="store_true",
        help="serve the studio beside LiveKit, too; without LIVEKIT_URL there is nothing else",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="where the studio is; anything but this machine alone needs the token that is printed"
        " (default: 127.0.0.1)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=_port, metavar="PORT",
        help="the studio's port (default: 8090, or the next that is free)",
    )  # fmt: skip
    parser.add_argument(
        "--no-open", action="store_true", help="do not open the studio in a browser"
    )


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, metavar="DIR", help=_STATE_HELP)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    _add_state(parser)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ready", action="store_true",
        help="say only whether a host takes new calls; exit with 0 if one does, else with 1",
    )  # fmt: skip
    _add_state(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _add_calls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="show this call: its id, or how that begins"
    )
    _add_state(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return days
