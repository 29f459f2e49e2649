"""`runner init`: a folder that is valid from the beginning, and nobody's file overwritten."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.cli import main

ROOT = Path(__file__).parent.parent.parent
TEMPLATES = sorted(file.stem for file in (ROOT / "agents").glob("*.yaml"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_begins_a_valid_folder(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent and all that it includes are there, and `validate` finds nothing to mend."""
    assert main(["init", str(tmp_path), "--template", template]) == 0
    assert f"wrote  agents/{template}.yaml" in capsys.readouterr().out
    assert main(["validate", str(tmp_path / "agents")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last in ("1 agent file: nothing to say", "1 agent file: 1 note")


def test_the_editor_and_the_hook_find_what_they_need(tmp_path: Path) -> None:
    """The schema that the settings name is there, and the hook's file is valid YAML."""
    main(["init", str(tmp_path)])
    settings = json.loads((tmp_path / ".vscode/settings.json").read_text())
    (schema,) = settings["yaml.schemas"]
    assert json.loads((tmp_path / schema).read_text())["type"] == "object"
    hooks = yaml.safe_load((tmp_path / ".pre-commit-config.yaml").read_text())
    assert hooks["repos"][0]["hooks"][0]["entry"] == "runner validate agents"
    assert ".env" in (tmp_path / ".gitignore").read_text().splitlines()


def test_the_editor_marks_nothing_that_validate_takes(tmp_path: Path) -> None:
    """The settings give every file that is read its schema, which allows a prompt to be shared."""
    main(["init", str(tmp_path)])
    shared = {"_defaults.yaml": "prompt: You answer the phone.\n", "desk.yml": "voice: sage\n"}
    for name, text in shared.items():
        (tmp_path / "agents" / name).write_text(text)
    assert main(["validate", str(tmp_path / "agents")]) == 0
    settings = json.loads((tmp_path / ".vscode/settings.json").read_text())
    ((schema, patterns),) = settings["yaml.schemas"].items()
    validator = Draft202012Validator(json.loads((tmp_path / schema).read_text()))
    for file in (tmp_path / "agents").iterdir():
        assert any(file.relative_to(tmp_path).match(pattern) for pattern in patterns), file
        validator.validate(yaml.safe_load(file.read_text()))


def test_what_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file is overwritten, whichever it is, and the command says so of each."""
    main(["init", str(tmp_path), "--template", "parcel-line"])
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 8
    for path in written:
        path.write_text("mine")
    capsys.readouterr()
    assert main(["init", str(tmp_path), "--template", "parcel-line"]) == 0
    *files, _, _ = capsys.readouterr().out.splitlines()
    lack = {".gitignore": "; add .env to it, or keys may get into git"}
    names = [str(path.relative_to(tmp_path)) for path in written]
    assert sorted(files) == sorted(f"kept   {name}{lack.get(name, '')}" for name in names)
    assert {path.read_text() for path in written} == {"mine"}


@pytest.mark.parametrize(
    ("folder", "line"),
    [(".", "Next: runner serve agents/"), ("a b", "Next: cd 'a b' && runner serve agents/")],
)
def test_the_next_command_is_told(
    folder: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It can be typed as it stands; tests/host/test_studio_start.py does."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", folder]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_keys_have_a_place_that_stays_out_of_git(tmp_path: Path) -> None:
    """The example names what is read from `.env`, and none of it has a value."""
    main(["init", str(tmp_path)])
    lines = (tmp_path / ".env.example").read_text().splitlines()
    keys = [line.removeprefix("# ") for line in lines if line.endswith("=")]
    assert keys == ["OPENAI_API_KEY=", "LIVEKIT_API_KEY=", "LIVEKIT_API_SECRET="]
    assert (tmp_path / ".gitignore").read_text() == ".env\n"


@pytest.mark.parametrize(
    ("text", "names_it"),
    [
        (".env\n", True), ("*.pyc\n/.env  \n", True), ("**/.env", True), (".env*", True),
        ("", False), ("# .env", False), (".envrc\n.venv\n", False), ("!.env", False),
        ("config/.env", False), (".env/\n", False),
    ],
)  # fmt: skip
def test_a_gitignore_without_env_is_kept_with_a_warning(
    text: str, names_it: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not changed; whoever has one is told what it lacks."""
    (tmp_path / ".gitignore").write_text(text)
    assert main(["init", str(tmp_path)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if ".gitignore" in line]
    assert line.startswith("kept   .gitignore")
    assert ("add .env to it" in line) is not names_it
    assert (tmp_path / ".gitignore").read_text() == text


def test_the_templates_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name, `--template` says what there is."""
    assert main(["init", "--template"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == TEMPLATES


def test_an_unknown_template_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names those that there are, and nothing is written."""
    assert main(["init", str(tmp_path), "--template", "frontdesk"]) == 3
    assert f"there are {', '.join(TEMPLATES)}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be ends in a sentence."""
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file")]) == 3
    assert "choose another folder" in capsys.readouterr().err
