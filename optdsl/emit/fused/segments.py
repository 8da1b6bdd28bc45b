"""The fused target for steps with products or procedures in them: kernels of the segments, and what runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optdsl.emit.native import emit_native
from optdsl.emit.python.expressions import TensorPrinter
from optdsl.emit.templates import template, tuple_text
from optdsl.emit.triton import emit_kernel
from optdsl.ir.nodes import Call, Expr, Hyper, Op, Param, Program, StateValue, children, walk
from optdsl.ir.passes.segments import Made, Piece, Segment, segment_modules
from optdsl.ir.printer import expr_text

BACKENDS = {"triton": emit_kernel, "native": emit_native}


def emit_segments(program: Program, module: str, pieces: Sequence[Piece]) -> dict[str, str]:
    """The modules of the fused step of ``program``, whose class is in ``module``, by path: for each back end one with
    ``fused_step(buckets, grad_scale, found_inf)``, and one for each of the ``pieces`` that is a kernel."""
    files: dict[str, str] = {}
    programs = [piece.program for piece in pieces if isinstance(piece, Segment)]
    for backend, emit in BACKENDS.items():
        files[f"_{module}_{backend}.py"] = _runner(program, module, pieces, backend)
        for name, segment in zip(segment_modules(program, module), programs, strict=True):
            files[f"_{name}_{backend}.py"] = emit(segment)
    return files


def _runner(program: Program, module: str, pieces: Sequence[Piece], backend: str) -> str:
    """The module that runs ``pieces`` in turn."""
    kernels = [f"_{name}_{backend}" for name in segment_modules(program, module)]
    made = [piece for piece in pieces if isinstance(piece, Made)]
    texts = {piece.name: _text(piece.value) for piece in made}
    return template("fused/segments.py.jinja").render(
        name=program.name,
        module=module,
        functions=sorted({f"_{n.function}" for piece in made for n in walk(piece.value) if isinstance(n, Call)}),
        support=[s for s in ("foreach", "matrices", "scalars") if any(f"{s}." in text for text in texts.values())],
        made=[(piece.name, texts[piece.name]) for piece in made],
        kernels=kernels,
        pieces=list(_pieces(pieces, kernels)),
        outline=list(_outline(pieces)),
        states=tuple(s.key for s in program.states),
        scalar_states=tuple(s.key for s in program.scalar_states),
        facts=program.facts,
    )


def _pieces(pieces: Sequence[Piece], kernels: Sequence[str]) -> Iterator[str]:
    """Each piece as Python. ``kernels`` are the modules of the segments."""
    waiting = list(kernels)
    for piece in pieces:
        if isinstance(piece, Made):
            yield f'Made("{piece.name}", _{piece.name})'
            continue
        kernel = waiting.pop(0)
        states = tuple(s.key for s in piece.program.states)
        scalars = piece.program.counts_steps or piece.program.scalar_states
        arguments = [
            f"{kernel}.fused_step",
            f"states={tuple_text(states)}",
            *([f"makes={tuple_text(piece.makes)}"] if piece.makes else []),
            *(["reads_grad=True"] if piece.reads_grad else []),
            *(["counts_steps=True"] if piece.program.counts_steps else []),
            *(["advances=True"] if scalars and not waiting else []),
        ]
        yield f"Segment({', '.join(arguments)})"


def _outline(pieces: Sequence[Piece]) -> Iterator[str]:
    """What the pieces write, a line for each."""
    for piece in pieces:
        if isinstance(piece, Made):
            yield f"torch   {piece.name} = {expr_text(piece.value)}"
            continue
        program = piece.program
        new = dict(program.new_states)
        written = [s.key for s in program.states if new[s.key] != StateValue(s.key, s.rate)]
        yield "kernel  " + ", ".join([*(["param"] if program.param != Param() else []), *written])


def _text(x: Expr) -> str:
    """A list of tensors, or a scalar, as Python over ``lists`` and ``hypers``."""
    scalar = TensorPrinter(_name)
    args = [_name(a) if a.type.is_tensor else scalar(a) for a in children(x)]
    match x:
        case Call(function):
            return f"foreach.batched(_{function}, {', '.join(args)})"
        case Op("matmul"):
            return f"foreach.matmul({', '.join(args)})"
        case Op("transpose"):
            return f"[x.mT for x in {args[0]}]"
        case Op("identity"):
            return f'[matrices.identity({args[0]}, param) for param in lists["param"]]'
        case Op(op):
            return f"foreach.batched(matrices.{op}, {', '.join(args)})"
    raise TypeError(f"torch makes no {x!r}")


def _name(x: Expr) -> str:
    match x:
        case StateValue(key):
            return f'lists["{key}"]'
        case Hyper(name):
            return f'hypers["{name}"]'
    raise TypeError(f"no list or hyperparameter: {x!r}")
