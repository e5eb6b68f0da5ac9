"""Which models answer: the provider that the settings name, or that a key is set for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.execution import Models
from rlm_rs.core.ports import Embedder, ModelProvider
from rlm_rs.settings import Settings

if TYPE_CHECKING:
    from rlm_rs.providers.openai import OpenAIConfig

FAKE = "fake"
OFFLINE_NOTICE = (
    "No model is configured: answering with the offline policy, which searches and quotes but does not "
    "reason. Set OPENAI_API_KEY for a real one."
)
OFFLINE_MODELS = Models("fake-root", "fake-sub")
DEFAULT_MODELS = {FAKE: OFFLINE_MODELS, "openai": Models("gpt-5", "gpt-5-mini")}


def provider_name(settings: Settings) -> str:
    """The provider that is configured, or that a key is set for, or the offline policy."""
    if settings.llm_provider:
        return settings.llm_provider
    if settings.azure_openai_endpoint and settings.azure_openai_api_key:
        return "azure_openai"
    return "openai" if settings.openai_api_key or settings.openai_base_url else FAKE


def make_provider(settings: Settings) -> ModelProvider:
    """The provider that is configured. Raises `SettingInvalid`."""
    name = provider_name(settings)
    if name == FAKE:
        from rlm_rs.providers.fake import FakeProvider

        return FakeProvider()
    # the official SDK takes about two seconds to import
    from rlm_rs.providers.openai import OpenAIProvider

    return OpenAIProvider(_azure_config(settings) if name == "azure_openai" else _openai_config(settings))


def make_embedder(settings: Settings) -> Embedder:
    """The embedding model of the provider that is configured. Raises `SettingInvalid`."""
    name, model = provider_name(settings), settings.search_embedding_model or ""
    if name == FAKE:
        reason = "it needs a provider: set OPENAI_API_KEY or OPENAI_BASE_URL."
        raise SettingInvalid(variable="SEARCH_EMBEDDING_MODEL", value=model, reason=reason)
    from rlm_rs.providers.openai_embeddings import OpenAIEmbedder

    config = _azure_config(settings) if name == "azure_openai" else _openai_config(settings)
    return OpenAIEmbedder(config, model)


def _openai_config(settings: Settings) -> OpenAIConfig:
    from rlm_rs.providers.openai import OpenAIConfig

    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise SettingInvalid(variable="OPENAI_API_KEY", value="", reason="set it, or OPENAI_BASE_URL.")
    return OpenAIConfig(
        api_key=secret(settings.openai_api_key), base_url=settings.openai_base_url, **_calling(settings)
    )


def _azure_config(settings: Settings) -> OpenAIConfig:
    from rlm_rs.providers.openai import DEFAULT_AZURE_API_VERSION, OpenAIConfig

    endpoint, key = settings.azure_endpoint(), settings.azure_key()
    if endpoint is None or key is None:
        raise SettingInvalid(
            variable="AZURE_OPENAI_ENDPOINT",
            value=endpoint or "",
            reason="set it and AZURE_OPENAI_API_KEY to use azure_openai.",
        )
    return OpenAIConfig(
        api_key=secret(key),
        azure_endpoint=endpoint,
        azure_api_version=settings.azure_version() or DEFAULT_AZURE_API_VERSION,
        **_calling(settings),
    )


def _calling(settings: Settings) -> dict[str, Any]:
    return {
        "timeout_seconds": settings.openai_timeout_seconds,
        "max_retries": settings.openai_max_retries,
        "use_responses": settings.openai_use_responses_api,
        "min_output_tokens": settings.subcall_min_completion_tokens,
        "reasoning_effort": _efforts(settings),
    }


def _efforts(settings: Settings) -> dict[str, str]:
    """By model name, the reasoning effort that is asked of it."""
    usual = DEFAULT_MODELS.get(provider_name(settings))
    sub = settings.default_models().get("sub_model") or (usual.sub if usual else None)
    effort = settings.subcall_reasoning_effort
    return {sub: effort} if sub and effort else {}


def secret(value: SecretStr | None) -> str:
    """A secret as it is sent, empty where there is none."""
    return value.get_secret_value() if value else ""
