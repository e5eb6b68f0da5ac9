"""An AWS account as the settings name it: region, credentials, and the clients of each service.

Credentials are found as every AWS tool finds them: environment, shared files and profiles, SSO, the role of a
container or machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.store import ObjectStore, S3Store

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.storage.aws.calls import Calls

CONNECT_SECONDS, READ_SECONDS = 5, 25
CONNECTIONS = 64
CREDENTIAL_LIFE = timedelta(minutes=5)
EMULATED_REGION = "us-east-1"
EMULATED_KEY = "test"
"""What emulators take for credentials, where none are set."""


@dataclass(frozen=True)
class Account:
    """Where the services are. endpoint: URL of an emulator in place of AWS."""

    region: str | None = None
    endpoint: str | None = None

    @cached_property
    def session(self) -> boto3.session.Session:
        """Region and credentials. Raises `SettingInvalid` where one of them is missing."""
        try:
            return self._emulated() if self.endpoint else self._session()
        except BotoCoreError as error:
            raise SettingInvalid(variable="AWS_PROFILE", value="", reason=f"{error}.") from error

    def _session(self) -> boto3.session.Session:
        session = boto3.session.Session(region_name=self.region)
        if session.region_name is None:
            raise SettingInvalid(variable="AWS_REGION", value="", reason="set it, such as eu-central-1.")
        if session.get_credentials() is None:
            raise SettingInvalid(
                variable="AWS_PROFILE", value="", reason="there are no credentials for AWS; set them."
            )
        return session

    def _emulated(self) -> boto3.session.Session:
        inner = botocore.session.get_session()
        # an emulator's user has no role of a machine: looking for one takes seconds
        inner.get_component("credential_provider").remove("iam-role")
        region = self.region or inner.get_config_variable("region") or EMULATED_REGION
        if inner.get_credentials() is None:
            return boto3.session.Session(EMULATED_KEY, EMULATED_KEY, region_name=region)
        return boto3.session.Session(botocore_session=inner, region_name=region)

    def client(self, service: str, attempts: int = 1) -> Any:
        """A low-level client, by default without retries of its own. Raises `SettingInvalid`."""
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
        )
        try:
            return self.session.client(service, endpoint_url=self.endpoint, config=config)
        except (BotoCoreError, ValueError) as error:
            raise SettingInvalid(
                variable="AWS_ENDPOINT_URL", value=self.endpoint or "", reason=f"{error}."
            ) from error

    def calls(self, service: str, shown: str, threads: int = 32) -> Calls:
        """A service's client in threads, with our retries. shown: its name in messages."""
        return Calls(self.client(service), shown, threads)

    def bucket(self, name: str) -> ObjectStore:
        """The store of a bucket."""
        if self.endpoint:
            return S3Store(
                name,
                endpoint=self.endpoint,
                virtual_hosted_style_request=False,
                client_options={"allow_http": True},
                credential_provider=self._credentials,
                region=self.session.region_name,
            )
        return S3Store(name, credential_provider=self._credentials, region=self.session.region_name)

    @cached_property
    def _credentials(self) -> Boto3CredentialProvider:
        # a container's role gives credentials that end soon: boto3 renews them, so they are asked for often
        return Boto3CredentialProvider(self.session, ttl=CREDENTIAL_LIFE)
