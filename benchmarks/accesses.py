"""Whole tensors that one step really reads and writes, counted while it runs, ours beside torch.optim's.

    python benchmarks/accesses.py

Every torch operation of the step is seen; a list of tensors (``_foreach_``) counts as one tensor. Scalar tensors do not
count, nor do indices. What `optdsl show --cost` says of the compiled variants is this number, worked out from the spec
alone; the last column, what a single pass needs, is taken from there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from optdsl.compiler import check_files
from optdsl.emit.python import selected
from optdsl.ir.cost import costs
from optdsl.ir.procedures import FlatProgram

ROOT = Path(__file__).resolve().parent.parent
WRITE_ONLY = frozenset("copy fill zero full_like zeros_like ones_like index_copy _foreach_copy _foreach_zero".split())
"""Operations that do not read the tensor that they write (or take only the shape of)."""


class Accesses(TorchDispatchMode):
    """Counts the tensors of ``size`` elements that operations read and write while it is active."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::").rstrip("_")
        views = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if views or name == "empty_like":
            return result
        written: list[Any] = [result] if func._schema.returns else []
        read: list[Any] = []
        for argument, value in zip(func._schema.arguments, _bound(func, args, kwargs), strict=True):
            writes = argument.alias_info is not None and argument.alias_info.is_write
            if writes and not func._schema.returns:
                written.append(value)
            if not (writes and argument.kwarg_only) and not (name in WRITE_ONLY and argument.name in ("self", "input")):
                read.append(value)
        self.count += sum(len(set(_tensors(values, self.size))) for values in (read, written))
        return result


def _bound(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterable[Any]:
    """The value of every argument of the schema; None where it is left out."""
    for i, argument in enumerate(func._schema.arguments):
        yield args[i] if i < len(args) else kwargs.get(argument.name)


def _tensors(values: Iterable[Any], size: int) -> Iterable[int]:
    """An identity for each whole tensor among ``values``; a list of tensors stands for its first one."""
    for value in values:
        first = value[0] if isinstance(value, list | tuple) and value else value
        if (
            isinstance(first, Tensor)
            and first.numel() == size
            and not first.is_sparse
            and first.dtype is not torch.int64
        ):
            yield first.data_ptr()


def count(
    optimizer_class: Callable[..., torch.optim.Optimizer],
    arguments: Mapping[str, Any],
    sparse: bool = False,
    dim: int | None = None,
) -> int:
    """Accesses of the dearest of ten steps over one parameter; the first, which creates the state, does not count.

    ``sparse``: the gradient is, and stores every entry. ``dim``: how many dimensions the parameter has.
    """
    shape = (8,) * (dim or 1)
    param = torch.nn.Parameter(torch.ones(shape))
    optimizer = optimizer_class([param], **arguments)
    counts = []
    for _ in range(10):
        param.grad = torch.ones(shape).to_sparse() if sparse else torch.ones(shape)
        with Accesses(param.numel()) as accesses:
            optimizer.step()
        counts.append(accesses.count)
    return max(counts[1:])


def main() -> None:
    import generated

    print("| Optimizer | Arguments | torch for-loop | for-loop | torch foreach | foreach | fused |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for unit in check_files(sorted((ROOT / "specs").glob("*.opt"))).units:
        name = unit.program.name
        if isinstance(unit.program, FlatProgram) or unit.program.procedures or unit.program.stored_only:
            continue
        for configuration in costs(unit.program, selected(unit.program)):
            counts = [
                count(getattr(module, name), {**configuration.settings, "foreach": foreach}, dim=configuration.dim)
                for foreach in (False, True)
                for module in (torch.optim, generated)
            ]
            shown = ", ".join(f"{key}={value}" for key, value in configuration.settings.items())
            print(f"| {name} | {shown} | {' | '.join(map(str, (*counts, configuration.accesses['minimum'])))} |")


if __name__ == "__main__":
    main()
