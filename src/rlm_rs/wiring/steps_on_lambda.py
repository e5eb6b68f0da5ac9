"""The `lambda` runner, in the account of the AWS profile. Imported when asked for: boto3 is slow to."""

from __future__ import annotations

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.runners.lambda_calls import LambdaCalls, client_of
from rlm_rs.runners.lambda_runner import LambdaConfig, LambdaRunner, Stored
from rlm_rs.runners.stored_image import StoredImages
from rlm_rs.settings import Settings
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.links import S3Links
from rlm_rs.wiring.aws import account_of
from rlm_rs.wiring.stores import Stores


def lambda_runner(settings: Settings, stores: Stores) -> LambdaRunner:
    """Steps in calls of SANDBOX_LAMBDA_FUNCTION_NAME. Raises `SettingInvalid`."""
    name = settings.sandbox_lambda_function_name
    if name is None:
        raise SettingInvalid(
            variable="SANDBOX_LAMBDA_FUNCTION_NAME", value="", reason="set it: SANDBOX_RUNNER is lambda."
        )
    if not isinstance(stores.blobs, S3Blobs):
        reason = "the function reads documents from S3: set RLM_PROFILE=aws, or SANDBOX_RUNNER=process."
        raise SettingInvalid(variable="SANDBOX_RUNNER", value="lambda", reason=reason)
    config = LambdaConfig(settings.s3_bucket, settings.sandbox_lambda_timeout_seconds)
    images = StoredImages(stores.blobs, settings.s3_bucket, settings.rlm_data_dir / "images")
    stored = Stored(stores.blobs, S3Links(stores.blobs.place), images)
    account = account_of(settings)
    client = client_of(account.session, account.endpoint, config.timeout_seconds, config.running)
    return LambdaRunner(LambdaCalls(client, name, threads=config.running), stored, config)
