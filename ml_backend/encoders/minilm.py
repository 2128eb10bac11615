"""all-MiniLM-L6-v2 read from its files: a BERT of six layers, without the packages that read every other one.

Transformer: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; BERT: Devlin et al. 2019,
https://arxiv.org/abs/1810.04805; MiniLM: Wang et al. 2020, https://arxiv.org/abs/2002.10957; sentences as the mean of
their tokens: Reimers & Gurevych 2019, https://arxiv.org/abs/1908.10084. sentence-transformers gives the same vectors,
and imports hundreds of megabytes to do so.

Axes: ``N`` texts, ``B`` texts of a batch, ``T`` tokens of its longest text, ``H`` heads, ``D`` dimensions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

BATCH: Final = 64
"""Texts of about the same length that are encoded together: more do not make a CPU faster."""
ACTIVATION: Final = "gelu"


class MiniLmNetwork:
    """The network and its tokenizer.

    Args:
        folder: ``config.json``, ``sentence_bert_config.json``, ``tokenizer.json`` and ``model.safetensors``, as
            sentence-transformers stores them.
        device: where it computes.

    Raises:
        OSError: a file is missing. KeyError: a weight is. ValueError: it is another kind of network.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if (config["model_type"], config["hidden_act"]) != ("bert", ACTIVATION):
            raise ValueError(f"{folder} holds a {config['model_type']}, not a BERT with {ACTIVATION}")
        self.layers, self.heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        self._device = device
        # On a CPU these are the file's own pages, which processes share.
        self._weights = load_file(folder / "model.safetensors", device=str(device))
        longest = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))["max_seq_length"]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(int(longest))
        self._tokenizer.no_padding()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1 ``[N, D]``: the mean of a text's tokens, normalised."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))  # little padding: batches of one length
        out = np.empty((len(texts), self._weights["embeddings.word_embeddings.weight"].shape[1]), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            out[rows] = self._sentences([tokens[i] for i in rows]).cpu().numpy()
        return out

    def _sentences(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """``[B, D]`` of token ids."""
        longest = max(map(len, tokens))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens], device=self._device)  # [B, T]
        lengths = torch.tensor([len(row) for row in tokens], device=self._device)
        real = torch.arange(longest, device=self._device) < lengths[:, None]  # [B, T]
        mean = (self._hidden(ids, real) * real[..., None]).sum(dim=1) / lengths[:, None]
        return F.normalize(mean, dim=1)

    def _hidden(self, ids: Tensor, real: Tensor) -> Tensor:
        """The last layer's output ``[B, T, D]``; padding is not attended to."""
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm("embeddings", x + w["embeddings.position_embeddings.weight"][: ids.shape[1]])
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            x = self._norm(f"{name}.attention.output", x + self._attention(f"{name}.attention", x, real))
            inner = F.gelu(self._linear(f"{name}.intermediate.dense", x))
            x = self._norm(f"{name}.output", x + self._linear(f"{name}.output.dense", inner))
        return x

    def _attention(self, name: str, x: Tensor, real: Tensor) -> Tensor:
        """``softmax(QKᵀ / √(D/H)) V``, in ``H`` heads ``[B, T, D]``."""
        query, key, value = (
            self._linear(f"{name}.self.{part}", x).view(*x.shape[:2], self.heads, -1).transpose(1, 2)  # [B, H, T, D/H]
            for part in ("query", "key", "value")
        )
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=real[:, None, None, :])
        return self._linear(f"{name}.output.dense", seen.transpose(1, 2).flatten(2))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._weights[f"{name}.LayerNorm.weight"], self._weights[f"{name}.LayerNorm.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self._epsilon)
