"""Where sessions are searched: the engine that the settings name, where it is installed."""

from __future__ import annotations

from rlm_rs.core.errors import SearchFailed, SettingInvalid
from rlm_rs.core.ports import Blobs, Embedder, SearchIndex
from rlm_rs.settings import Settings
from rlm_rs.wiring.providers import make_embedder, secret

MISSING = "install it with `pip install 'rlm-rs[{extra}]'`."


def make_search(settings: Settings, blobs: Blobs) -> SearchIndex | None:
    """The engine; None where the embedded one is not installed and nobody insists on it.

    Raises `SettingInvalid`.
    """
    engine = _opensearch if settings.search_engine == "opensearch" else _embedded
    index = engine(settings, blobs)
    if index is None or settings.search_embedding_model is None:
        return index
    return _with_meaning(settings, index, make_embedder(settings), blobs)


def search_detail(index: SearchIndex | None) -> str:
    """What searches, in words."""
    return index.name if index else f"there is no search engine; {MISSING.format(extra='search')}"


def _embedded(settings: Settings, blobs: Blobs) -> SearchIndex | None:
    try:
        from rlm_rs.search.embedded import EmbeddedIndex
        from rlm_rs.search.local import LocalLimits
    except ModuleNotFoundError as error:
        if settings.enable_search_default:
            raise _not_installed("ENABLE_SEARCH_DEFAULT", "true", "search", error) from error
        return None
    limits = LocalLimits(disk_bytes=settings.search_cache_bytes)
    return EmbeddedIndex(blobs, settings.s3_bucket, settings.rlm_data_dir / "indexes", limits)


def _opensearch(settings: Settings, blobs: Blobs) -> SearchIndex:
    url = settings.opensearch_url
    if not url:
        raise SettingInvalid(variable="OPENSEARCH_URL", value="", reason="set it to use opensearch.")
    try:
        from rlm_rs.search.opensearch import OpenSearchIndex
    except ModuleNotFoundError as error:
        raise _not_installed("SEARCH_ENGINE", "opensearch", "opensearch", error) from error
    password = secret(settings.opensearch_password)
    login = (settings.opensearch_username, password) if settings.opensearch_username else None
    try:
        return OpenSearchIndex(blobs, url, login)
    except SearchFailed as error:
        raise SettingInvalid(variable="OPENSEARCH_URL", value=url, reason=error.message) from error


def _with_meaning(settings: Settings, index: SearchIndex, embedder: Embedder, blobs: Blobs) -> SearchIndex:
    try:
        from rlm_rs.search.fused import FusedIndex
    except ModuleNotFoundError as error:
        name = settings.search_embedding_model or ""
        raise _not_installed("SEARCH_EMBEDDING_MODEL", name, "embeddings", error) from error
    return FusedIndex(index, embedder, blobs, settings.s3_bucket)


def _not_installed(variable: str, value: str, extra: str, error: ModuleNotFoundError) -> SettingInvalid:
    return SettingInvalid(
        variable=variable, value=value, reason=f"{error.name} is missing; {MISSING.format(extra=extra)}"
    )
