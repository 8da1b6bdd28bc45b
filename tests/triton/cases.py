"""The optimizers whose fused kernels are tested: a line for each, or for each set of flags that moves other tensors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from optdsl.compiler import check_files
from optdsl.ir import interpret
from optdsl.ir.nodes import Program
from tests.torch_parity.cases import spec_of


@dataclass(frozen=True)
class Case:
    """An optimizer of ``specs/`` with hyperparameters.

    ``accesses``: how many tensors shaped like the parameter a step must read and write, the gradient included.
    ``assigned``: whether states without initial value have been assigned.
    """

    optimizer: str
    accesses: int
    hypers: Mapping[str, Any] = field(default_factory=dict)
    assigned: bool = True

    def __str__(self) -> str:
        first = [] if self.assigned else ["first"]
        return "-".join([self.optimizer, *(f"{name}={value}" for name, value in self.hypers.items()), *first])

    @property
    def program(self) -> Program:
        return program(self.optimizer)

    @property
    def present(self) -> tuple[bool, ...]:
        return tuple(self.assigned for state in self.program.states if state.initial is None)

    @property
    def all_hypers(self) -> dict[str, Any]:
        return interpret.default_hypers(self.program, **self.hypers)


@functools.cache
def program(optimizer: str) -> Program:
    """The program of a spec, by the name of its optimizer."""
    checked = check_files([spec_of(optimizer)])
    assert checked.ok, checked.diagnostics
    return checked.units[-1].program


CASES = (
    Case("Adam", 7),
    Case("Adam", 9, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    Case("AdamW", 7),
    Case("SGD", 3),
    Case("SGD", 5, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    Case("SGD", 4, {"momentum": 0.9}, assigned=False),
    Case("NAdam", 7, {"weight_decay": 0.1}),
    Case("RAdam", 7),
    Case("Adamax", 7),
    Case("Adadelta", 7),
    Case("Adagrad", 5),
    Case("ASGD", 5),
    Case("RMSprop", 5),
    Case("RMSprop", 9, {"centered": True, "momentum": 0.9}),
    Case("Rprop", 7),
)

every_case = pytest.mark.parametrize("case", CASES, ids=str)
