"""The house rules of ARCHITECTURE.md, held against the tree: where packages begin, which way imports point."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "storage": set[str](),
    "tenants": set[str](),
    "platform": {"storage", "tenants"},
    "console": {"tenants", "platform.wire"},
    "migrations": {"tenants", "platform.cluster"},
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported_names(path: Path) -> Iterator[tuple[int, str]]:
    """Dotted names below `coldstream` that a module imports, relative imports resolved."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - (node.level - 1)]
                prefix = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            elif (node.module or "").split(".")[0] == "coldstream":
                prefix = ".".join((node.module or "").split(".")[1:])
            else:
                continue
            for alias in node.names:
                yield node.lineno, f"{prefix}.{alias.name}".strip(".")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "coldstream":
                    yield node.lineno, alias.name.removeprefix("coldstream").strip(".")


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_the_design_lets_it(folder: str) -> None:
    allowed = MAY_IMPORT[folder] | {folder}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(folder)
        for line, name in imported_names(path)
        if name.split(".")[0] in MAY_IMPORT and not any(name == ok or name.startswith(f"{ok}.") for ok in allowed)
    ]
    assert wrong == []


def test_platform_has_no_init_so_that_the_standard_library_is_not_shadowed() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_every_other_package_folder_has_an_init() -> None:
    folders = {path.parent for top in [*MAY_IMPORT, "tests"] for path in modules(top)}
    missing = [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()]
    assert missing in ([], ["platform"])


def test_the_wheel_lists_every_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {"coldstream"} | {
        ".".join(("coldstream", *path.parent.relative_to(ROOT).parts)) for top in MAY_IMPORT for path in modules(top)
    }
    assert set(setuptools["packages"]) == found | set(setuptools["package-data"])
