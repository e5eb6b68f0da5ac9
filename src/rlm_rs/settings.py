"""Settings: flags over environment over `rlm.toml` over defaults, with the names users already know.

A wrong value is one line that names the variable. `rlm.toml` is read from `$RLM_CONFIG`, else from
`rlm/rlm.toml` below the user's configuration folder; never from the folder one happens to stand in, since
a stranger's repository must not be able to send a key to another server.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from rlm_rs.core.budget import Budgets
from rlm_rs.core.errors import SettingInvalid, ValidationFailed
from rlm_rs.core.limits import RateLimits, parse_rate_limits
from rlm_rs.core.pricing import Price, parse_context_windows, parse_prices

T = TypeVar("T")
ProviderName = Literal["fake", "openai", "azure_openai"]
Profile = Literal["embedded", "aws"]
WorkerMode = Literal["all", "ingestion", "orchestrator", "none"]
TABLE_PREFIX = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
DEFAULT_TABLE_PREFIX = "rlm"
SECRETS = ("KEY", "PEPPER", "PASSWORD", "MCP_SERVERS")
"""Parts of the names of settings whose values are not shown."""
IMPORT_PREFIX = re.compile(r"s3://[^/\s]+/(?:[^\s]*/)?")


KEY_FILE = "local.key"
"""In the data directory: the key that `rlm serve` makes on a loopback address."""
SERVING_FILE = "serving.json"
"""In the data directory: where `rlm serve` answers, while it runs."""


def default_data_dir() -> Path:
    """`rlm` below the user's data folder (XDG base directory specification)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "rlm"


def config_file() -> Path:
    """Where `rlm.toml` is looked for."""
    chosen = os.environ.get("RLM_CONFIG")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "rlm" / "rlm.toml"


class McpServer(BaseModel):
    """An MCP server: a command to start, or the URL of one that runs."""

    model_config = ConfigDict(extra="forbid")

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    url: str | None = None
    headers: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give command or url, one of them")
        return self


