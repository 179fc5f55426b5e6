"""What is alike: against all pairs by hand, and of a run's own images."""

import numpy as np
import pytest

import jaxart
from jaxart.app import neighbours, training_images


def vectors(count, size=32, seed=0):
    """Points around a few centres, as features are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(10, size))
    points = centres[rng.integers(0, 10, count)] + 0.5 * rng.normal(size=(count, size))
    return points.astype(np.float32)


def cosines(rows, query):
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    return rows @ query / lengths


def test_the_exact_search_is_that_of_all_pairs():
    features = vectors(1300).reshape(1300, 2, 16)
    indices = np.arange(0, 1300, 2)
    query = vectors(1, seed=1)[0]
    search = neighbours.index(features, indices)
    assert isinstance(search, neighbours.Exact)
    found = search.search(query, 20)
    wanted = cosines(features[indices].reshape(-1, 32), query)
    order = np.argsort(-wanted)[:20]
    assert found.indices.tolist() == indices[order].tolist()
    np.testing.assert_allclose(found.cosines, wanted[order], rtol=1e-5)
    assert len(search.search(query, 5000).indices) == len(indices)


def test_features_of_zero_are_like_nothing():
    features = np.zeros((3, 4), np.float32)
    features[1] = 1
    found = neighbours.index(features, np.arange(3)).search(features[1], 3)
    assert found.indices[0] == 1 and found.cosines.tolist() == [1, 0, 0]


def test_the_graph_finds_what_the_exact_search_finds():
    features, indices = vectors(3000), np.arange(3000)
    exact = neighbours.index(features, indices)
    graph = neighbours.index(features, indices, max_exact=1000)
    assert isinstance(graph, neighbours.Graph)
    hits = 0
    for query in vectors(50, seed=2):
        wanted, found = exact.search(query, 10), graph.search(query, 10)
        hits += len(set(wanted.indices) & set(found.indices))
        cosine_of = dict(zip(wanted.indices, wanted.cosines, strict=True))
        for index, cosine in zip(found.indices, found.cosines, strict=True):
            assert cosine == pytest.approx(cosine_of.get(index, cosine), abs=2e-3)
    assert hits / 500 >= 0.95


def test_a_training_image_is_most_like_itself(trained, tmp_path):
    workdir, cache = trained
    network = jaxart.load(workdir)
    known = training_images.read(network, cache)
    assert known.layer == "pool5"
    path = next(path for path in known.paths if path.parent.name == "op_stripes")
    alike = known.most_alike(network.features(path, known.layer), 4)
    assert (alike[0].path, alike[0].label) == (path, "op_stripes")
    assert alike[0].cosine == pytest.approx(1, abs=1e-5)
    assert [one.cosine for one in alike] == sorted(
        (one.cosine for one in alike), reverse=True
    )
    assert all(one.path.parent.name == one.label for one in alike)
    # No validation image is among them.
    assert len(known.most_alike(network.features(path, known.layer), 99)) == 15


def test_a_network_of_no_run_has_no_training_images(trained):
    network = jaxart.load(trained[0])._replace(source=None)
    with pytest.raises(ValueError, match="of no run: its training images are not"):
        training_images.read(network)
