"""The IR that two specs must become, written by hand: what the lowering is compared with."""

from optdsl.ir.nodes import *
from optdsl.ir.nodes import add, div, mul, power, sub

E_ = Rate.ELEMENT
T = real(E_)
S = real(Rate.STEP)


def H(n):
    return Hyper(n)


def B(n):
    return Hyper(n, DType.BOOL)


def R(n, t=T):
    return Ref(n, t)


ONE = Const(1)

MAXIMIZE = (
    Let("grad.0", Grad()),
    If(
        B("maximize"),
        (Let("grad.1", Op("neg", (R("grad.0"),))),),
        (),
        (Merge("grad.2", R("grad.1"), R("grad.0")),),
    ),
)

ADAM = Program(
    name="Adam",
    doc="Adam with bias-corrected first and second moments.",
    arguments=(
        Argument("lr", (Scalar("lr", "γ", Const(1e-3)),), doc="learning rate"),
        Argument("betas", (Scalar("beta1", "β₁", Const(0.9)), Scalar("beta2", "β₂", Const(0.999)))),
        Argument("eps", (Scalar("eps", "ε", Const(1e-8)),)),
        Argument("weight_decay", (Scalar("weight_decay", "λ", Const(0)),)),
        Argument("amsgrad", (Scalar("amsgrad", "amsgrad", Const(False), DType.BOOL),)),
        Argument(
            "decoupled_weight_decay",
            (Scalar("decoupled_weight_decay", "decoupled_weight_decay", Const(False), DType.BOOL),),
            keyword_only=True,
        ),
    ),
    checks=(),
    states=(
        State("exp_avg", "m", E_, Const(0)),
        State("exp_avg_sq", "v", E_, Const(0)),
        State("max_exp_avg_sq", "v^max", E_, Const(0), B("amsgrad")),
    ),
    counts_steps=True,
    body=(
        *MAXIMIZE,
        If(
            Op("ne", (H("weight_decay"), Const(0))),
            (
                If(
                    B("decoupled_weight_decay"),
                    (
                        Let(
                            "param.1",
                            sub(Param(), mul(mul(H("lr"), H("weight_decay")), Param())),
                            state="param",
                        ),
                    ),
                    (Let("grad.3", add(R("grad.2"), mul(H("weight_decay"), Param()))),),
                    (
                        Merge("param.2", R("param.1"), Param(), state="param"),
                        Merge("grad.4", R("grad.2"), R("grad.3")),
                    ),
                ),
            ),
            (),
            (
                Merge("param.3", R("param.2"), Param(), state="param"),
                Merge("grad.5", R("grad.4"), R("grad.2")),
            ),
        ),
        Let(
            "exp_avg.1",
            add(mul(H("beta1"), StateValue("exp_avg")), mul(sub(ONE, H("beta1")), R("grad.5"))),
            state="exp_avg",
        ),
        Let(
            "exp_avg_sq.1",
            add(
                mul(H("beta2"), StateValue("exp_avg_sq")),
                mul(sub(ONE, H("beta2")), power(R("grad.5"), Const(2))),
            ),
            state="exp_avg_sq",
        ),
        Let("m_hat.1", div(R("exp_avg.1"), sub(ONE, power(H("beta1"), Time())))),
        If(
            B("amsgrad"),
            (
                Let(
                    "max_exp_avg_sq.1",
                    Op("max", (StateValue("max_exp_avg_sq"), R("exp_avg_sq.1"))),
                    state="max_exp_avg_sq",
                ),
                Let("v_hat.1", div(R("max_exp_avg_sq.1"), sub(ONE, power(H("beta2"), Time())))),
            ),
            (Let("v_hat.2", div(R("exp_avg_sq.1"), sub(ONE, power(H("beta2"), Time())))),),
            (
                Merge("max_exp_avg_sq.2", R("max_exp_avg_sq.1"), StateValue("max_exp_avg_sq"), state="max_exp_avg_sq"),
                Merge("v_hat.3", R("v_hat.1"), R("v_hat.2")),
            ),
        ),
        Let(
            "param.4",
            sub(
                R("param.3"),
                div(mul(H("lr"), R("m_hat.1")), add(Op("sqrt", (R("v_hat.3"),)), H("eps"))),
            ),
            state="param",
        ),
    ),
    param=R("param.4"),
    new_states=(
        ("exp_avg", R("exp_avg.1")),
        ("exp_avg_sq", R("exp_avg_sq.1")),
        ("max_exp_avg_sq", R("max_exp_avg_sq.2")),
    ),
)

SGD = Program(
    name="SGD",
    doc="Stochastic gradient descent with optional (Nesterov) momentum.",
    arguments=(
        Argument("lr", (Scalar("lr", "γ", Const(1e-3)),)),
        Argument("momentum", (Scalar("momentum", "μ", Const(0)),)),
        Argument("dampening", (Scalar("dampening", "τ", Const(0)),)),
        Argument("weight_decay", (Scalar("weight_decay", "λ", Const(0)),)),
        Argument("nesterov", (Scalar("nesterov", "nesterov", Const(False), DType.BOOL),)),
    ),
    checks=(),
    states=(State("momentum_buffer", "b", E_, None, Op("ne", (H("momentum"), Const(0)))),),
    body=(
        *MAXIMIZE,
        If(
            Op("ne", (H("weight_decay"), Const(0))),
            (Let("grad.3", add(R("grad.2"), mul(H("weight_decay"), Param()))),),
            (),
            (Merge("grad.4", R("grad.3"), R("grad.2")),),
        ),
        If(
            Op("ne", (H("momentum"), Const(0))),
            (
                If(
                    Present("momentum_buffer"),
                    (
                        Let(
                            "momentum_buffer.1",
                            add(
                                mul(H("momentum"), StateValue("momentum_buffer")),
                                mul(sub(ONE, H("dampening")), R("grad.4")),
                            ),
                            state="momentum_buffer",
                        ),
                    ),
                    (Let("momentum_buffer.2", R("grad.4"), state="momentum_buffer"),),
                    (
                        Merge(
                            "momentum_buffer.3",
                            R("momentum_buffer.1"),
                            R("momentum_buffer.2"),
                            state="momentum_buffer",
                        ),
                    ),
                ),
                If(
                    B("nesterov"),
                    (Let("grad.5", add(R("grad.4"), mul(H("momentum"), R("momentum_buffer.3")))),),
                    (),
                    (Merge("grad.6", R("grad.5"), R("momentum_buffer.3")),),
                ),
            ),
            (),
            (
                Merge(
                    "momentum_buffer.4",
                    R("momentum_buffer.3"),
                    StateValue("momentum_buffer"),
                    state="momentum_buffer",
                ),
                Merge("grad.7", R("grad.6"), R("grad.4")),
            ),
        ),
        Let("param.1", sub(Param(), mul(H("lr"), R("grad.7"))), state="param"),
    ),
    param=R("param.1"),
    new_states=(("momentum_buffer", R("momentum_buffer.4")),),
)