class Settings(BaseSettings):
    """Every setting. Names are environment variables, in lower case here."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    rlm_profile: Profile | None = Field(
        None, description="embedded or aws; by default aws where DDB_TABLE_PREFIX is set, else embedded"
    )
    rlm_data_dir: Path = Field(
        default_factory=default_data_dir,
        description="where everything is kept; with aws, caches and temporary files alone",
    )
    s3_bucket: str = Field("rlm", min_length=3, description="bucket of all objects; a folder when embedded")
    aws_region: str | None = Field(None, description="region; by default that of the AWS configuration")
    ddb_table_prefix: str | None = Field(
        None, pattern=TABLE_PREFIX, description="what names of tables and queues begin with; with aws `rlm`"
    )
    localstack_endpoint_url: str | None = Field(None, description="URL of an emulator in place of AWS")
    aws_endpoint_url: str | None = Field(None, description="the same, where the one above is not set")
    sqs_ingestion_queue: str | None = Field(
        None, description="queue of wake-ups to read documents in; by default the prefix and `-ingestion`"
    )
    sqs_execution_queue: str | None = Field(
        None, description="queue of wake-ups to drive executions; by default the prefix and `-execution`"
    )
    api_key_pepper_secret_arn: str | None = Field(
        None, description="secret in AWS Secrets Manager that holds API_KEY_PEPPER, read at start"
    )
    llm_provider_secret_arn: str | None = Field(
        None, description="secret in AWS Secrets Manager that holds the provider's key, read at start"
    )
    image_cache_bytes: int = Field(
        20 << 30, ge=1 << 20, description="bytes of documents kept on disk so that steps begin at once"
    )
    llm_provider: ProviderName | None = Field(
        None, description="fake, openai or azure_openai; by default what a key is set for, else fake"
    )
    openai_api_key: SecretStr | None = Field(None, description="key for OpenAI or a compatible server")
    openai_base_url: str | None = Field(None, description="URL of an OpenAI-compatible server")
    openai_timeout_seconds: float = Field(120.0, gt=0, description="one attempt of one model call")
    openai_max_retries: int = Field(3, ge=1, le=20, description="attempts in total for one model call")
    openai_use_responses_api: bool = Field(False, description="Responses API in place of chat completions")
    azure_openai_endpoint: str | None = Field(None, description="endpoint of an Azure OpenAI resource")
    azure_openai_api_key: SecretStr | None = Field(None, description="key of that resource")
    openai_api_version: str | None = Field(None, description="Azure OpenAI API version")
    azure_openai_api_version: str | None = Field(None, description="the same, where the one above is not set")
    default_root_model: str | None = Field(None, description="root model when none is named")
    default_sub_model: str | None = Field(None, description="sub model when none is named")
    default_models_json: str | None = Field(None, description='{"root_model": …, "sub_model": …}')
    default_budgets_json: str | None = Field(None, description="budgets that replace the built-in ones")
    model_context_windows_json: str | None = Field(None, description='{"model": tokens}')
    rlm_prices_json: str | None = Field(None, description='{"model": {"input": …, "output": …}} per million')
    tool_resolution_max_concurrency: int = Field(16, ge=1, le=1000, description="sub-calls in flight")
    subcall_max_tokens: int = Field(2048, ge=1, description="output tokens of a sub-call without a limit")
    subcall_min_completion_tokens: int = Field(
        2048, ge=1, description="least output limit sent to a reasoning model, whose thoughts count"
    )
    subcall_reasoning_effort: str | None = Field(
        None, description="reasoning effort that the configured sub model is asked for, such as `low`"
    )
    rlm_cache_scope: str = Field(
        "", description="sub-calls are answered from the cache only within the same scope"
    )
    enable_root_state_summary: bool = Field(True, description="names and sizes of kept state in each turn")
    citation_merge_gap_chars: int = Field(0, ge=0, description="read spans this close are cited as one")
    sandbox_runner: Literal["process", "lambda"] = Field(
        "process",
        description="where steps are run: in locked processes here (`process`, also `local`), or on AWS "
        "`lambda`",
    )
    sandbox_lambda_function_name: str | None = Field(
        None, description="with lambda: the function that runs steps, as `name` or `name:version`"
    )
    sandbox_lambda_timeout_seconds: float = Field(
        120.0, gt=0, le=900, description="one call of that function; its own time-out must be no longer"
    )
    parser_workers: int = Field(2, ge=1, le=64, description="documents parsed at the same time")
    parser_service_url: str | None = Field(
        None, description="URL of a parser service; by default documents are parsed in child processes here"
    )
    api_key_pepper: SecretStr | None = Field(
        None, description="secret that API keys are hashed with; by default one kept in the data directory"
    )
    rate_limits_json: str | None = Field(
        None,
        description='{"max_requests": …, "window_seconds": …, "max_concurrent_executions": …}, or '
        '{"default": {…}, "tenants": {id: {…}}}; by default no limits',
    )
    request_size_limit_bytes: int = Field(
        64 << 20, ge=1, description="bytes of a request's body, uploads aside"
    )
    upload_size_limit_bytes: int = Field(5 << 30, ge=1, description="bytes of one upload")
    import_uri_prefixes: str | None = Field(
        None, description="URI prefixes, separated by commas, that every tenant may import documents from"
    )
    enable_search_default: bool = Field(
        False, description="sessions that do not say otherwise get a search index when they are made"
    )
    search_engine: Literal["embedded", "opensearch"] = Field(
        "embedded", description="what searches: embedded, or the server at OPENSEARCH_URL"
    )
    search_cache_bytes: int = Field(
        2 << 30, ge=0, description="bytes of indexes fetched from a bucket and kept in RLM_DATA_DIR"
    )
    search_embedding_model: str | None = Field(
        None, description="embedding model of the provider, to find by meaning too; by default words alone"
    )
    opensearch_url: str | None = Field(None, description="URL of an OpenSearch server")
    opensearch_username: str | None = Field(None, description="user there")
    opensearch_password: SecretStr | None = Field(None, description="password of that user")
    enable_return_trace: bool = Field(True, description="traces are kept and can be asked for")
    enable_trace_redaction: bool = Field(False, description="texts are left out of every trace")
    enable_eval_judge: bool = Field(
        False,
        description="completed executions are evaluated: baseline, judge, reference scores; costs calls",
    )
    eval_judge_model: str | None = Field(
        None, description="model that judges answers; by default the execution's root model"
    )
    eval_baseline: bool = Field(
        True, description="evaluations also ask the root model with all documents in its window, if they fit"
    )
    enable_metrics: bool = Field(True, description="metrics at /metrics")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="port of a worker process's metrics; by default they are not served"
    )
    metrics_host: str = Field("127.0.0.1", description="address of that port")
    enable_otel_tracing: bool = Field(
        False, description="OpenTelemetry traces, sent where the OTEL_* variables say"
    )
    otel_instrumentation_genai_capture_message_content: bool = Field(
        False, description="questions, prompts, code and answers go with the traces"
    )
    worker_mode: WorkerMode = Field(
        "all", description="what this process works on: all, ingestion, orchestrator or none"
    )
    worker_concurrency: int = Field(
        8,
        ge=1,
        le=1000,
        description="items of a kind at work in one process, and some of tenants who have none",
    )
    worker_lease_seconds: float = Field(
        30.0, ge=1, le=3600, description="how long what a dead worker held waits for another"
    )
    worker_poll_interval_seconds: float = Field(
        0.5, gt=0, le=60, description="pause before looking again for work of other processes"
    )
    worker_drain_seconds: float = Field(
        10.0, ge=0, le=3600, description="what work under way is given to end when a worker is to stop"
    )
    worker_max_attempts: int = Field(
        5, ge=1, le=100, description="claims after which work that never ends has failed"
    )

    mcp_servers: dict[str, McpServer] = Field(
        {},
        description='MCP servers whose tools steps can call, `{"name": {"command": …, "args": […]}}` or '
        '`{"name": {"url": …}}`; in `rlm.toml` as `[mcp_servers.name]`',
    )
    tool_timeout_seconds: float = Field(60.0, gt=0, description="one call of a custom tool")
    rlm_base_url: str | None = Field(
        None, description="URL of a server that the client and the commands use in place of this process"
    )
    rlm_api_key: SecretStr | None = Field(None, description="key for that server")

    @field_validator("sandbox_runner", mode="before")
    @classmethod
    def _runner_here(cls, value: object) -> object:
        return "process" if value == "local" else value

    @field_validator("rlm_data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())

    def profile(self) -> Profile:
        """Where things are kept."""
        return self.rlm_profile or ("aws" if self.ddb_table_prefix else "embedded")

    def table_prefix(self) -> str:
        """What the names of tables and queues begin with."""
        return self.ddb_table_prefix or DEFAULT_TABLE_PREFIX

    def aws_endpoint(self) -> str | None:
        """URL of an emulator in place of AWS."""
        return self.localstack_endpoint_url or self.aws_endpoint_url

    def azure_endpoint(self) -> str | None:
        """Endpoint of the Azure OpenAI resource; where LLM_PROVIDER says so, OPENAI_BASE_URL names it too."""
        return self.azure_openai_endpoint or self._if_azure(self.openai_base_url)

    def azure_key(self) -> SecretStr | None:
        """Key of that resource; OPENAI_API_KEY likewise."""
        return self.azure_openai_api_key or self._if_azure(self.openai_api_key)

    def azure_version(self) -> str | None:
        """Azure OpenAI API version."""
        return self.openai_api_version or self.azure_openai_api_version

    def _if_azure(self, value: T | None) -> T | None:
        return value if self.llm_provider == "azure_openai" else None

    def budgets(self, changes: Mapping[str, Any] | None = None) -> Budgets:
        """Budgets: these changes over DEFAULT_BUDGETS_JSON over the built-in ones."""
        defaults = _json_object("DEFAULT_BUDGETS_JSON", self.default_budgets_json)
        try:
            configured = Budgets().merged(defaults)
        except ValidationFailed as error:
            raise SettingInvalid(
                variable="DEFAULT_BUDGETS_JSON", value=self.default_budgets_json, reason=error.message
            ) from error
        return configured.merged(
            {name: value for name, value in (changes or {}).items() if value is not None}
        )

    def prices(self) -> Mapping[str, Price]:
        """The operator's prices."""
        return parse_prices(self.rlm_prices_json) if self.rlm_prices_json else {}

    def windows(self) -> Mapping[str, int]:
        """The operator's context windows."""
        text = self.model_context_windows_json
        return parse_context_windows(text) if text else {}

    def rate_limits(self) -> RateLimits:
        """What each tenant may ask for. Raises `SettingInvalid`."""
        return parse_rate_limits(self.rate_limits_json)

    def import_prefixes(self) -> tuple[str, ...]:
        """Where every tenant may import documents from. Raises `SettingInvalid`."""
        named = [prefix.strip() for prefix in (self.import_uri_prefixes or "").split(",")]
        prefixes = tuple(prefix for prefix in named if prefix)
        for prefix in prefixes:
            if not IMPORT_PREFIX.fullmatch(prefix):
                raise SettingInvalid(
                    variable="IMPORT_URI_PREFIXES",
                    value=self.import_uri_prefixes,
                    reason=f"{prefix} must be like s3://bucket/folder/, with a slash at its end.",
                )
        return prefixes

    def default_models(self) -> Mapping[str, str]:
        """`root_model` and `sub_model` as configured, where they are."""
        models = _json_object("DEFAULT_MODELS_JSON", self.default_models_json)
        named = {"root_model": self.default_root_model, "sub_model": self.default_sub_model}
        return {**models, **{name: model for name, model in named.items() if model}}


def load_settings(**flags: Any) -> Settings:
    """Settings from all sources; flags that are None are as if not given. Raises `SettingInvalid`."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "rlm.toml"
        raise SettingInvalid(variable=name, value=_shown(name, given), reason=first["msg"]) from None
    except (OSError, ValueError) as error:
        raise SettingInvalid(variable=str(config_file()), value="", reason=str(error)) from None


def _shown(name: str, given: Mapping[str, Any]) -> str:
    value = given.get(name.lower(), os.environ.get(name, ""))
    return "…" if any(word in name for word in SECRETS) else str(value)


def _json_object(variable: str, text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SettingInvalid(variable=variable, value=text, reason=f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise SettingInvalid(variable=variable, value=text, reason="must be a JSON object")
    return value
