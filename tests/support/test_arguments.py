"""Hyperparameters that come as Tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from optdsl.support.arguments import check_flags, check_tensor_argument, to_device, to_number

ONE, TWO = torch.tensor([[0.5]]), torch.tensor([0.5, 0.5])


@pytest.mark.parametrize("value", (0.5, None, True, "x", ONE, (0.5, 0.5), (ONE, ONE), (1, 0.5), (None, ONE), ()))
def test_accepted(value: Any) -> None:
    check_tensor_argument("betas", value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (TWO, "Tensor betas must be 1-element"),
        ((0.5, ONE), "betas must be either both floats or both Tensors"),
        ((ONE, TWO), r"Tensor betas\[1\] must be 1-element"),
    ],
)
def test_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_tensor_argument("betas", value)


def test_conversions() -> None:
    assert to_number(ONE) == 0.5 and to_number("x") == "x" and to_number(None) is None
    assert to_device(ONE, torch.device("cpu")).shape == ()
    assert to_device(0.5, torch.device("meta")) == 0.5
    assert to_device(ONE, torch.device("meta")) == 0.5, "a number needs no transfer"


def test_flags_that_exclude_each_other() -> None:
    flags = {"fused": True, "foreach": None, "differentiable": False}
    check_flags(flags)
    with pytest.raises(RuntimeError, match="foreach"):
        check_flags({**flags, "foreach": True})
    with pytest.raises(RuntimeError, match="differentiable"):
        check_flags({**flags, "differentiable": True})
