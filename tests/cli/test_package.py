"""Writing a package: all or nothing, only over files that optdsl wrote."""

from pathlib import Path

import pytest

from optdsl.cli.package import Package
from optdsl.compiler import MARK

FILES = {
    "__init__.py": f"{MARK}1\n\nfrom .adam import Adam\nfrom .sgd import SGD\n",
    "adam.py": f"{MARK}1\nclass Adam: ...\n",
    "sgd.py": f"{MARK}1\nclass SGD: ...\n",
    "_support/__init__.py": f"{MARK}1\n",
}


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_writes_a_new_package_and_reads_it_back(tmp_path: Path) -> None:
    package = Package.read(tmp_path / "a" / "b")
    assert package.changed(FILES) == FILES
    assert package.write(FILES) == ()
    assert tree(tmp_path / "a" / "b") == FILES
    again = Package.read(tmp_path / "a" / "b")
    assert again.optimizers == {"Adam": "adam", "SGD": "sgd"}
    assert again.changed(FILES) == {}
    assert again.diff({}) == ""


def test_an_optimizer_whose_module_is_gone_is_forgotten(tmp_path: Path) -> None:
    Package.read(tmp_path).write(FILES)
    (tmp_path / "sgd.py").unlink()
    assert Package.read(tmp_path).optimizers == {"Adam": "adam"}


def test_diff_of_changed_and_of_new_files(tmp_path: Path) -> None:
    package = Package(tmp_path, {})
    package.write({"adam.py": "a\nb\n"})
    assert package.diff({"adam.py": "a\nc\n", "sgd.py": "d\n"}) == (
        f"--- {tmp_path}/adam.py\n+++ {tmp_path}/adam.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        f"--- /dev/null\n+++ {tmp_path}/sgd.py\n@@ -0,0 +1 @@\n+d\n"
    )


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    package = Package(tmp_path, {})
    package.write(FILES)
    before = (tmp_path / "adam.py").stat().st_mtime_ns
    package.write(package.changed({**FILES, "sgd.py": f"{MARK}2\n"}))
    assert (tmp_path / "adam.py").stat().st_mtime_ns == before
    assert (tmp_path / "sgd.py").read_text() == f"{MARK}2\n"


@pytest.mark.parametrize("blocked", ["_support", "sgd.py", "adam.py"])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, blocked: str) -> None:
    """A folder stands where a file must go, or a file where a folder must go: the others are not written either."""
    package = Package(tmp_path, {})
    package.write({"__init__.py": f"{MARK}0\n"})
    if blocked == "_support":
        (tmp_path / blocked).write_text("a file")
    else:
        (tmp_path / blocked).mkdir()
        (tmp_path / blocked / "inside").write_text("x")
    before = tree(tmp_path)
    (diagnostic,) = package.write(FILES)
    assert diagnostic.code == "E806"
    assert blocked in diagnostic.span.source.name
    assert tree(tmp_path) == before


def test_the_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    Package(tmp_path, {}).write({"a.py": "x"})
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "a.py").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_package_of_someone_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("import mine\n")
    (diagnostic,) = Package.read(tmp_path).diagnostics
    assert diagnostic.code == "E805"
    assert diagnostic.message.endswith("was not written by optdsl")


def test_a_file_of_someone_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adam.py").write_text("mine = True\n")
    package = Package.read(tmp_path)
    assert package.diagnostics == ()
    assert [d.span.source.name for d in package.conflicts(FILES)] == [str(tmp_path / "adam.py")]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (diagnostic,) = Package.read(tmp_path / "file").diagnostics
    assert diagnostic.message.endswith("is not a folder")
