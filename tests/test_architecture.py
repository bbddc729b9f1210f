"""The shape of the package: what may import what, how long a file may be, what no file does."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ORDER = (
    "errors",
    "runtime",
    "chemistry",
    "structures",
    "conditions",
    "text",
    "io",
    "data",
    "metrics",
    "energies",
    "tasks",
    "tokenization",
    "models",
    "corpus",
    "grammar",
    "inference",
    "generation",
    "training",
    "evaluate",
    "predict",
    "benchmark",
    "instruct",
    "study",
    "discover",
    "lm",
    "cli",
    "__main__",
)
"""Files and folders of the package; each may import those before it, and no other."""

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"

MAX_LINES = 450

PACKAGE = Path(__file__).parents[1] / "crystext"
FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
each_module = pytest.mark.parametrize("module", sorted(MODULES))


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of all that a module imports, anywhere in it.

    A name taken from a package is given as a module where it is one.
    """
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else node.module


def unit(module: str) -> str:
    """Return the file or folder directly below the package that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


def order_in_words() -> str:
    """Return the order as CONTRIBUTING.md shows it."""
    text = textwrap.fill(" < ".join(ORDER[:-1]), 100, break_on_hyphens=False)
    return f"```\n{text}\n```"


def test_contributing_shows_the_order_of_the_rooms() -> None:
    """`python -m tests.test_architecture` writes it."""
    assert order_in_words() in CONTRIBUTING.read_text(encoding="utf-8")


def is_own(name: str) -> bool:
    return name.split(".")[0] == PACKAGE.name


@each_module
def test_imports_point_backwards(module: str) -> None:
    if module == "crystext":
        pytest.skip("hands out names of all modules, on request")
    assert unit(module) in ORDER, f"{unit(module)} has no place in ORDER yet"
    for line, name in imports(module):
        if not is_own(name) or unit(name) in ("", unit(module)):
            continue
        assert ORDER.index(unit(name)) < ORDER.index(unit(module)), f"{module}:{line}: {name}"


@each_module
def test_a_module_takes_names_from_where_they_are_defined(module: str) -> None:
    """All but the version, which the package itself defines."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ImportFrom) and node.module == "crystext":
            for alias in node.names:
                known = alias.name == "__version__" or f"crystext.{alias.name}" in MODULES
                assert known, f"{module}:{node.lineno}: {alias.name} from crystext"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        module: {name for _, name in imports(module) if name in MODULES and name != module}
        for module in MODULES
        if module != "crystext"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@each_module
def test_the_package_imports_no_evaluation_and_no_tests(module: str) -> None:
    outside = {"evaluation", "tests", "examples", "recipes", "prompts"}
    assert [name for _, name in imports(module) if name.split(".")[0] in outside] == []


@cache
def requirements() -> tuple[set[str], Mapping[str, list[str]]]:
    """Return the distributions that the project requires, and the installed ones by module."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    # What an extra brings is imported only where its absence has an answer of its own.
    extras = project["optional-dependencies"]
    lines = [
        *project["dependencies"],
        *(x for name in extras if name != "test" for x in extras[name]),
    ]
    required = {_normal(re.split(r"[<>=~! \[;]", line)[0]) for line in lines}
    return required, packages_distributions()


@each_module
def test_the_package_imports_only_what_it_requires(module: str) -> None:
    required, owners = requirements()
    for line, name in imports(module):
        top = name.split(".")[0]
        if is_own(name) or top in sys.stdlib_module_names:
            continue
        found = {_normal(owner) for owner in owners.get(top, [top])}
        # pymatgen's code is installed by a distribution of another name, which pymatgen requires.
        found |= {"pymatgen"} if top == "pymatgen" else set()
        assert found & required, f"{module}:{line}: {top} is not among the dependencies"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


MAX_FUNCTION_LINES = 60

LONG_FUNCTIONS = {
    "crystext.cli.benchmark.benchmark": "options of a command",
    "crystext.cli.data.prepare": "options of a command",
    "crystext.cli.decode.decode": "options of a command",
    "crystext.cli.discover.discover": "options of a command",
    "crystext.cli.evaluate.evaluate": "options of a command",
    "crystext.cli.export.export": "options of a command",
    "crystext.cli.hull.hull": "options of a command",
    "crystext.cli.infill.infill": "options of a command",
    "crystext.cli.instruct.build": "options of a command",
    "crystext.cli.predict.predict": "options of a command",
    "crystext.cli.relax.relax": "options of a command",
    "crystext.cli.sample.sample": "options of a command",
    "crystext.io.calculations.export.export_candidates": "each option in the signature and the "
    "docstring, for `help`",
    "crystext.models.load.save_model": "each part of a model folder in signature and docstring",
    "crystext.lm.infill": "each option in the signature and the docstring, for `help`",
    "crystext.lm.sample": "each option in the signature and the docstring, for `help`",
}
"""Functions with more lines, and why: many options. What they do is in few lines all the same."""


def functions(module: str) -> Iterator[tuple[str, int, int]]:
    """Yield for each function its name, all its lines, and those after the docstring."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            first = node.body[0]
            before = first.end_lineno if ast.get_docstring(node) else first.lineno - 1
            assert before is not None
            yield (
                f"{module}.{node.name}",
                node.end_lineno - node.lineno + 1,
                node.end_lineno - before,
            )


