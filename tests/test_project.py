"""What holds for the project as a whole: who may import whom, and that no list lacks what it should have."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import lasthop

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src/lasthop"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "kinds": {"errors", "link"},
    "settings": {"errors", "kinds"},
    "foreign": set(),
    "sources": {"foreign", "errors", "kinds", "settings"},
    "link": {"errors"},
    "http1": {"errors"},
    "engine": {"errors", "http1", "link"},
    "server": {"errors", "engine", "link", "settings", "http1", "lasthop"},
    "fronts": {"errors", "link"},
    "compare": {"errors", "engine", "link", "fronts", "lasthop"},
    "trace": {"errors", "link", "fronts", "compare", "lasthop"},
    "status": {"errors", "link"},
    "cli": {
        "errors",
        "foreign",
        "kinds",
        "link",
        "settings",
        "sources",
        "server",
        "fronts",
        "compare",
        "trace",
        "status",
        "lasthop",
    },
    "demo": {"errors"},
    "__main__": {"cli"},
    "lasthop": set(),
}
"""For each part of the package, the parts that it may import. `link` and `http1` know nothing of each other, nor of the engine."""

MOST_LINES = 500


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "build" not in path.relative_to(SOURCE).parts)


def part_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return "lasthop" if parts == ("__init__",) else parts[0]


def imported_parts(path: Path) -> set[str]:
    """The parts of lasthop that a module imports, also those by `cython.cimports`; imports for annotations alone do not count."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    for_types_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = (node.module or "").removeprefix("cython.cimports.")
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "lasthop" else {module}
    found = {
        name.split(".")[1] if "." in name else "lasthop"
        for name in names
        if name.partition(".")[0] == "lasthop"
    }
    return {
        part if (SOURCE / part).exists() or (SOURCE / f"{part}.py").exists() else "lasthop" for part in found
    }


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    part = part_of(path)
    assert imported_parts(path) - {part} <= LAYERS[part]


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in modules()} == set(LAYERS)


def test_every_package_is_marked_as_one() -> None:
    assert [] == [str(path.parent) for path in modules() if not (path.parent / "__init__.py").exists()]


def compiled_sources() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in modules() if path.read_text().startswith("# cython:")}


def module_name(source: str) -> str:
    return source.removeprefix("src/").removesuffix(".py").replace("/", ".")


def test_files_with_a_directive_line_are_the_ext_modules() -> None:
    declared = PROJECT["tool"]["setuptools"]["ext-modules"]
    assert compiled_sources() == {source for module in declared for source in module["sources"]}
    assert [module_name(module["sources"][0]) for module in declared] == [
        module["name"] for module in declared
    ]


def test_all_ext_modules_are_compiled_alike() -> None:
    flags = {tuple(module["extra-compile-args"]) for module in PROJECT["tool"]["setuptools"]["ext-modules"]}
    assert 1 == len(flags)


def test_mypy_passes_over_the_compiled_modules_and_no_others() -> None:
    passed_over = [
        each["module"] for each in PROJECT["tool"]["mypy"]["overrides"] if each.get("ignore_errors")
    ]
    assert [{module_name(source) for source in compiled_sources()}] == [set(names) for names in passed_over]


def test_a_compiled_module_is_imported_compiled() -> None:
    names = sorted(module_name(source) for source in compiled_sources())
    files = [importlib.import_module(name).__file__ for name in names]
    assert [] == [file for file in files if not str(file).endswith(".so")]


def test_no_module_is_longer_than_it_may_be_without_a_reason_at_its_head() -> None:
    too_long = []
    for path in modules():
        lines = path.read_text().splitlines()
        # A longer one says at its head why: "This module is long because ...".
        if len(lines) > MOST_LINES and "long because" not in "\n".join(lines[:40]):
            too_long.append(f"{path.relative_to(SOURCE)}: {len(lines)}")
    assert [] == too_long


def test_the_median_module_is_short() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for path in modules())
    assert lengths[len(lengths) // 2] < 200


def test_every_module_says_what_it_is() -> None:
    assert [] == [
        str(path)
        for path in modules()
        if not ast.get_docstring(ast.parse(path.read_text())) and path.read_text()
    ]


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"util", "utils", "helpers", "common", "manager", "base", "misc"}
    assert set() == {path.stem for path in modules()} & empty


def test_what_a_package_exports_is_there_and_named_once() -> None:
    for found in pkgutil.walk_packages(lasthop.__path__, "lasthop."):
        if found.ispkg:
            package = importlib.import_module(found.name)
            exported = getattr(package, "__all__", [])
            assert sorted(set(exported)) == sorted(exported), found.name
            assert [] == [name for name in exported if not hasattr(package, name)], found.name


def test_the_version_is_the_same_in_both_places() -> None:
    assert PROJECT["project"]["version"] == lasthop.__version__


def test_the_makefile_has_at_most_ten_verbs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert 10 >= len(phony[1].split())


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert [] == broken


def test_extras_that_are_named_are_there() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *modules()]
    named = {
        extra
        for page in pages
        for extras in re.findall(r"pip install '(?:lasthop|\.)\[([a-z,]+)\]'", page.read_text())
        for extra in extras.split(",")
    }
    raised = {
        extra
        for path in modules()
        for extra in re.findall(
            r'(?:MissingExtra|see_installed)\("[^"]+", (?:"[^"]+", )?"([a-z]+)"', path.read_text()
        )
    }
    assert {"compare", "trace", "front", "reload", "uvloop", "websocket"} == raised
    assert set() == (named | raised) - set(PROJECT["project"]["optional-dependencies"])


def test_what_an_extra_brings_is_nowhere_installed_by_another_name() -> None:
    brought = {
        re.split(r"[^\w-]", each)[0]
        for extra in PROJECT["project"]["optional-dependencies"].values()
        for each in extra
    }
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *modules()]
    assert [] == [
        f"{page.relative_to(ROOT)}: {package}"
        for page in pages
        for package in re.findall(r"pip install ([\w-]+)", page.read_text())
        if package in brought
    ]
