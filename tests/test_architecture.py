"""The architecture, checked: import direction, sizes, quiet imports, and how much one must read."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pictokg"
FILES = sorted(PACKAGE.rglob("*.py"))
# A package may import from itself and from those before it; the entries of a set may not import from each other.
ORDER = [
    {"errors"},
    {"files", "memory"},
    {"graph", "kernels"},
    {"features"},
    {"datasets"},
    {"scoring"},
    {"regularisers", "fusion"},
    {"models"},
    {"evaluation"},
    {"audit"},
    {"losses", "sampling"},
    {"training"},
    {"prediction"},
    {"report"},
    {"serving"},
]
SEE_EVERYTHING = {"assembly", "catalogue", "config", "run", "cli"}


def rank_of(part: str) -> int:
    return next((rank for rank, parts in enumerate(ORDER) if part in parts), len(ORDER))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """Parts of the library that a file imports; imports for types only do not bind parts together."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pictokg"):
            names = [node.module] if "." in (node.module or "") else [f"pictokg.{alias.name}" for alias in node.names]
            found |= {name.split(".")[1] for name in names if name}
    return found


def test_every_part_has_a_place_in_the_order():
    placed = set().union(*ORDER) | SEE_EVERYTHING | {"__init__"}
    assert {part_of(path) for path in FILES} == placed


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_backwards_only(path):
    own = part_of(path)
    if own in SEE_EVERYTHING | {"__init__"}:
        return
    for part in imported_parts(path) - {own, "__version__"}:
        assert part not in SEE_EVERYTHING, f"{own} must not know {part}"
        assert rank_of(part) < rank_of(own), f"{own} must not import {part}"


def test_files_and_functions_are_small():
    """Files under 400 lines; functions under 40 code lines for 95 % of them, 60 at most; six parameters."""
    lengths = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") < 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lengths.append((code_lines(node), f"{path.name}:{node.name}"))
                check_parameters(node, path)
    lengths.sort()
    assert lengths[-1][0] <= 60, lengths[-3:]
    assert lengths[int(0.95 * len(lengths))][0] <= 40


def code_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - function.lineno + 1 - docstring_lines(function) if body else 0


def docstring_lines(function: ast.FunctionDef) -> int:
    first = function.body[0]
    return first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None else 0


def check_parameters(function: ast.FunctionDef, path: Path) -> None:
    """At most six, `self` aside; the verbs of the command line and the builders of models declare options instead."""
    if part_of(path) in {"cli", "models"}:
        return
    count = len(function.args.args + function.args.kwonlyargs) - (
        function.args.args[:1] != [] and function.args.args[0].arg in {"self", "cls"}
    )
    assert count <= 6, f"{path.name}:{function.name} has {count} parameters"


def test_importing_is_quiet_and_light():
    """`import pictokg` prints nothing, sets nothing and loads neither torch nor polars."""
    program = (
        "import sys, os, random; before = dict(os.environ); import pictokg, pictokg.cli.app;"
        "heavy = {'torch', 'polars', 'sklearn', 'matplotlib', 'PIL', 'numba', 'scipy', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy; assert before == dict(os.environ)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_public_names_are_few_sorted_and_there():
    import pictokg

    assert pictokg.__all__ == sorted(pictokg.__all__)
    assert all(callable(getattr(pictokg, name)) for name in pictokg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pictokg.nothing  # noqa: B018 - the access is the test


READING_PATH = """
import runpy, sys
from pathlib import Path
root = sys.argv[1]
files, deepest = set(), 0

def trace(frame, event, argument):
    global deepest
    ours = frame.f_code.co_filename.startswith(root) and frame.f_code.co_name != "<module>"
    if event == "call" and ours and frame.f_code.co_flags & 0x1:  # functions; a class body only declares
        files.add(frame.f_code.co_filename)
        depth, caller = 0, frame
        while caller:
            depth += caller.f_code.co_filename.startswith(root)
            caller = caller.f_back
        deepest = max(deepest, depth)

main = runpy.run_path(sys.argv[2])["main"]
sys.setprofile(trace)
main(sys.argv[3], "e1", "r0")
sys.setprofile(None)
lines = {name: len(Path(name).read_text().splitlines()) for name in sorted(files)}
print(len(files), sum(lines.values()), deepest)
for name, count in lines.items():
    print(name, count)
"""


def test_reading_path_of_training_distmult_and_getting_one_answer(tmp_path):
    """Files with a function of ours that runs, all their lines, and how deep calls nest: 20, 2,000 and 12 at most."""
    rows = [f"e{n}\tr{n % 2}\te{(n * 7 + 1) % 20}" for n in range(20)]
    (tmp_path / "triples.tsv").write_text("\n".join(rows) + "\n")
    example, triples = ROOT / "examples" / "distmult.py", tmp_path / "triples.tsv"
    command = [sys.executable, "-c", READING_PATH, str(PACKAGE), str(example), str(triples)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counted = next(line for line in done.stdout.splitlines() if not line.startswith(("epoch", "e1")))
    files, lines, depth = map(int, counted.split())
    assert (files <= 20, lines < 2000, depth <= 12) == (True, True, True), done.stdout
