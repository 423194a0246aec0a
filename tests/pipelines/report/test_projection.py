import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report import projection
from pipelines.report.projection import principal_axes, project


def cloud(n, d, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(0, 1, (n, d)) * np.geomspace(10, 0.1, d) + draw.normal(0, 50, d)


@pytest.mark.parametrize(("n", "d"), [(50, 3), (300, 8), (6, 40), (2, 3)])
def test_principal_axes__are_the_eigenvectors_of_the_covariance(n, d):
    points = cloud(n, d)
    centred = points - points.mean(axis=0)
    axes, shares = principal_axes(centred)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    np.testing.assert_allclose(shares[0], values[-1] / values.sum(), rtol=1e-9)
    np.testing.assert_allclose(np.abs(axes[0] @ vectors[:, -1]), 1, rtol=1e-6)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-9)
    assert (axes[[0, 1], np.abs(axes).argmax(axis=1)] > 0).all()


def test_principal_axes__of_very_many_are_those_of_a_part(monkeypatch):
    points = cloud(400, 60)
    centred = points - points.mean(axis=0)
    whole, _ = principal_axes(centred)
    monkeypatch.setattr(projection, "MOST_FOR_AXES", 50)
    part, shares = principal_axes(centred)
    assert abs(whole[0] @ part[0]) > 0.9
    assert 0 < shares[1] < shares[0] < 1


@given(st.integers(1, 6), st.integers(3, 9), st.sampled_from([0.0, 1e-200, 1.0, 1e200]))
def test_principal_axes__of_any_scale_are_finite_and_orthonormal(n, d, scale):
    points = np.random.default_rng(n).normal(0, 1, (n, d)) * scale
    axes, shares = principal_axes(points - points.mean(axis=0))
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-9)
    assert (shares >= 0).all()
    assert shares.sum() <= 1 + 1e-9


def test_project__keeps_points_and_centroids_in_one_frame():
    points = cloud(80, 5)
    plane = project(points, points[:7])
    np.testing.assert_allclose(plane.centroids, plane.points[:7], atol=1e-9)
    assert np.all(plane.points.std(axis=0)[0] >= plane.points.std(axis=0)[1])
    assert "principal axis 1" in plane.titles[0]


def test_project__two_dimensions_stay_and_one_is_spread_at_random():
    points = cloud(30, 2)
    np.testing.assert_array_equal(project(points, points[:1]).points, points)
    line = project(points[:, :1], points[:2, :1], 3)
    np.testing.assert_array_equal(line.points[:, 0], points[:, 0])
    assert len(np.unique(line.points[:, 1])) == 30
    np.testing.assert_array_equal(line.points, project(points[:, :1], points[:2, :1], 3).points)


def test_project__has_one_scale_unless_a_side_is_far_longer():
    square = np.random.default_rng(0).random((50, 2))
    assert project(square, square[:1]).equal
    stretched = project(square * [1, 100], square[:1])
    assert not stretched.equal
    assert "different scales" in stretched.axes
