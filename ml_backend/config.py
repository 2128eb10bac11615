"""Settings: one table of names, defaults and help. The environment is read here, at the edge, and nowhere else.

Per-project settings can be overridden by the "extra params" JSON of the backend in Label Studio
(Settings > Model), for example ``{"strategy": "bald", "queue_size": 100}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_backend.encoders.folders import check_folder, parse_folders
from ml_backend.errors import ConfigurationError
from ml_backend.hardware import Hardware
from ml_backend.project_settings import LARGEST_QUEUE, ProjectSettings
from ml_backend.setting_errors import explain
from ml_backend.setting_kinds import (
    AddressList,
    Authorities,
    EncoderFolders,
    LogLevel,
    ServerUrl,
    ServerUrls,
    StoreUrl,
    Strategy,
    TextModel,
)

__all__ = ["LARGEST_QUEUE", "ProjectSettings", "Settings", "load_settings"]


class Settings(BaseSettings):
    """What one installation needs; read from the environment by ``Settings()``.

    A name that is given and that no setting has is an error; a variable of the environment may be somebody else's.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="forbid")

    label_studio_url: ServerUrl = Field("http://127.0.0.1:8080", description="where this product reaches Label Studio")
    label_studio_public_url: ServerUrl | None = Field(
        None,
        description="where browsers reach the same Label Studio, for the links that lead there; unset: "
        "LABEL_STUDIO_URL. Tasks may name their files by it, too",
    )
    label_studio_names: ServerUrls = Field(
        "",
        description="other URLs of the same Label Studio, with commas between them, such as the LABEL_STUDIO_HOST it "
        "was started with: tasks may name their files by one of them; it is asked at LABEL_STUDIO_URL all the same",
    )
    ca_file: Authorities | None = Field(
        None,
        description="file of certificates (PEM) of your own authority, trusted beside the public ones wherever this "
        "product connects by https, but for `lsal fetch-data`, which asks public servers",
    )
    label_studio_api_key: SecretStr | None = Field(
        None, description="access token of the account that reads and writes: personal access token or legacy token"
    )
    model_dir: Path = Field(Path("versions"), description="folder of model versions, queues and the task cache")
    store_url: StoreUrl | None = Field(
        None,
        description="fsspec URL, such as s3://bucket/prefix or file:///mnt/x, through which several machines share the "
        "stores; unset: MODEL_DIR alone",
    )
    host: str = Field("127.0.0.1", description="address the backend listens on")
    port: int = Field(9090, ge=0, le=65535, description="port the backend listens on")
    insecure: bool = Field(
        False,
        description="listen beyond this machine without a password: anyone who reaches the port may do everything",
    )
    allowed_hosts: str = Field(
        "",
        description="names, with commas between them, under which the backend is reached besides this machine's own, "
        "such as ml-backend or al.example.org; * for any",
    )
    trusted_proxy: str | None = Field(
        None,
        description="address of a proxy in front of the backend, whose X-Forwarded-* headers are believed: For, Proto, "
        "Host, and Prefix, the path (such as /ml) that it removes from requests",
    )
    basic_auth_user: str | None = Field(None, description="user name that Label Studio must send to the backend")
    basic_auth_pass: SecretStr | None = Field(None, description="password that Label Studio must send to the backend")
    webhook_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="secret by which the backend recognises Label Studio's webhooks; unset: one is made, and kept in "
        "MODEL_DIR",
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis that carries rounds to `lsal worker`; unset: the server runs them itself"
    )
    ray_address: str | None = Field(
        None,
        description="Ray cluster that reads, embeds, searches and predicts pools outside Label Studio, such as "
        "10.0.0.1:6379; unset: this machine",
    )
    request_timeout: float = Field(120.0, gt=0, description="seconds to wait for one answer of Label Studio")
    media_allow: AddressList | None = Field(
        None,
        description="hosts and networks of this machine or a private network that images may be fetched from, such as "
        "pictures.corp, 10.3.0.0/16; all of them where HOST is a loopback address",
    )
    media_seconds: float = Field(
        120.0,
        gt=0,
        allow_inf_nan=False,
        description="seconds that one round may spend on fetching images; the next round goes on with the rest",
    )
    encoder_folders: EncoderFolders = Field(
        "",
        description="folders, with the system's path separator between them, below which a project's encoder may be a "
        "folder; unset: none",
    )
    poll_seconds: float = Field(
        60.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds between polls for changes that no webhook reported; 0: never",
    )
    round_seconds: float = Field(
        3600.0, ge=10, le=7 * 86400, description="how long a round may take before it is broken off"
    )
    round_processes: int = Field(
        2,
        ge=1,
        le=64,
        description="how many rounds of different projects may train at once in the server; further processes start "
        "only when they are needed",
    )
    keep_versions: int = Field(20, ge=2, description="how many model versions a project keeps")
    keep_queues_seconds: float = Field(
        3600,
        ge=0,
        description="how long a replaced order stays in Label Studio, for people who have one of its tasks open",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where models are trained and score: cpu, cuda (a GPU), or auto: a GPU where there is one"
    )
    scoring_precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the images' network when it scores; bfloat16 is faster where the processor has it, but scores "
        "then depend a little on the machine",
    )
    torch_threads: int = Field(
        1, ge=1, le=1024, description="threads of one training or scoring on the CPU; more pay off only on idle cores"
    )
    spare_cores: int = Field(
        1,
        ge=0,
        le=1024,
        description="cores of this machine that a round over a pool outside Label Studio leaves to whoever labels, as "
        "far as one remains for the round; commands use all cores",
    )
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Literal["text", "json"] = Field("text", description="text, or json: one object per line")
    strategy: Strategy = Field("auto", description="strategy of projects that set none")
    queue_size: int = Field(200, ge=1, le=LARGEST_QUEUE, description="queue size of projects that set none")
    text_model: TextModel = Field("auto", description="model of text projects that set none")

    @property
    def pages_url(self) -> str:
        """Where people's browsers reach Label Studio."""
        return self.label_studio_public_url or self.label_studio_url

    def hardware(self) -> Hardware:
        """Where, how precisely, and on how many threads to compute."""
        return Hardware(self.device, self.scoring_precision, self.torch_threads)

    def project_defaults(self) -> ProjectSettings:
        """Per-project settings before a project's own overrides."""
        changes = {"strategy": self.strategy, "queue_size": self.queue_size, "text_model": self.text_model}
        return ProjectSettings().override(changes, where="Environment")

    def project_settings(self, changes: Mapping[str, Any], *, where: str) -> ProjectSettings:
        """The settings of a project that changes some; ``where`` tells the user which place to mend.

        Raises:
            ConfigurationError: an unknown name or an invalid value.
        """
        found = self.project_defaults().override(changes, where=where)
        try:
            self.check_encoder(found.hyperparameters.get("encoder"))
        except ConfigurationError as exc:
            raise ConfigurationError(f"{where}: {exc}") from exc
        return found

    def check_encoder(self, name: Any) -> None:
        """Refuse an encoder's name that is a folder outside ENCODER_FOLDERS.

        Raises:
            ConfigurationError: it is.
        """
        if isinstance(name, str):
            check_folder(name, parse_folders(self.encoder_folders))


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with ``overrides`` (None = not given) on top.

    Raises:
        ConfigurationError: a value is invalid; the message names the variable.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as exc:
        raise ConfigurationError(f"Settings: {explain(exc, Settings.model_fields, upper=True)}") from exc
