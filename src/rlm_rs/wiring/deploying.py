"""What a deployment on AWS needs, for `rlm deploy`. Imported when asked for: boto3 is slow to import."""

from __future__ import annotations

from rlm_rs.core.errors import RlmError, SettingInvalid
from rlm_rs.settings import Settings
from rlm_rs.storage.aws.examination import Examination
from rlm_rs.storage.aws.provision import provision
from rlm_rs.storage.aws.tables import TABLES, table_name
from rlm_rs.wiring.aws import account_of, bucket_of, queue_names
from rlm_rs.wiring.looks import Look

TO_CLOSE = "Turn on Block Public Access for the bucket; `rlm deploy create` does."
TO_IDENTIFY = "Set credentials (AWS_PROFILE, a role, access keys), and see that AWS can be reached from here."
TO_CREATE = "Deploy the stack, or run `rlm deploy create`."


async def create(settings: Settings) -> list[str]:
    """Create the tables, queues and bucket that are missing. Raises `RlmError`."""
    return await provision(account_of(settings), settings.table_prefix(), bucket_of(settings))


def looks(settings: Settings) -> list[Look]:
    """What is to be looked at, in order: the first few are what the others need. Raises `SettingInvalid`."""
    examination = Examination(account_of(settings), settings.table_prefix(), bucket_of(settings))
    return [
        Look("region", examination.region, "Set AWS_REGION.", needs=""),
        Look("identity", examination.identity, TO_IDENTIFY, needs="region"),
        Look("clock", examination.clock, "Synchronise this machine's clock (NTP)."),
        *_tables(settings, examination),
        Look("bucket", examination.bucket, f"{TO_CREATE} S3_BUCKET names the bucket."),
        Look("bucket privacy", examination.bucket_privacy, TO_CLOSE, needs="bucket"),
        *_queues(settings, examination),
        *_secrets(settings, examination),
        *_function(settings, examination),
    ]


def _tables(settings: Settings, examination: Examination) -> list[Look]:
    prefix, fix = settings.table_prefix(), f"{TO_CREATE} DDB_TABLE_PREFIX begins the tables' names."
    return [
        Look(f"table {table_name(prefix, table)}", lambda table=table: examination.table(table), fix)  # type: ignore[misc]
        for table in TABLES
    ]


def _queues(settings: Settings, examination: Examination) -> list[Look]:
    return [
        Look(f"queue of {kind} work", lambda name=name: examination.queue(name), TO_CREATE)  # type: ignore[misc]
        for kind, name in queue_names(settings).items()
    ]


def _secrets(settings: Settings, examination: Examination) -> list[Look]:
    arns = {
        "API_KEY_PEPPER": (settings.api_key_pepper, settings.api_key_pepper_secret_arn),
        "LLM_PROVIDER": (None, settings.llm_provider_secret_arn),
    }
    found = [
        Look(
            f"secret {name}",
            lambda arn=arn: examination.secret(arn),  # type: ignore[misc]
            f"Allow secretsmanager:GetSecretValue on it, or correct {name}_SECRET_ARN.",
        )
        for name, (value, arn) in arns.items()
        if arn and value is None
    ]
    if settings.api_key_pepper is None and settings.api_key_pepper_secret_arn is None:
        found.append(Look("pepper", _no_pepper, "Set API_KEY_PEPPER_SECRET_ARN, or API_KEY_PEPPER."))
    return found


def _function(settings: Settings, examination: Examination) -> list[Look]:
    name = settings.sandbox_lambda_function_name
    if settings.sandbox_runner != "lambda" and name is None:
        return []
    if name is None:
        raise SettingInvalid(
            variable="SANDBOX_LAMBDA_FUNCTION_NAME", value="", reason="set it: SANDBOX_RUNNER is lambda."
        )
    return [
        Look("function", lambda: examination.function(name), "Deploy the stack; it has the function."),
        Look(
            "no egress from the function",
            lambda: examination.egress(name),
            "Put it into private subnets whose routes lead to no gateway; the stack does.",
            needs="function",
        ),
    ]


async def _no_pepper() -> str:
    raise RlmError("API_KEY_PEPPER is not set: the API cannot check keys")
