"""The product's n-gram model, with fewer steps, under a name of its own."""

from ml_backend.models.headlines import Headlines


class PlainWords(Headlines):
    name = "plain_words"

    @classmethod
    def hyperparameters(cls):
        return {**super().hyperparameters(), "steps": 20}
