"""Prints selected instructions as torch calls: tensor methods for one tensor, ``torch._foreach_*`` for lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from optdsl.emit.python.expressions import HostPrinter, is_tensor_always, reduction
from optdsl.ir.instructions import Branch, Code, Instruction, instructions
from optdsl.ir.nodes import CASTS, MATRIX_OPERATIONS, REDUCTIONS, DType, Expr, Op, Rate

LINE = 110
"""Emitted lines are kept within this many columns where they can be broken."""

_KEYWORDS = {"add": "alpha", "addcmul": "value", "addcdiv": "value"}
_OPERATORS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_OF_ONE_TENSOR = frozenset(("neg", "sqrt", "abs", "sign", "exp", "log", "floor", "reciprocal", "rsqrt"))
_CLAMPS = {"maximum": "min", "minimum": "max"}
_TO_SCALAR = frozenset(op for op, of in REDUCTIONS.items() if of.over in ("all", "parameters"))


def branch_lines(condition: Expr, then: list[str], orelse: list[str], scalar: HostPrinter) -> Iterator[str]:
    """``if condition`` over printed lines; ``if not`` where only the other side has any, ``elif`` for a lone ``if``."""
    if not then:
        condition, then, orelse = negation(condition), orelse, []
    yield f"if {scalar(condition)}:"
    yield from (f"    {line}" for line in then)
    if orelse and orelse[0].startswith("if ") and all(line.startswith((" ", "elif ", "else:")) for line in orelse[1:]):
        yield f"el{orelse[0]}"
        yield from orelse[1:]
    elif orelse:
        yield "else:"
        yield from (f"    {line}" for line in orelse)


def negation(condition: Expr) -> Expr:
    opposite = {"eq": "ne", "ne": "eq"}
    match condition:
        case Op("not", (a,)):
            return a
        case Op(op, args) if op in opposite:
            return Op(opposite[op], args)
        case _:
            return Op("not", (condition,))


class LoopPrinter:
    """One tensor at a time: ``exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)``."""

    def __init__(self, scalar: HostPrinter):
        self.scalar = scalar

    def lines(self, code: Code) -> Iterator[str]:
        chain = ""
        target = ""
        for item in code:
            if isinstance(item, Branch):
                if chain:
                    yield chain
                chain = ""
                yield from branch_lines(
                    item.condition, list(self.lines(item.then)), list(self.lines(item.orelse)), self.scalar
                )
                continue
            call = self.method(item) if item.in_place else None
            follows = chain and target == item.target and target not in item.operands[1:]
            if call is not None and follows and len(chain) + len(call) < LINE:
                if " = -" in chain:
                    chain = chain.replace(" = -", " = ") + ".neg()"
                chain += call
                continue
            if chain:
                yield chain
            chain = self.statement(item)
            target = item.target if call is not None or self.can_extend(item) else ""
        if chain:
            yield chain

    def can_extend(self, i: Instruction) -> bool:
        """Whether the statement ends in a call on the new value, so that in-place calls can follow it."""
        return self.method(i) is not None and not i.out

    def method(self, i: Instruction) -> str | None:
        """``.op(…)`` as it follows the first operand; None for what is not a method call."""
        suffix = "_" if i.in_place else ""
        rest = i.operands[1:]
        match i.op:
            case "copy":
                return f".copy_({rest[0]})"
            case "clamp":
                return f".clamp{suffix}({', '.join(self.scalar(s) for s in i.scalars)})"
            case "maximum" | "minimum" as op if i.scalars:
                return f".clamp{suffix}({_CLAMPS[op]}={self.scalar(i.scalars[0])})"
            case "maximum" | "minimum" if not i.in_place:
                return f".{i.op}({rest[0]})"
            case "add" if scaled_on_device(i):
                return f".addcmul{suffix}({rest[0]}, {self.on_device(i.scalars[0])})"
            case "sub" | "mul" | "div" | "pow" | "add" | "addcmul" | "addcdiv" | "lerp":
                return f".{i.op}{suffix}({', '.join((*rest, *self.scalar_arguments(i)))})"
            case op if op in _OF_ONE_TENSOR or op in ("logical_not", "clone"):
                return f".{i.op}{suffix}()"
            case _:
                return None

    def scalar_arguments(self, i: Instruction) -> list[str]:
        if not i.scalars:
            return []
        value = self.scalar(i.scalars[0])
        if i.op in _KEYWORDS and len(i.operands) > 1:
            return [f"{_KEYWORDS[i.op]}={value}"]
        return [value]

    def statement(self, i: Instruction) -> str:
        method = self.method(i)
        if i.op == "scalar":
            return f"{i.target} = {self.on_device(i.scalars[0])}"
        if i.op in ("transpose", "call", "copy_like"):
            return f"{i.target} = {whole(i, [self.scalar(s) for s in i.scalars])}"
        if i.op == "assign":
            return f"{plural(i.target)}[i].copy_({self.scalar(i.scalars[0])})"
        if i.op == "alias":
            return f"{i.target} = {i.operands[0]}"
        if i.op == "choose":
            return f"{i.target} = {i.operands[0]} if {self.scalar(i.scalars[0])} else {i.operands[1]}"
        if i.op == "store":
            return f"{i.target}s[i] = {i.operands[0]}"
        if i.in_place and method is not None:
            return f"{i.operands[0]}{method}"
        if i.op == "full_like" and i.out:
            return f"{i.target}.fill_({self.scalar(i.scalars[0])})"
        if i.op == "neg" and not i.out:
            return f"{i.target} = -{i.operands[0]}"
        if i.out or i.in_place:
            return f"torch.{self.function(i)[:-1]}, out={i.target})"
        if method is not None:
            return f"{i.target} = {i.operands[0]}{method}"
        return f"{i.target} = {self.function(i)}"

    def on_device(self, x: Expr) -> str:
        """``x``, which follows from tensors, as a tensor also where a branch makes it a number of the host."""
        text = self.scalar(x)
        return text if is_tensor_always(x) else f"scalars.tensor({text}, param)"

    def function(self, i: Instruction) -> str:
        """A call of a function, or an operator, without the assignment."""
        s = [self.scalar(x) for x in i.scalars]
        a = i.operands[0] if i.operands else ""
        prefix = "" if i.out or i.in_place else "torch."
        match i.op:
            case "full_like":
                module = "scalars" if i.scalars[0].type.rate is Rate.TENSOR else "torch"
                return f"{module}.full_like({a}, {s[0]}{_dtype(i)})"
            case op if op in REDUCTIONS or op in MATRIX_OPERATIONS or op in CASTS:
                return whole(i, s)
            case "rpow":
                return f"{prefix}pow({s[0]}, {a})"
            case "where":
                return f"{prefix}where({', '.join(where_arguments(i, s))})"
            case "clamp":
                return f"{prefix}clamp({a}, {s[0]}, {s[1]})"
            case "maximum" | "minimum" if s:
                return f"{prefix}clamp({a}, {_CLAMPS[i.op]}={s[0]})"
            case op if op in _OPERATORS and not prefix:
                return f"{op}({', '.join((*i.operands, *s))})"
            case op if op in _OPERATORS:
                return f"{a} {_OPERATORS[op]} {(*i.operands[1:], *s)[0]}"
            case "logical_and" | "logical_or" as op:
                return f"{a} {'&' if op == 'logical_and' else '|'} {(*i.operands[1:], *(f'({x})' for x in s))[0]}"
            case op:
                return f"{prefix}{op}({', '.join((*i.operands, *self.scalar_arguments(i)))})"


def scaled_on_device(i: Instruction) -> bool:
    """Whether ``i`` adds a tensor times a number that only the device knows, which is no ``alpha``."""
    return i.op == "add" and len(i.operands) == 2 and bool(i.scalars) and i.scalars[0].type.rate is Rate.TENSOR


def whole(i: Instruction, scalars: list[str]) -> str:
    """An operation that is no elementwise function of its operands, on one tensor of each."""
    match i.op:
        case "scalar":
            return scalars[0]
        case "matmul":
            return f"{i.operands[0]} @ {i.operands[1]}"
        case "transpose":
            return f"{i.operands[0]}.mT"
        case "copy_like":
            return f"torch.empty_like({i.operands[0]}).copy_({i.operands[1]})"
        case "orthonormal" | "matrix_power" as op:
            return f"matrices.{op}({', '.join((*i.operands, *scalars))})"
        case "identity":
            return f"matrices.identity({scalars[0]}, {i.operands[0]})"
        case "bfloat16" | "float32" as op:
            return f"scalars.rounded({i.operands[0]}, torch.{op})"
        case "call":
            return f"_{i.function}({', '.join(where_arguments(i, scalars))})"
        case op:
            return reduction(op, i.operands[0])


def _dtype(i: Instruction) -> str:
    return ", dtype=torch.bool" if i.scalars[0].type.dtype is DType.BOOL else ""


def where_arguments(i: Instruction, scalars: list[str], operands: Sequence[str] = ()) -> list[str]:
    """The arguments of an operation on tensors and scalars, in order; ``operands`` are those of ``i`` if empty."""
    tensors, numbers = iter(operands or i.operands), iter(scalars)
    return [next(tensors) if kind == "t" else next(numbers) for kind in i.layout]


class ForeachPrinter:
    """Lists of tensors: ``torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)``.

    ``device_scalars``: scalars may be tensors, so operations that take one go through ``_support.foreach``.
    ``absent``: states that may not exist yet, whose lists are filled in place.
    """

    def __init__(self, scalar: HostPrinter, device_scalars: bool, absent: frozenset[str]):
        self.scalar = scalar
        self.device_scalars = device_scalars
        self.absent = absent
        self.nested: dict[str, Instruction] = {}
        """Operations without a list of their own: they are part of the comprehension that reads their result."""

    def lines(self, code: Code) -> Iterator[str]:
        self.nested = nested(code, lambda i: i.op not in _STATEMENTS and self.call(i) is None)
        yield from self.block(code, self.dead(code))

    def dead(self, code: Code) -> dict[int, list[str]]:
        """Temporaries that nothing reads any more when an item of ``code`` makes a list, by the item's number.

        Their memory can then be used again: lists of tensors are as large as the model.
        """
        reads = [self.reads(item) for item in code]
        made = Counter(i.target for i in instructions(code) if not i.in_place)
        named_twice = {o for i in instructions(code) if i.op in _STATEMENTS for o in i.operands}
        ends: dict[str, int] = {}
        for n, item in enumerate(code):
            if isinstance(item, Instruction) and self.makes(item) and made[item.target] == 1:
                if item.target not in named_twice | self.absent:
                    ends[item.target] = max((m for m, names in enumerate(reads) if item.target in names), default=n)
        found: dict[int, list[str]] = {}
        for variable, end in ends.items():
            makes = (m for m in range(end + 1, len(code)) if any(self.makes(i) for i in instructions(code[m : m + 1])))
            number = next(makes, None)
            if number is not None:
                found.setdefault(number, []).append(variable)
        return found

    def makes(self, i: Instruction) -> bool:
        """Whether the statement of ``i`` makes a list of new tensors."""
        return not i.in_place and i.op not in _STATEMENTS and i.target not in self.nested

    def reads(self, item: Instruction | Branch) -> set[str]:
        """The variables whose lists the statements of ``item`` read."""
        read: set[str] = set()
        waiting = [i for i in instructions((item,)) if i.target not in self.nested]
        while waiting:
            i = waiting.pop()
            read |= {*i.operands}
            waiting += [self.nested[o] for o in i.operands if o in self.nested]
        return read

    def block(self, code: Code, dead: Mapping[int, list[str]] = MappingProxyType({})) -> Iterator[str]:
        for n, item in enumerate(code):
            if n in dead:
                yield f"del {', '.join(plural(variable) for variable in dead[n])}"
            if isinstance(item, Branch):
                yield from branch_lines(
                    item.condition, list(self.block(item.then)), list(self.block(item.orelse)), self.scalar
                )
            elif item.target not in self.nested and (item.op != "store" or item.operands[0] != item.target):
                yield self.statement(item)

    def statement(self, i: Instruction) -> str:
        target = plural(i.target) + ("[:]" if i.target in self.absent and not i.in_place else "")
        match i.op:
            case "alias" | "store":
                return f"{target} = {plural(i.operands[0])}"
            case "choose":
                then, orelse = (plural(o) for o in i.operands)
                return f"{target} = {then} if {self.scalar(i.scalars[0])} else {orelse}"
            case "copy":
                return f"torch._foreach_copy_({target}, {plural(i.operands[1])})"
            case "scalar":
                return f"{i.target} = {self.scalar(i.scalars[0])}"
            case "assign":
                return f"foreach.assign({plural(i.target)}, {self.scalar(i.scalars[0])})"
            case op if op in _TO_SCALAR:
                fold = REDUCTIONS[op].fold
                reduced = f"foreach.{fold}({plural(i.operands[0])})"
                if REDUCTIONS[op].over == "parameters":
                    reduced = f'(yield "{fold}", {reduced}.{fold}())'
                return f"{i.target} = {reduced}"
        call = self.call(i)
        if call is None:
            return f"{target} = {self.comprehension(i)}"
        return call if i.in_place else f"{target} = {call}"

    def call(self, i: Instruction) -> str | None:
        """The ``_foreach_`` call, or None where torch has none."""
        lists = [plural(o) for o in i.operands]
        scalars = [self.scalar(s) for s in i.scalars]
        suffix = "_" if i.in_place else ""
        device = any(self.on_device(s) for s in i.scalars)
        match i.op:
            case "rpow":
                return None if device else f"torch._foreach_pow({scalars[0]}, {lists[0]})"
            case "add" if device and len(lists) == 1:
                return f"foreach.add_scalar{suffix}({lists[0]}, {scalars[0]})"
            case "add" | "addcmul" | "addcdiv" as op if scalars and len(lists) > 1:
                if device:
                    return f"foreach.{op}{suffix}({', '.join((*lists, *scalars))})"
                return f"torch._foreach_{op}{suffix}({', '.join(lists)}, {_KEYWORDS[op]}={scalars[0]})"
            case "add" | "sub" | "mul" | "div" | "addcmul" | "addcdiv" | "lerp" | "maximum" | "minimum" | "pow" as op:
                prefix = "foreach." if device else "torch._foreach_"
                return f"{prefix}{op}{suffix}({', '.join((*lists, *scalars))})"
            case op if op in _OF_ONE_TENSOR:
                return f"torch._foreach_{op}{suffix}({lists[0]})"
            case "matmul":
                return f"foreach.matmul({lists[0]}, {lists[1]})"
            case "orthonormal" | "matrix_power" as op:
                return f"foreach.batched(matrices.{op}, {', '.join((*lists, *scalars))})"
            case "call":
                return f"foreach.batched(_{i.function}, {', '.join(where_arguments(i, scalars, lists))})"
            case _:
                return None

    def on_device(self, scalar: Expr) -> bool:
        """Whether ``scalar`` may be a tensor, with one entry for each tensor of a list."""
        return scalar.type.rate is Rate.TENSOR or (self.device_scalars and scalar.type.rate > Rate.CONSTANT)

    def comprehension(self, i: Instruction) -> str:
        """The operation tensor by tensor, for what torch has no ``_foreach_`` function for."""
        sources: dict[str, str] = {}
        call = self.element(i, sources)
        if len(sources) == 1:
            return f"[{call} for {', '.join(sources)} in {', '.join(sources.values())}]"
        return f"[{call} for {', '.join(sources)} in zip({', '.join(sources.values())}, strict=True)]"

    def element(self, i: Instruction, sources: dict[str, str]) -> str:
        """The operation on one tensor of each list; ``sources`` gets the lists, by the names of their elements."""
        operands = []
        for operand in i.operands:
            inner = self.nested.get(operand)
            if inner is None:
                sources.setdefault(operand, plural(operand))
                operands.append(operand)
            else:
                text = self.element(inner, sources)
                operands.append(f"({text})" if _is_operator(i) and _is_operator(inner) else text)
        scalars = []
        for s in i.scalars:
            text = self.scalar(s)
            if self.on_device(s):
                name = f"s{len(sources)}"
                sources[name] = f"foreach.values({text}, params)"
                text = name
            scalars.append(text)
        return _single(replace(i, operands=tuple(operands)), scalars, self.device_scalars)


_STATEMENTS = frozenset(("alias", "store", "choose", "copy", "scalar", "assign", *_TO_SCALAR))
"""Instructions that are not operations on the elements of lists."""


def nested(code: Code, may_nest: Callable[[Instruction], bool]) -> dict[str, Instruction]:
    """Instructions, by their targets, that can wait until the only other one that reads their result.

    Both are of those that ``may_nest``, in the same block, and nothing is written in between that the first one reads.
    """
    everything = list(instructions(code))
    reads = Counter(o for i in everything for o in i.operands)
    made = Counter(i.target for i in everything)
    renames = any(i.op in _STATEMENTS - {"copy"} for i in everything)
    found: dict[str, Instruction] = {}

    def search(block: Code) -> None:
        made_at: dict[str, int] = {}
        """Where the result of each instruction of the block is made, in the end."""
        for n, item in reversed(list(enumerate(block))):
            if isinstance(item, Branch):
                search(item.then)
                search(item.orelse)
                continue
            made_at[item.target] = n
            once = reads[item.target] == made[item.target] == 1
            if item.in_place or item.out or not once or not may_nest(item):
                continue
            readers = [i for i in block[n + 1 :] if isinstance(i, Instruction) and item.target in i.operands]
            if not readers or readers[0].in_place or not may_nest(readers[0]):
                continue
            end = made_at[readers[0].target] if readers[0].target in found else block.index(readers[0])
            between = list(instructions(block[n + 1 : end]))
            if not any(i.target in item.operands or (renames and i.in_place) for i in between):
                found[item.target] = item
                made_at[item.target] = end

    search(code)
    return found


def _is_operator(i: Instruction) -> bool:
    return i.op in _OPERATORS or i.op in ("logical_and", "logical_or", "logical_not")


def _single(i: Instruction, s: list[str], device_scalars: bool) -> str:
    a = i.operands[0]
    match i.op:
        case "clone":
            return f"torch.clone({a})"
        case "full_like":
            on_device = device_scalars or i.scalars[0].type.rate is Rate.TENSOR
            return f"{'scalars' if on_device else 'torch'}.full_like({a}, {s[0]}{_dtype(i)})"
        case op if op in REDUCTIONS or op in MATRIX_OPERATIONS or op in (*CASTS, "copy_like"):
            return whole(i, s)
        case "rpow":
            return f"torch.pow({s[0]}, {a})"
        case "where":
            return f"{'scalars' if device_scalars else 'torch'}.where({', '.join(where_arguments(i, s))})"
        case "logical_not":
            return f"~{a}"
        case "logical_and" | "logical_or" as op:
            return f"{a} {'&' if op == 'logical_and' else '|'} {(*i.operands[1:], *(f'({x})' for x in s))[0]}"
        case op:
            return f"{a} {_OPERATORS[op]} {(*i.operands[1:], *s)[0]}"


def plural(name: str) -> str:
    """The list that holds one ``name`` per tensor."""
    return f"{name}s"