@each_module
def test_a_function_is_short_enough_to_read(module: str) -> None:
    for name, lines, body in functions(module):
        shown = body if name in LONG_FUNCTIONS else lines
        assert shown <= MAX_FUNCTION_LINES, f"{name} has {shown} lines; name its parts"


def test_every_function_that_may_be_long_is_long() -> None:
    lines = {name: n for module in MODULES for name, n, _ in functions(module)}
    assert [name for name in LONG_FUNCTIONS if lines.get(name, 0) <= MAX_FUNCTION_LINES] == []


@each_module
def test_every_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(MODULES[module])


@each_module
def test_files_are_data_and_never_run(module: str) -> None:
    assert list(dangers(MODULES[module])) == []


UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_METHODS = {
    ("torch", "load"),
    ("torch", "save"),
    ("yaml", "load"),
    ("yaml", "load_all"),
    ("yaml", "unsafe_load"),
    ("pd", "read_pickle"),
    ("pandas", "read_pickle"),
    ("os", "system"),
}
UNSAFE_ARGUMENTS = {"trust_remote_code", "allow_pickle", "shell"}


def dangers(tree: ast.AST) -> Iterator[str]:
    """Yield what in a syntax tree could run code that came as data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if UNSAFE_MODULES & {name.split(".")[0] for name in names}:
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call):
            called = node.func
            plain = isinstance(called, ast.Name) and called.id in UNSAFE_CALLS
            method = (
                isinstance(called, ast.Attribute)
                and isinstance(called.value, ast.Name)
                and (called.value.id, called.attr) in UNSAFE_METHODS
            )
            argument = any(
                keyword.arg in UNSAFE_ARGUMENTS
                and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
                for keyword in node.keywords
            )
            if plain or method or argument:
                yield f"line {node.lineno}: {ast.unparse(node)}"


# What is searched for has to be shown to be found.
@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy, joblib.numpy_pickle",
        "eval(text)",  # a text that is parsed, never run
        "exec(text)",  # a text that is parsed, never run
        "torch.load(path)",  # a text that is parsed, never run
        "torch.load(path, weights_only=True)",
        "yaml.load(text, Loader=x)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",  # parsed, never run
        "AutoModel.from_pretrained(path, trust_remote_code=trusted)",
    ],
)
def test_code_that_could_run_data_is_found(code: str) -> None:
    assert len(list(dangers(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code", ["model.eval()", "re.compile(x)", "yaml.safe_load(x)", "load(x, allow_pickle=False)"]
)
def test_harmless_code_is_let_pass(code: str) -> None:
    assert list(dangers(ast.parse(code))) == []


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


if __name__ == "__main__":
    text = CONTRIBUTING.read_text(encoding="utf-8")
    CONTRIBUTING.write_text(
        re.sub(r"```\nerrors <.*?\n```", order_in_words(), text, flags=re.DOTALL), encoding="utf-8"
    )
