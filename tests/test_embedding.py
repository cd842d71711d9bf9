import shutil

import numpy as np
import pytest
import torch

from galclr_utils import GalaxySet, embedding, load_encoder, pretrain, trained
from galclr_utils.galaxy_views import GalaxyViews

QUICK = {"epochs": 2, "batch_size": 64, "precision": "32-true", "warmup_epochs": 1}


@pytest.fixture
def views(galaxies):
    return GalaxyViews.for_set(galaxies)


@pytest.fixture(scope="module")
def pretrained_once(galaxies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    galaxies.save(folder / "dataset")
    pretrain.pretrain(folder, GalaxyViews.for_set(galaxies), **QUICK)
    return folder


@pytest.fixture
def pretrained(pretrained_once, tmp_path):
    """A run with a finished pretraining, and without an embedding."""
    return shutil.copytree(pretrained_once, tmp_path / "pretrained")


def test_representations_of_other_galaxies_or_seeds_are_refused(run, views, galaxies):
    with pytest.raises(ValueError, match="run 03_pretrain first"):
        trained.load_representation(run)
    pretrain.pretrain(run, views, **QUICK)
    h, _ = embedding.embed(run, orientations=1)
    np.testing.assert_array_equal(trained.load_representation(run), h)
    with pytest.raises(ValueError, match=r"untrained\.npy, got none; run 03_pretrain again"):
        trained.load_representation(run, name="untrained")
    np.save(run / "embedding" / "untrained.npy", -h)
    np.testing.assert_array_equal(trained.load_representations(run, name="untrained")[0], -h)
    assert list(trained.load_representations(run)) == [0]
    with pytest.raises(ValueError, match="seed1"):
        trained.load_representations(run, n_seeds=2)
    pretrain.pretrain(run, views, part="seed1", seed=1, **QUICK)
    embedding.embed(run, orientations=1, part="seed1")
    with pytest.raises(ValueError, match="moco: expected a finished pretraining"):
        trained.load_representations(run, prefix="moco")
    both = trained.load_representations(run, n_seeds=2)
    assert list(both) == [0, 1] and not np.array_equal(both[0], both[1])
    catalog = galaxies.catalog.copy()
    catalog["split"][:10] = "test"
    GalaxySet(galaxies.images, catalog, dict(galaxies.card)).save(run / "dataset")
    with pytest.raises(ValueError, match="made from other galaxies"):
        trained.load_representation(run)


def test_embedding_writes_h_and_z_in_the_order_of_the_catalogue(pretrained, galaxies):
    run = pretrained
    h, z = embedding.embed(run)
    assert h.shape == (384, 64) and z.shape[0] == 384 and h.dtype == np.float32
    np.testing.assert_array_equal(h, np.load(run / "embedding" / "representation.npy"))
    alone = load_encoder(run / "pretrain" / "encoder.pt").embed(galaxies.images[100:103])
    np.testing.assert_allclose(alone, h[100:103], atol=1e-4)


def test_shards_change_nothing(pretrained, monkeypatch):
    run = pretrained
    whole = embedding.embed(run, orientations=1)
    (run / "embedding" / "settings.json").unlink()
    monkeypatch.setattr(embedding, "SHARD", 50)  # eight, the last of 34
    for one, other in zip(whole, embedding.embed(run, orientations=1), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not (run / "embedding" / ".shards").exists()


def test_an_interrupted_embedding_goes_on_with_the_next_shard(pretrained, monkeypatch):
    run = pretrained
    monkeypatch.setattr(embedding, "SHARD", 100)
    whole = embedding.embed(run, orientations=1)
    (run / "embedding" / "settings.json").unlink()
    embed, done = embedding.load_model(run).encoder.__class__.embed, []

    def stop_at_the_third(encoder, images, **settings):
        done.append(len(images))
        if len(done) == 3:
            raise KeyboardInterrupt
        return embed(encoder, images, **settings)

    monkeypatch.setattr("galclr_utils.encoders.Encoder.embed", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        embedding.embed(run, orientations=1)
    with pytest.raises(ValueError, match="run 03_pretrain first"):
        trained.load_representation(run)
    for one, other in zip(whole, embedding.embed(run, orientations=1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert done == [100, 100, 100, 100, 84], "two were kept, the third was begun again"


def test_shards_of_other_orientations_are_thrown_away(pretrained, monkeypatch):
    run = pretrained
    expected = embedding.embed(run, orientations=4)
    settings = {"orientations": 1, "data": "other", "pretrain": "other"}
    shards = run / "embedding" / ".shards"
    embedding.write_json(shards / "settings.json", settings)
    np.save(shards / "000000.npy", np.zeros((384, 128), np.float32))
    (run / "embedding" / "settings.json").unlink()
    np.testing.assert_array_equal(embedding.embed(run, orientations=4)[0], expected[0])


def test_a_shard_that_is_not_there_is_missed(pretrained, monkeypatch):
    """The listing of a folder of a network may lack what another computer has just written."""
    run = pretrained
    monkeypatch.setattr(embedding, "SHARD", 96)  # four whole ones
    glob = embedding.Path.glob

    def late(folder, pattern):
        return (path for path in glob(folder, pattern) if path.name != "000001.npy")

    monkeypatch.setattr(embedding.Path, "glob", late)
    whole = load_encoder(run / "pretrain" / "encoder.pt").embed(galaxies_of(run), orientations=1)
    np.testing.assert_allclose(embedding.embed(run, orientations=1)[0], whole, atol=1e-5)
    (run / "embedding" / "settings.json").unlink()
    write_shards = embedding.write_shards

    def lose_one(folder, *others):
        write_shards(folder, *others)
        (folder / "000001.npy").unlink()

    monkeypatch.setattr(embedding, "write_shards", lose_one)
    with pytest.raises(FileNotFoundError, match="000001"):
        embedding.embed(run, orientations=1)


def galaxies_of(run):
    return GalaxySet.load(run / "dataset").images


def test_what_is_already_there_is_not_made_again(pretrained, monkeypatch):
    run = pretrained
    embedding.embed(run, orientations=1)
    monkeypatch.setattr(embedding, "write_shards", None)
    embedding.embed(run, orientations=1)
    with pytest.raises(TypeError):
        embedding.embed(run, orientations=4)


def test_the_model_of_moco_is_found_again(run, views):
    pretrain.pretrain(run, views, method="moco", representation="trained", **QUICK)
    model = embedding.load_model(run)
    assert type(model).__name__ == "MoCo" and not model.training
    h, z = embedding.embed(run, orientations=1)
    with torch.inference_mode():
        torch.testing.assert_close(model.head(torch.from_numpy(h)).numpy(), z)


def test_encoders_and_names_are_found_by_seed_and_prefix(run, views, galaxies):
    short = QUICK | {"epochs": 1}
    pretrain.pretrain(run, views, **short, seed=3)
    for part, seed in {"moco": 3, "moco-seed4": 4}.items():
        pretrain.pretrain(run, views, part=part, method="moco", seed=seed, **short)
        embedding.embed(run, orientations=1, part=part)
    assert trained.method_name(run) == "SimCLR"
    assert trained.method_name(run, "moco-seed4") == "MoCo"
    encoders = trained.load_encoders(run, n_seeds=2, prefix="moco")
    spaces = trained.load_representations(run, n_seeds=2, prefix="moco")
    assert list(encoders) == list(spaces) == [3, 4]
    for seed, encoder in encoders.items():
        alone = encoder.embed(galaxies.images[:5], orientations=1)
        np.testing.assert_allclose(alone, spaces[seed][:5], atol=1e-4)
    with pytest.raises(ValueError, match="seed4: expected a finished pretraining; run 03_pretrain"):
        trained.load_encoders(run, n_seeds=2)


@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_a_principal_representation_is_computed_at_the_end(run, views, galaxies, method):
    settings = {"method": method, "representation": "principal", "projection_dim": 24}
    pretrain.pretrain(run, views, **settings, **QUICK | {"epochs": 1})
    h, z = embedding.embed(run, orientations=8)
    encoder, train = load_encoder(run / "pretrain" / "encoder.pt"), galaxies.indices("train")
    assert h.shape == (384, 64) and z.shape == (384, 24)
    np.testing.assert_allclose(encoder.embed(galaxies.images[:9]), h[:9], atol=1e-4)
    assert abs(h[train].mean(axis=0)).max() < 1e-4, "the mean of the training galaxies is off"
    covariance = np.cov(h[train].T)
    off_diagonal = covariance - np.diag(np.diag(covariance))
    assert abs(off_diagonal).max() < 1e-3 * covariance.max()
    model = embedding.load_model(run)
    pooled = torch.from_numpy(encoder.embed(galaxies.images[:9], pooled=True))
    with torch.inference_mode():
        torch.testing.assert_close(model.head(pooled).numpy(), z[:9], atol=1e-4, rtol=1e-3)
