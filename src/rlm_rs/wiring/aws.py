"""The AWS profile: DynamoDB, S3 and SQS. Imported when it is in force: boto3 takes most of a second."""

from __future__ import annotations

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.records import WorkKind
from rlm_rs.settings import Settings
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.catalog import DynamoCatalog
from rlm_rs.storage.aws.dynamo import Dynamo
from rlm_rs.storage.aws.evaluations import DynamoEvaluations
from rlm_rs.storage.aws.journal import DynamoJournal
from rlm_rs.storage.aws.keys import DynamoAuditLog, DynamoKeys
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.limits import DynamoIdempotency, DynamoRates
from rlm_rs.storage.aws.secrets import read_secret
from rlm_rs.storage.aws.tables import QUEUES
from rlm_rs.storage.aws.wake_ups import WakeUps
from rlm_rs.storage.aws.work import DynamoWork
from rlm_rs.wiring.stores import Stores

SQS_THREADS = 8


def account_of(settings: Settings) -> Account:
    """The account that the settings and the AWS configuration name."""
    return Account(settings.aws_region, settings.aws_endpoint())


def bucket_of(settings: Settings) -> str:
    """The bucket's name, which is never the embedded profile's. Raises `SettingInvalid`."""
    if "s3_bucket" not in settings.model_fields_set:
        raise SettingInvalid(variable="S3_BUCKET", value="", reason="the aws profile needs a bucket's name.")
    return settings.s3_bucket


def aws_stores(settings: Settings) -> Stores:
    """Every store, in that account. Raises `SettingInvalid`."""
    bucket, account = bucket_of(settings), account_of(settings)
    calls = account.calls("dynamodb", "DynamoDB")
    wake_ups = WakeUps(account.calls("sqs", "SQS", SQS_THREADS), queue_names(settings))
    dynamo, blobs = Dynamo(calls, settings.table_prefix()), S3Blobs(account.bucket)
    large = LargeRecords(blobs, bucket)
    return Stores(
        journal=DynamoJournal(dynamo, large),
        catalog=DynamoCatalog(dynamo, large),
        blobs=blobs,
        work=DynamoWork(dynamo, wake_ups),
        evaluations=DynamoEvaluations(dynamo, large),
        keys=DynamoKeys(dynamo),
        audit=DynamoAuditLog(dynamo),
        idempotency=DynamoIdempotency(dynamo, large),
        rates=DynamoRates(dynamo),
        closing=(wake_ups.close, calls.close),
    )


def queue_names(settings: Settings) -> dict[WorkKind, str]:
    """The queue of wake-ups for each kind of work."""
    names = {WorkKind(queue.kind): queue.name(settings.table_prefix()) for queue in QUEUES}
    named = {
        WorkKind.INGESTION: settings.sqs_ingestion_queue,
        WorkKind.EXECUTION: settings.sqs_execution_queue,
    }
    return names | {kind: name for kind, name in named.items() if name}


def secret_value(settings: Settings, variable: str, arn: str) -> str | dict[str, str]:
    """What a secret holds; it is looked for in the region that its ARN names, where none is set."""
    parts = arn.split(":")
    region = parts[3] if parts[0] == "arn" and len(parts) > 3 else None
    return read_secret(Account(settings.aws_region or region, settings.aws_endpoint()), variable, arn)
