"""The variants of a step as Python functions: for-loop, foreach, capturable foreach, and differentiable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from optdsl.emit.lines import folded
from optdsl.emit.python.expressions import HostPrinter, MixedPrinter, TensorPrinter
from optdsl.emit.python.names import Variables
from optdsl.emit.python.operations import ForeachPrinter, LoopPrinter, branch_lines, plural
from optdsl.emit.templates import template
from optdsl.ir.instructions import Code, instructions
from optdsl.ir.nodes import (
    Block,
    Const,
    DType,
    Expr,
    Grad,
    Hyper,
    Let,
    Op,
    Param,
    ParamFact,
    Present,
    Program,
    Rate,
    Ref,
    State,
    StateValue,
    Time,
    statements,
    walk,
)
from optdsl.ir.passes import Split, optimize, predicate_step_branches, split_scalars
from optdsl.ir.passes.rewrite import expressions
from optdsl.ir.passes.scalars import device_scalars
from optdsl.ir.passes.select import CAPTURABLE, FOREACH, LOOP, select


@dataclass(frozen=True)
class PythonFunctions:
    """The text of one top-level function per variant.

    All take ``(params, grads, *states, *, [step,] <facts>, <hyperparameters>, maximize)``: lists of tensors, one list
    per state in the order of the spec, and one step count, one value of each scalar state and one of every fact about
    parameters that the program reads (``param_dim``) for all of them. A step of the stored entries of a gradient,
    which the host must know, has no text for the last two.
    """

    single_tensor: str
    multi_tensor: str
    capturable: str
    differentiable: str


def emit_functions(program: Program) -> PythonFunctions:
    """Prints every variant of ``program`` (as lowered: the passes are run here)."""
    host = _Function(program, split_scalars(optimize(program)))
    if program.stored_only:
        return PythonFunctions(host.single_tensor(), host.multi_tensor(), "", "")
    device = _Function(program, split_scalars(optimize(predicate_step_branches(program))))
    return PythonFunctions(
        single_tensor=host.single_tensor(),
        multi_tensor=host.multi_tensor(),
        capturable=device.capturable(),
        differentiable=host.differentiable(),
    )


def emit_switches(program: Program) -> tuple[str, ...]:
    """Prints the functions that make lists of parameters those to evaluate, and those to train again.

    Both take ``(params, *states, *, [step,] <hyperparameters>, maximize)``. There is no second one where the
    parameters to train have to be kept, and none at all where they are those to evaluate.
    """
    if program.evaluation is None:
        return ()
    ways = (
        ("_evaluated", "Makes ``params``, in place, what they are evaluated as.", program.evaluation.value),
        ("_resumed", "Makes ``params``, in place, what they were before ``_evaluated``.", program.evaluation.training),
    )
    return tuple(_switch(program, name, doc, value) for name, doc, value in ways if value is not None)


def _switch(program: Program, name: str, doc: str, value: Expr) -> str:
    let = Let("param.1", value, "param")
    unchanged = tuple((s.key, StateValue(s.key, s.rate, s.shape)) for s in program.states)
    switch = replace(program, body=(let,), param=let.ref, new_states=unchanged)
    return _Function(switch, split_scalars(optimize(switch)), program.facts).on_lists(name, doc, switches=True)


def selected(program: Program) -> dict[str, Code]:
    """The instructions of the for-loop and the foreach variant, by name."""
    split = split_scalars(optimize(program))
    return {"for-loop": select(split, LOOP), "foreach": select(split, FOREACH)}


def reads_step(program: Program) -> bool:
    """Whether the step uses ``t``, so that the functions take ``step``."""
    return any(isinstance(n, Time) for x in expressions(program) for n in walk(x))


def hyperparameters(program: Program) -> tuple[str, ...]:
    """The keyword arguments of the functions, in order; fixed arguments are already part of the code."""
    names = tuple(s.name for a in program.arguments if not a.fixed for s in a.scalars)
    return (*names, "maximize")


def fact_argument(fact: str) -> str:
    """The keyword argument of the functions that tells a fact about the parameters."""
    return f"param_{fact}"


Assign = Callable[[Let, str], Iterator[str]]


class _Function:
    def __init__(self, program: Program, split: Split, facts: tuple[str, ...] | None = None):
        self.facts = program.facts if facts is None else facts
        self.program = program
        self.split = split
        self.absent = frozenset(s.key for s in program.states if s.initial is None)
        self.device_scalars = device_scalars(split)

    # ------------------------------------------------------------------------------------------------------ variants

    def single_tensor(self) -> str:
        scalars = self.host_scalars()
        code = select(self.split, LOOP)
        used = {v for i in instructions(code) for v in (i.target, *i.operands)}
        return self.render(
            "_single_tensor",
            "Updates each of ``params`` in place, one after another.",
            prelude=self.prelude(scalars),
            loads=self.loads(used),
            code=LoopPrinter(scalars).lines(code),
        )

    def multi_tensor(self) -> str:
        doc = "Updates all of ``params``, of one device and dtype, with operations on the whole list."
        return self.on_lists("_multi_tensor", doc)

    def on_lists(self, name: str, doc: str, switches: bool = False) -> str:
        """``switches``: the function makes no step, so there are no gradients."""
        scalars = self.host_scalars()
        return self.render(
            name,
            doc,
            prelude=[*self.prelude(scalars), *self.stacked_states(Rate.TENSOR)],
            code=ForeachPrinter(scalars, False, self.absent).lines(select(self.split, FOREACH)),
            switches=switches,
        )

    def capturable(self) -> str:
        variables = self.scalar_variables()
        scalars = TensorPrinter(lambda x: self.name(x, variables))
        return self.render(
            "_capturable",
            "As ``_multi_tensor``, with scalars on the device: ``step`` has one entry per parameter.",
            prelude=[*self.stacked_states(Rate.STEP, Rate.TENSOR), *self.device_prelude(scalars, variables)],
            code=ForeachPrinter(scalars, True, self.absent).lines(select(self.split, CAPTURABLE)),
        )

    def differentiable(self) -> str:
        """The split program in plain arithmetic, each value a new tensor."""
        whole = (*self.split.prelude, *self.split.body)
        results = self.results()
        holding: dict[str, Expr] = {"param": Param(), "grad": Grad()}
        holding |= {s.key: StateValue(s.key, s.rate, s.shape) for s in self.program.states}
        reserved = set(hyperparameters(self.program)) | {"step", "i"}
        variables = Variables(whole, holding, reserved, results.values())
        printer = TensorPrinter(lambda x: self.name(x, variables, split=False), Rate.STEP)
        loads = ["param = params[i].clone()"]
        if self.reads(Grad()):
            loads.append("grad = grads[i].clone()" if self.absent else "grad = grads[i]")
        stores = [f"params[i].copy_({printer(results['param'])})"]
        for s in self.program.states:
            old, new, states = StateValue(s.key, s.rate, s.shape), results[s.key], plural(s.key)
            if self.reads(old):
                loads.append(self.load(s, "" if s.key in self.absent else ".clone()"))
            if new != old:
                store = f"{states}[i] = {{}}" if s.key in self.absent else f"{states}[i].copy_({{}})"
                stores += self.under(s, [store.format(printer(new))])
        return self.render(
            "_differentiable",
            "As ``_single_tensor``, in operations that autograd can follow; hyperparameters may be tensors.",
            prelude=[],
            loads=loads,
            code=[*self.block(whole, printer, variables), *stores],
        )

    # ------------------------------------------------------------------------------------------------------- scalars

    def host_scalars(self) -> HostPrinter:
        variables = self.scalar_variables()
        self._variables = variables
        return MixedPrinter(lambda x: self.name(x, variables))

    def scalar_variables(self) -> Variables:
        holding: dict[str, Expr] = {s.key: StateValue(s.key, Rate.STEP) for s in self.program.scalar_states}
        reserved = {*hyperparameters(self.program), "step", "param", "grad", "i"}
        reserved |= {s.key for s in self.program.states if s.rate is not Rate.STEP} | {*self.device_scalars.values()}
        final = {
            n
            for stmt in statements(self.split.body)
            for x in ([stmt.value] if isinstance(stmt, Let) else [stmt.condition])
            for n in walk(x)
            if n.type.rate < Rate.TENSOR and isinstance(n, Ref | StateValue)
        }
        return Variables(self.split.prelude, holding, reserved, sorted(final, key=repr))

    def name(self, x: Expr, variables: Variables, split: bool = True) -> str:
        """The variable of an atom; ``split``: the scalars of the body have variables of their own."""
        match x:
            case Hyper(name):
                return name
            case ParamFact(name):
                return fact_argument(name)
            case Ref(name) if split and name in self.device_scalars:
                return self.device_scalars[name]
            case StateValue(key, Rate.TENSOR) if split:
                return key
            case Time():
                return "step"
            case Present(key):
                return f"has_{key}"
            case _:
                return variables.of(x)

    def prelude(self, printer: HostPrinter) -> list[str]:
        lines: list[str] = []
        for s in self.program.scalar_states:
            if self.reads(StateValue(s.key, Rate.STEP)):
                lines += self.under(s, [f"{s.key} = {plural(s.key)}[0].item()"])
        return lines + list(self.block(self.split.prelude, printer, self._variables, self.advance))

    def device_prelude(self, printer: HostPrinter, variables: Variables) -> list[str]:
        def assign(let: Let, name: str) -> Iterator[str]:
            yield f"{name} = {printer(let.value)}"
            yield f"foreach.assign({plural(let.state or '')}, {name})"

        return list(self.block(self.split.prelude, printer, variables, assign))

    def stacked_states(self, *rates: Rate) -> list[str]:
        lines: list[str] = []
        for s in self.program.states:
            if s.rate in rates and self.reads(StateValue(s.key, s.rate)):
                lines += self.under(s, [f"{s.key} = torch.stack({plural(s.key)})"])
        return lines

    def advance(self, let: Let, name: str) -> Iterator[str]:
        """A scalar state's tensors get their new value, in the state's own dtype, and the value is read back."""
        key = let.state or ""
        states = plural(key)
        once = sum(isinstance(s, Let) and s.state == key for s in statements(self.split.prelude)) == 1
        printer = HostPrinter(lambda x: self.name(x, self._variables))
        match let.value:
            case Op("mul", (StateValue(k), s)) | Op("mul", (s, StateValue(k))) if k == key and once:
                yield f"torch._foreach_mul_({states}, {printer(s)})"
            case Op("add", (StateValue(k), s)) | Op("add", (s, StateValue(k))) if k == key and once:
                yield f"torch._foreach_add_({states}, {printer(s)})"
            case value:
                yield f"{name} = {printer(value)}"
                yield f"for {key}_tensor in {states}:"
                yield f"    {key}_tensor.fill_({name})"
        if self.reads(let.ref):
            yield f"{name} = {states}[0].item()"

    def reads(self, value: Expr) -> bool:
        """Whether any statement reads ``value`` (the result aside)."""
        return any(n == value for x in self.read_expressions() for n in walk(x))

    def read_expressions(self) -> Iterator[Expr]:
        """Every expression of the prelude and the body."""
        for stmt in (*statements(self.split.prelude), *statements(self.split.body)):
            if isinstance(stmt, Let):
                yield stmt.value
            else:
                yield stmt.condition
                for m in stmt.merges:
                    yield from (m.then, m.orelse)

    def block(
        self, block: Block, printer: HostPrinter, variables: Variables, assign: Assign | None = None
    ) -> Iterator[str]:
        """Statements as assignments; ``assign`` prints those that give a scalar state its value."""
        for stmt in block:
            if isinstance(stmt, Let):
                name = variables.name(stmt.name)
                if assign is not None and stmt.state is not None:
                    yield from assign(stmt, name)
                else:
                    yield f"{name} = {printer(stmt.value)}"
                continue
            then = list(self.block(stmt.then, printer, variables, assign))
            orelse = list(self.block(stmt.orelse, printer, variables, assign))
            for lines, values in ((then, [m.then for m in stmt.merges]), (orelse, [m.orelse for m in stmt.merges])):
                targets = [variables.name(m.name) for m in stmt.merges]
                pairs = [(t, s) for t, s in zip(targets, (printer(v) for v in values), strict=True) if t != s]
                if pairs:
                    lines.append(f"{', '.join(t for t, _ in pairs)} = {', '.join(s for _, s in pairs)}")
            if then or orelse:
                yield from branch_lines(stmt.condition, then, orelse, printer)

    # ------------------------------------------------------------------------------------------------------- layout

    def results(self) -> dict[str, Expr]:
        return {"param": self.split.program.param, **dict(self.split.program.new_states)}

    def under(self, state: State, lines: Iterable[str]) -> list[str]:
        """``lines``, under the flag that the state exists under."""
        if state.condition is None:
            return list(lines)
        return [f"if {self.flag(state.condition)}:", *(f"    {line}" for line in lines)]

    def flag(self, condition: Expr) -> str:
        """The text of a condition over hyperparameters."""
        return HostPrinter(lambda x: self.name(x, self.scalar_variables()))(condition)

    def loads(self, used: set[str]) -> list[str]:
        """Takes what the code uses from the lists."""
        lines = [f"{name} = {plural(name)}[i]" for name in ("param", "grad") if name in used]
        lines += [self.load(s) for s in self.program.tensor_states if s.key in used]
        device = (s for s in self.program.states if s.rate is Rate.TENSOR)
        return lines + [self.load(s) for s in device if self.reads(StateValue(s.key, Rate.TENSOR))]

    def load(self, state: State, copy: str = "") -> str:
        """Takes a state's tensor from its list, which is empty where a flag is off."""
        item = f"{state.key} = {plural(state.key)}[i]{copy}"
        return item if state.condition is None else f"{item} if {self.flag(state.condition)} else None"

    def render(
        self,
        variant: str,
        doc: str,
        *,
        prelude: Iterable[str],
        code: Iterable[str],
        loads: Iterable[str] = (),
        switches: bool = False,
    ) -> str:
        takes_step = self.program.counts_steps if switches else reads_step(self.program)
        presence = {n.key for x in self.read_expressions() for n in walk(x) if isinstance(n, Present)}
        return folded(
            template("python/function.py.jinja").render(
                name=f"{variant}_{self.program.name.lower()}",
                doc=doc,
                states=[plural(s.key) for s in self.program.states],
                switches=switches,
                step=("Tensor" if variant == "_capturable" else "float") if takes_step else None,
                facts=[(fact_argument(fact), "float" if fact == "machine_epsilon" else "int") for fact in self.facts],
                hyperparameters=[
                    (name, self.annotation(name, variant in ("_capturable", "_differentiable")))
                    for name in hyperparameters(self.program)
                ],
                presence=[s.key for s in self.program.states if s.key in presence],
                result="Any" if self.program.meets else "None",
                prelude=list(prelude),
                loads=list(loads),
                code=list(code),
                per_tensor=variant in ("_single_tensor", "_differentiable"),
            )
        )

    def annotation(self, name: str, tensors: bool) -> str:
        if name == "maximize":
            return "bool"
        scalar = next(s for s in self.program.scalars if s.name == name)
        match scalar.dtype:
            case DType.BOOL:
                return "bool"
            case DType.CHOICE:
                return "str | None"
            case _:
                none = " | None" if scalar.default == Const(None) else ""
                return f"{'float | Tensor' if tensors else 'float'}{none}"
