"""Parameters and states after many steps, for every configuration that torch tests its own optimizers with."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from tests.torch_parity.cases import (
    CASES,
    Case,
    assert_agree,
    configurations,
    every_case,
    every_complex_case,
    every_dense_case,
    train,
)

DTYPES = (torch.float64, torch.float32, torch.bfloat16)
VARIANTS = {"loop": {"foreach": False}, "foreach": {"foreach": True}}

every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


TUPLES = [
    (case, name)
    for case in CASES
    for name, value in case.ours.__init__.__annotations__.items()
    if "tuple" in str(value)
]


@pytest.mark.parametrize("variant", ({}, {"foreach": True}, {"fused": True}), ids=lambda v: "".join(v) or "for-loop")
@pytest.mark.parametrize(("case", "name"), TUPLES, ids=str)
def test_the_numbers_of_a_tuple_in_tensors(case: Case, name: str, variant: dict[str, Any]) -> None:
    if variant.get("fused") and "native" not in case.ours._kernels:
        pytest.skip("no fused step on the CPU")
    numbers = inspect.signature(case.ours).parameters[name].default
    kwargs = {name: tuple(n if n is None else torch.tensor(n, dtype=torch.float64) for n in numbers)}
    ours, plain = (case.trained(case.ours, torch.float64, {**given, **variant}, steps=3) for given in (kwargs, {}))
    assert_agree(ours, plain, rtol=1e-12)


def with_capturable(configurations: list[Any]) -> list[Any]:
    return [entry for entry in configurations if entry.values[1].get("capturable")]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@every_variant
@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu"))
def test_every_configuration(
    case: Case, kwargs: dict[str, Any], variant: dict[str, Any], dtype: torch.dtype, record_property: Any
) -> None:
    ours, torchs = (case.trained(cls, dtype, {**kwargs, **variant}) for cls in case.constructors)
    record_property("bits", assert_agree(ours, torchs, case.tolerance(dtype, variant)))


@pytest.mark.parametrize(("case", "kwargs"), configurations("cpu"))
def test_the_variants_agree_with_each_other(case: Case, kwargs: dict[str, Any]) -> None:
    """More closely than torch's own, where those compute scalars in different dtypes."""
    rtol = 1e-12 if case.smooth else case.foreach_rtol
    assert_agree(*(case.trained(case.ours, torch.float64, {**kwargs, **v}) for v in VARIANTS.values()), rtol=rtol)


@pytest.mark.parametrize("dtype", (torch.complex128, torch.complex64), ids=("complex128", "complex64"))
@every_variant
@every_complex_case
def test_complex_parameters(case: Case, variant: dict[str, Any], dtype: torch.dtype) -> None:
    ours, torchs = (case.trained(cls, dtype, variant) for cls in case.constructors)
    assert_agree(ours, torchs, case.tolerance(dtype, variant))


@every_variant
@every_complex_case
def test_conjugate_views(case: Case, variant: dict[str, Any]) -> None:
    """They are stepped as what they show; torch's refuse most of them."""

    def trained(view: bool) -> torch.optim.Optimizer:
        generator = torch.Generator().manual_seed(3)

        def value() -> torch.Tensor:
            shown = torch.randn(4, 3, dtype=torch.complex128, generator=generator).conj()
            return shown if view else shown.resolve_conj()

        param = value().requires_grad_()
        optimizer = case.ours([param], **variant)
        for _ in range(3):
            param.grad = value()
            optimizer.step()
        assert param.is_conj() == view
        return optimizer

    assert_agree(trained(True), trained(False), rtol=0.0)


@every_variant
@every_case
def test_parameters_of_several_dtypes_in_one_group(case: Case, variant: dict[str, Any]) -> None:
    optimizers = []
    dtypes = (*DTYPES, torch.complex64) if case.info.supports_complex else DTYPES
    for cls in case.constructors:
        params = [p for dtype in dtypes for p in case.parameters(dtype)]
        optimizers.append(cls(params, **variant))
        train(optimizers[-1], range(5))
    assert_agree(*optimizers, rtol=case.tolerance(torch.bfloat16))


@every_variant
@every_case
def test_groups_with_their_own_arguments(case: Case, variant: dict[str, Any]) -> None:
    optimizers = []
    for cls in case.constructors:
        params = case.parameters(torch.float64)
        groups = [{"params": params[:2], "lr": 0.5}, {"params": params[2:4], **case.accepted({"maximize": True})}]
        optimizer = cls(groups, lr=0.1, **variant)
        train(optimizer, range(5))
        optimizer.add_param_group({"params": params[4:], "lr": 0.25})
        train(optimizer, range(5, 10))
        optimizers.append(optimizer)
    assert_agree(*optimizers, rtol=case.tolerance(torch.float64, variant))


@every_variant
@every_case
def test_the_two_variants_can_alternate(case: Case, variant: dict[str, Any]) -> None:
    """A change of ``foreach`` between steps changes nothing else."""
    ours = case.trained(case.ours, torch.float64, variant, steps=4)
    ours.param_groups[0]["foreach"] = not variant["foreach"]
    train(ours, range(4, 8))
    assert_agree(
        ours,
        case.trained(case.constructors[1], torch.float64, variant, steps=8),
        rtol=case.tolerance(torch.float64, variant),
    )


@every_variant
@every_case
def test_a_learning_rate_in_a_tensor(case: Case, variant: dict[str, Any]) -> None:
    lr = torch.tensor([0.125], dtype=torch.float64)
    ours = case.trained(case.ours, torch.float64, {**variant, "lr": lr}, steps=4)
    scheduled = case.trained(case.constructors[1], torch.float64, {**variant, "lr": 0.125}, steps=4)
    assert_agree(ours, scheduled, rtol=case.tolerance(torch.float64, variant))
    assert isinstance(ours.param_groups[0]["lr"], torch.Tensor)

    ours.param_groups[0]["lr"].mul_(0.5)
    scheduled.param_groups[0]["lr"] = 0.0625
    for optimizer in (ours, scheduled):
        train(optimizer, range(4, 8))
    assert_agree(ours, scheduled, rtol=case.tolerance(torch.float64, variant))


@pytest.mark.usefixtures("cpu_is_capturable")
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32), ids=("float64", "float32"))
@every_variant
@pytest.mark.parametrize(("case", "kwargs"), with_capturable(configurations("cuda")))
def test_capturable(case: Case, kwargs: dict[str, Any], variant: dict[str, Any], dtype: torch.dtype) -> None:
    """Step counts are float32 tensors here, and so is what follows from them."""
    ours, torchs = (case.trained(cls, dtype, {**kwargs, **variant}) for cls in case.constructors)
    assert_agree(ours, torchs, rtol=5e-6)


@every_variant
@every_dense_case
def test_capturable_needs_a_device_that_can_capture(case: Case, variant: dict[str, Any]) -> None:
    optimizers = [case.ours, case.torchs] if case.info.has_capturable_arg else [case.ours]
    for cls in optimizers:
        with pytest.raises(
            AssertionError, match=r"^If capturable=True, params.* must be on supported devices: \['cuda',"
        ):
            case.trained(cls, torch.float32, {"capturable": True, **variant}, steps=1)
