"""Write docs/reference/settings.md from the declaration of the settings; with --check, say whether it is as it must be."""

from __future__ import annotations

import sys
from pathlib import Path

from lasthop.settings import NAMES, default_of, kind_of, option_of, says_of, variable_of

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/settings.md"

HEAD = """\
<!-- Written by tools/settings_page.py from src/lasthop/settings.py: change that, then run `make format`. -->

# Settings

A setting has one name and can be given in four places. The first of these that has it wins:

1. an option of `lasthop serve`: `--graceful-timeout 10s`
2. an environment variable: `LASTHOP_GRACEFUL_TIMEOUT=10s`
3. the settings file: `graceful_timeout = "10s"` (or `graceful-timeout`)
4. the default

The settings file is `lasthop.toml` in the working directory, table `[server]`; without it `pyproject.toml`, table
`[tool.lasthop]`; or the one that `--config PATH` or `LASTHOP_CONFIG` names. A name that is no setting is refused, in the file and
in the environment alike (what Kubernetes sets for a service called lasthop is passed over).

`lasthop serve --check-config` checks all settings without importing the application; `lasthop serve --print-config` prints them
as a settings file, with the origin of each. On HUP the file is read again.

**Durations** are seconds (`30`, `1.5`) or have units: `1500ms`, `30s`, `2m`, `1h30m`, `1d`. **Sizes** are bytes (`8190`) or have a unit:
`8k` = `8KiB` = 8192, `64KiB`, `1MiB`, `1GiB`. **Lists** (`bind`, `allow_peer`, `trust_proxy`, `pythonpath`): give the option several times; in a variable
separate by commas or blanks; in the file write a list. An **empty** variable turns off what the file has turned on, where a setting can be
without a value.
"""


def main() -> int:
    """Write the page, or compare it."""
    page = text()
    if "--check" not in sys.argv[1:]:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    print(f"{PAGE.name} is not what the settings say.\nhint: make format", file=sys.stderr)
    return 1


def text() -> str:
    """The whole page."""
    groups: dict[str, list[str]] = {}
    for name in NAMES:
        groups.setdefault(says_of(name).group, []).append(name)
    parts = [HEAD, _overview(groups)]
    for group, names in groups.items():
        parts.append(f"## {group}\n")
        parts += [_setting(name) for name in names]
    return "\n".join(parts)


def _overview(groups: dict[str, list[str]]) -> str:
    rows = ["| | |", "|---|---|"]
    rows += [
        f"| {group} | {', '.join(f'[{name}](#{name})' for name in names)} |"
        for group, names in groups.items()
    ]
    return "\n".join(rows) + "\n"


def _setting(name: str) -> str:
    kind, says, default = kind_of(name), says_of(name), default_of(name)
    options = [
        *([f"-{says.letter}"] if says.letter else []),
        option_of(name),
        *([f"--{says.alias}"] if says.alias else []),
    ]
    if kind.switch:
        options.append(f"--no-{option_of(name)[2:]}")
    value = f" {kind.metavar}" if kind.metavar else ""
    shown = f"`{kind.show(default)}`" if default not in (None, (), "") else "not set"
    lines = [
        f"### {name}",
        "",
        f"{_code(says.short)}.",
        *([says.more] if says.more else []),
        "",
        f"Default {shown} · {', '.join(f'`{option}{value}`' for option in options)} · `{variable_of(name)}`",
        "",
    ]
    return "\n".join(lines)


def _code(sentence: str) -> str:
    """The first sentence stands in --help as well, without marks; what Markdown would read as markup is marked here."""
    return (
        sentence
        if "`" in sentence
        else " ".join(f"`{word}`" if "%(" in word else word for word in sentence.split(" "))
    )


if __name__ == "__main__":
    sys.exit(main())
