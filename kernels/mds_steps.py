"""The steps of multidimensional scaling as maps over bands and updates of a state.

    heat      the constant of the stress at a temperature: sum of w max(delta - tau, 0)^2
    guttman   BC-calc, and the stress of the configuration for free; without weights the next one
    solve     X-calc: one product V P of the conjugate gradients that solve V X' = B(X) X

`update` tells which job is next. States are a function of the bands and the problem only, so that
serial, tasks and gangs of any size walk the same way.

Relaxed steps go twice as far as the Guttman transform, X' = 2 G(X) - X (de Leeuw and Heiser 1980);
where that raises the stress, the transform itself is taken. X is first given the size at which its
stress is smallest, (tr X'B(X)X / tr X'VX) X: a relaxed step only mirrors an error of the size.
Deterministic annealing (Bae, Qiu and Fox 2010) starts with dissimilarities max(delta - tau, 0) at
a high tau and cools it slowly.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kernels import _ordinal, mds
from kernels.mds import Band
from kernels.mds_problem import Problem

NAMES = ("guttman", "solve", "heat")
HOT_STEPS = 60  # transforms at most at one temperature
HOT_TOL = 1e-6
HEAT, COLD = 0.85, 0.01  # highest and lowest tau, in parts of the largest dissimilarity
PLAIN_STEPS = 3  # before steps are relaxed
MOST_PRODUCTS = 50  # of conjugate gradients in one transform


class State(NamedTuple):
    """Where a run is.

    x            (n, d) configuration that the next pass looks at
    plain        (n, d) Guttman transform of the one before it: taken when x is rejected
    stress       of the last accepted configuration, inf before the first; seen: of the last x
    constant     sum of w max(delta - tau, 0)^2
    accepted     configurations accepted at this temperature; transforms: done at all
    relaxed      1.0 where x is a relaxed step
    size         of x, the factor at which its stress is smallest
    residual, direction, step, rho    conjugate gradients ((0, d) where nothing is weighted)
    products     of them in this transform; start: rho at its begin
    converged    1.0 at the end when the last decrease was below tol
    """

    x: np.ndarray
    plain: np.ndarray
    stress: float
    seen: float
    tau: float
    constant: float
    accepted: int
    transforms: int
    relaxed: float
    size: float
    residual: np.ndarray
    direction: np.ndarray
    step: np.ndarray
    rho: np.ndarray
    start: float
    products: int
    converged: float


def first_tau(problem: Problem) -> float:
    """tau of the first temperature; 0 without annealing."""
    return HEAT * problem.high if problem.cooling > 0 else 0.0


def cooler(tau: float, problem: Problem) -> float:
    """The next tau; the last one is 0."""
    tau *= problem.cooling
    return tau if tau >= max(COLD * problem.high, 0.5 * problem.low) else 0.0


def start_state(x: np.ndarray, problem: Problem) -> State:
    """The state before the first job, which is 'heat'."""
    x = np.ascontiguousarray(x, np.float64)
    x = x - x.mean(axis=0) if len(x) else x
    rows = problem.n if problem.weighted else 0
    nothing = np.zeros((rows, problem.n_components))
    rho = np.zeros(problem.n_components)
    return State(
        x, x.copy(), math.inf, math.inf, first_tau(problem), 0.0, 0, 0, 0.0, 1.0,
        nothing, nothing.copy(), nothing.copy(), rho, 0.0, 0, 0.0,
    )  # fmt: skip


def map_block(name: str, band: Band, state: State, problem: Problem, memory: Any = None) -> Any:
    """The partial result of a job on a band. memory: a dict that stays with the band, or None."""
    if name == "heat":
        return mds.heated_block(band, state.tau, problem.weighting)
    if name == "solve":
        return mds.laplacian_block(band, state.direction, problem.weighting)
    if problem.ordinal:
        return _ordinal.guttman_block(band, state.x, state.transforms == 0, memory)
    if problem.weighted:
        return mds.residual_block(band, state.x, state.tau, problem.weighting)
    return mds.guttman_block(band, state.x, state.tau, problem.weighting)


def add(left: Any, right: Any) -> Any:
    """The sum of two partial results."""
    if isinstance(left, tuple):
        return tuple(a + b for a, b in zip(left, right, strict=True))
    return left + right


def update(name: str, state: State, total: Any, problem: Problem) -> tuple[State, str]:
    """(next state, name of the next job or 'stop')."""
    if name == "heat":
        constant = problem.known if problem.ordinal else float(total[0])
        return state._replace(constant=constant, stress=math.inf, accepted=0), "guttman"
    if name == "solve":
        return _after_product(state, total, problem)
    return _after_transform(state, total, problem)


def _product(a: np.ndarray, b: np.ndarray) -> float:
    """The sum of a * b, in one order: BLAS adds in another with each number of threads."""
    return float((a * b).sum())


def _after_transform(state: State, total: Any, problem: Problem) -> tuple[State, str]:
    x = state.x
    if problem.weighted or problem.ordinal:
        residual, eta = total[0], float(total[1][0])
    else:  # V X is n X
        residual, eta = total - problem.n * x, problem.n * _product(x, x)
    gradient = _product(x, residual)
    stress = state.constant - eta - 2.0 * gradient
    size = (gradient + eta) / eta if eta > 0 and gradient + eta > 0 else 1.0
    state = state._replace(seen=stress)
    if state.relaxed and stress > state.stress + problem.noise * state.constant:
        return state._replace(x=state.plain, relaxed=0.0), "guttman"
    gain = state.stress - stress
    hot = state.tau > 0
    small = gain < (max(HOT_TOL, problem.tol) if hot else problem.tol) * max(eta, 1e-300)
    converged = state.accepted > 0 and small
    state = state._replace(stress=stress, size=size, accepted=state.accepted + 1)
    if converged or state.accepted > (HOT_STEPS if hot else problem.max_iter):
        if problem.relax and not problem.ordinal:  # ordinal disparities follow the size
            state = state._replace(x=size * x, stress=stress - (1 - size) ** 2 * eta)
        if not hot:
            return state._replace(converged=float(converged)), "stop"
        tau = cooler(state.tau, problem)
        return state._replace(tau=tau, relaxed=0.0), "heat"
    if not problem.weighted:
        return _stepped(state, residual / problem.n, problem), "guttman"
    return _begin(state, residual, problem)


def _stepped(state: State, step: np.ndarray, problem: Problem) -> State:
    """The state at the Guttman transform x + step, or twice as far from x in its best size."""
    step = step - step.mean(axis=0)
    relax = problem.relax and state.accepted > PLAIN_STEPS
    plain = state.x + step
    return state._replace(
        x=2 * plain - state.size * state.x if relax else plain, plain=plain, relaxed=float(relax),
        transforms=state.transforms + 1,
    )  # fmt: skip


def _begin(state: State, residual: np.ndarray, problem: Problem) -> tuple[State, str]:
    """Conjugate gradients for V step = residual, from step = 0, with V's diagonal before it."""
    direction = residual / problem.degrees[:, None]
    rho = (residual * direction).sum(axis=0)
    state = state._replace(
        residual=residual, direction=direction, step=np.zeros_like(residual), rho=rho,
        start=float(rho.sum()), products=0,
    )  # fmt: skip
    if not state.start > 0:
        return _stepped(state, state.step, problem), "guttman"
    return state, "solve"


def _after_product(state: State, product: np.ndarray, problem: Problem) -> tuple[State, str]:
    curvature = (state.direction * product).sum(axis=0)
    alpha = np.divide(state.rho, curvature, out=np.zeros_like(curvature), where=curvature > 0)
    step = state.step + alpha * state.direction
    residual = state.residual - alpha * product
    scaled = residual / problem.degrees[:, None]
    rho = (residual * scaled).sum(axis=0)
    beta = np.divide(rho, state.rho, out=np.zeros_like(rho), where=state.rho > 0)
    products = state.products + 1
    state = state._replace(
        step=step, residual=residual, direction=scaled + beta * state.direction, rho=rho,
        products=products,
    )  # fmt: skip
    enough = float(rho.sum()) <= problem.cg_tol**2 * state.start
    if enough or products >= MOST_PRODUCTS:
        return _stepped(state, step, problem), "guttman"
    return state, "solve"


def record(state: State) -> dict[str, float]:
    """What is told of an iteration: the stress of the configuration it looked at, and tau."""
    return {"stress": float(state.seen), "tau": float(state.tau)}
