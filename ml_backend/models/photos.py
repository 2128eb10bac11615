"""Photographs: features of a pretrained network, and a linear classifier over them.

``picture -> features x [D] -> (x - m) / |x - m| -> dropout -> W·x + c [C]``, ``m`` the mean of what was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders import photos as centring
from ml_backend.encoders import picture_vectors
from ml_backend.errors import BadItemError
from ml_backend.models.linear_head import LinearHead
from ml_backend.models.reading import ItemReader

if TYPE_CHECKING:
    from ml_backend.models.layers import CentredNetwork

Features = NDArray[np.float32]


class Photos(LinearHead):
    """Photograph classifier over a pretrained encoder, for 2 to 1,000 classes.

    A `LinearHead`: items are what `picture_vectors.read` makes of pictures, ``float32 [D]``: the encoder runs once a
    picture, wherever it is read.
    """

    name: ClassVar[str] = "photos"
    object_tag: ClassVar[str] = "Image"
    embedding: ClassVar[str] = "photos"
    centred: ClassVar[bool] = True
    earlier_encoders: ClassVar[tuple[str, ...]] = picture_vectors.EARLIER
    """What ``auto`` stood for before: projects and pools outside that were read through one keep it, see
    `rounds.encoder_choice`."""

    @classmethod
    def default_encoder(cls) -> str:
        """What ``auto`` stands for on this machine."""
        return picture_vectors.resolve(picture_vectors.AUTO)

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it; None where it can be used."""
        return picture_vectors.all_missing()

    @classmethod
    def reader(cls, hyperparameters: Mapping[str, Any]) -> ItemReader:
        """How many pictures are read: by the encoder that the hyperparameters name.

        Raises:
            ConfigurationError: it cannot be used.
        """
        encoder = picture_vectors.resolve(str(hyperparameters.get("encoder", picture_vectors.AUTO)))
        read, networks = partial(picture_vectors.read, encoder), picture_vectors.parts(encoder)
        if not networks:
            return ItemReader(encoder, read, rounded=True)
        return ItemReader(
            encoder,
            read,
            rounded=True,
            parts=tuple(cls.reader({"encoder": network}) for network in networks),
            read_each=partial(picture_vectors.read_each, networks),
            join=partial(picture_vectors.beside, encoder),
        )

    @classmethod
    def read_item(cls, raw: bytes | str) -> Features:
        """Features of one encoded picture by the default encoder; many are read faster by `picture_vectors.read`."""
        if not isinstance(raw, bytes):
            raise BadItemError(f"Expected an image, got {type(raw).__name__}; check the task's data")
        (found,) = picture_vectors.read(picture_vectors.AUTO, [raw])
        if isinstance(found, BadItemError):
            raise found
        return found

    @classmethod
    def _knows(cls, encoder: str) -> bool:
        return picture_vectors.known(encoder)

    def seen(self, vectors: Features) -> Features:
        """What the head sees of vectors of its encoder ``[N, D]``, as `pool` keeps them: centred."""
        return centring.Photos(self._fitted().get_buffer("mean").numpy()).embed(list(vectors))

    def _new(self, encoder: str, items: Sequence[Features]) -> CentredNetwork:
        from ml_backend.models.layers import CentredNetwork

        mean = centring.Photos.learn(items, seed=0).state()[0]["mean"]
        network = CentredNetwork.zeros(picture_vectors.resolve(encoder), len(mean), len(self.labels))
        network.mean.copy_(mean)
        return network

    def _features(self, items: Sequence[Features]) -> Features:
        return centring.Photos(self._fitted().get_buffer("mean").numpy()).embed(items)
