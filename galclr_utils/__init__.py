"""Galaxy morphology without labels: the thin module behind the notebooks.

Two names are all that another program needs:

>>> from galclr_utils import GalaxySet, load_encoder
"""

from galclr_utils.dataset import GalaxySet

__all__ = ["GalaxySet", "load_encoder"]


def __getattr__(name: str):
    # torch is imported when an encoder is asked for: the processes that simulate do without it
    if name == "load_encoder":
        from galclr_utils.encoders import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
