"""Which sources a kernel's machine code is kept for, and the dispatch over many bodies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.expressions import functions
from state import jit

LISTS_ITS_FOLDER = 'from state.listing import modules_in\nALL = modules_in("rules.things")\n'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A product of its own: `rules.user` imports `rules.things`, a package that lists its folder."""
    things = tmp_path / "rules" / "things"
    things.mkdir(parents=True)
    (things / "__init__.py").write_text(LISTS_ITS_FOLDER)
    (things / "one.py").write_text("from rules.base import X\n")
    (tmp_path / "rules" / "base.py").write_text("X = 1\n")
    (tmp_path / "rules" / "user.py").write_text("from rules.things import ALL\n")
    monkeypatch.setattr(jit, "ROOT", tmp_path)
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def forget() -> None:
    """Each process reads a source once: begin like a new one."""
    jit._source.cache_clear()
    jit.cache_folder.cache_clear()


def folder_now() -> Path:
    forget()
    return jit.cache_folder("rules.user")


def test_a_package_that_lists_its_folder_counts_with_every_file_and_what_these_import(tree: Path) -> None:
    assert jit.sources_of("rules.user") == {
        "rules.user",
        "rules.things",
        "rules.things.one",
        "rules.base",
        "state.listing",
    }


def test_a_package_that_does_not_list_its_folder_counts_alone(tree: Path) -> None:
    (tree / "rules" / "things" / "__init__.py").write_text("ALL = ()\n")

    assert jit.sources_of("rules.user") == {"rules.user", "rules.things"}


@pytest.mark.parametrize("path", ["things/one.py", "things/two.py", "base.py"])
def test_a_file_changed_or_added_in_a_listed_folder_changes_the_folder_of_the_kernels(tree: Path, path: str) -> None:
    before = folder_now()

    (tree / "rules" / path).write_text("X = 2\n")

    assert folder_now() != before


def test_a_file_removed_from_a_listed_folder_changes_the_folder_of_the_kernels(tree: Path) -> None:
    before = folder_now()

    (tree / "rules" / "things" / "one.py").unlink()

    assert folder_now() != before


def test_an_import_for_types_alone_is_no_source_of_a_kernel(tree: Path) -> None:
    (tree / "rules" / "things" / "one.py").write_text(
        "from rules.base import X\n\nif TYPE_CHECKING:\n    from rules.user import ALL\n    from rules.far import Y\n"
        "\nfrom rules.near import Z\n"
    )
    for name in ("far", "near"):
        (tree / "rules" / f"{name}.py").write_text("")

    assert jit.sources_of("rules.things.one") == {"rules.things.one", "rules.base", "rules.near"}


def test_the_kernel_of_expressions_consists_of_every_file_of_a_function() -> None:
    folder = Path(functions.__file__).parent
    files = {f"{functions.__name__}.{file.stem}" for file in folder.glob("*.py") if file.stem != "__init__"}

    assert len(files) == len(functions.FUNCTIONS)
    assert files <= jit.sources_of("rules.expressions.kernel")


@jit.part
def _sum(left: int, right: int) -> int:
    return left + right


@jit.part
def _opposite(value: int) -> int:
    return -value


@jit.part
def _product(left: int, right: int) -> int:
    return left * right


chosen = jit.dispatch([(7, _sum), (3, _opposite), (5, _product)])


@pytest.mark.parametrize(("number", "result"), [(7, 11), (3, -5), (5, 30), (99, 30)])
def test_dispatch_runs_the_body_of_a_number_and_the_last_for_any_other(number: int, result: int) -> None:
    assert chosen(number, 5, 6) == result
