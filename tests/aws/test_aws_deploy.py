"""`rlm deploy` against an emulated account: all of it there, and each piece missing or wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aws_service import REGION, Programs

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.deployment import check_deployment, create_deployment
from rlm_rs.health import Health
from rlm_rs.settings import Settings, load_settings
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.tables import SESSIONS, table_properties
from rlm_rs.testing.aws_emulator import AwsEmulator
from rlm_rs.testing.aws_proxy import AwsProxy, Fault


@pytest.fixture
def settings(emulator: AwsEmulator) -> Settings:
    """Names that nothing has yet."""
    name = uuid4().hex[:10]
    return load_settings(
        rlm_profile="aws",
        aws_region=REGION,
        aws_endpoint_url=emulator.endpoint,
        ddb_table_prefix=f"d{name}",
        s3_bucket=f"rlm-{name}",
        api_key_pepper="pepper",
    )


async def examined(settings: Settings) -> dict[str, Health]:
    return {check.name: check async for check in check_deployment(settings)}


def failed(checks: dict[str, Health]) -> list[str]:
    assert all(check.fix for check in checks.values() if not check.ok)
    return [name for name, check in checks.items() if not check.ok]


async def test_what_was_created_is_well_and_creating_again_changes_nothing(settings: Settings) -> None:
    made = await create_deployment(settings)
    assert await create_deployment(settings) == made
    checks = await examined(settings)
    assert failed(checks) == []
    assert "arn:aws" in checks["identity"].detail
    assert {"region", "clock", "bucket", "queue of execution work"} <= checks.keys()


async def test_in_an_empty_account_everything_is_missing_and_said_how_to_make(settings: Settings) -> None:
    checks = await examined(settings)
    assert [name for name, check in checks.items() if check.ok] == ["region", "identity", "clock"]
    assert "bucket privacy" not in checks
    assert all("rlm deploy create" in (check.fix or "") for check in checks.values() if not check.ok)


def without_an_index(account: Account, settings: Settings) -> None:
    client, properties = account.client("dynamodb"), table_properties(settings.table_prefix(), SESSIONS)
    client.delete_table(TableName=properties["TableName"])
    properties["GlobalSecondaryIndexes"].pop()
    used = {"PK", "SK", "age", "status_key", "fingerprint_key"}
    kept = [entry for entry in properties["AttributeDefinitions"] if entry["AttributeName"] in used]
    client.create_table(**{**properties, "AttributeDefinitions": kept})


def with_other_keys(account: Account, settings: Settings) -> None:
    client, name = account.client("dynamodb"), f"{settings.table_prefix()}_audit_log"
    client.delete_table(TableName=name)
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )


def that_keeps_everything(account: Account, settings: Settings) -> None:
    client, name = account.client("dynamodb"), f"{settings.table_prefix()}_rates"
    off = {"Enabled": False, "AttributeName": "ttl_epoch"}
    client.update_time_to_live(TableName=name, TimeToLiveSpecification=off)


def without_a_place_for_poison(account: Account, settings: Settings) -> None:
    client = account.client("sqs")
    url = client.get_queue_url(QueueName=f"{settings.table_prefix()}-execution")["QueueUrl"]
    client.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})


def open_to_the_public(account: Account, settings: Settings) -> None:
    account.client("s3").delete_public_access_block(Bucket=settings.s3_bucket)


@pytest.mark.parametrize(
    ("break_it", "name", "said"),
    [
        (without_an_index, "table {prefix}_sessions", "has no index by_end"),
        (with_other_keys, "table {prefix}_audit_log", "other keys than PK and SK"),
        (that_keeps_everything, "table {prefix}_rates", "time to live is off"),
        (without_a_place_for_poison, "queue of execution work", "no dead-letter queue"),
        (open_to_the_public, "bucket privacy", "may be opened to the public"),
    ],
)
async def test_what_is_wrong_is_named(
    account: Account,
    settings: Settings,
    break_it: Callable[[Account, Settings], None],
    name: str,
    said: str,
) -> None:
    await create_deployment(settings)
    break_it(account, settings)
    checks = await examined(settings)
    wrong = name.format(prefix=settings.table_prefix())
    assert failed(checks) == [wrong]
    assert said in checks[wrong].detail


def made_function(account: Account, name: str, subnets: list[str]) -> None:
    """A function in these subnets, once it can be called."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("lambda_function.py", "def lambda_handler(event, context):\n    return event\n")
    place = {"VpcConfig": {"SubnetIds": subnets, "SecurityGroupIds": ["sg-1"]}} if subnets else {}
    client = account.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/steps",
        Handler="lambda_function.lambda_handler",
        Code={"ZipFile": archive.getvalue()},
        **place,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def made_subnet(account: Account, *, way_out: bool) -> str:
    """A subnet whose routes lead to an internet gateway, or nowhere."""
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = str(ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"])
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    if way_out:
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    return subnet


@pytest.mark.parametrize(
    ("place", "said"), [("nowhere", ""), ("private", ""), ("public", "igw-"), ("none", "outside a VPC")]
)
async def test_a_function_that_can_reach_the_internet_is_named(
    account: Account, settings: Settings, place: str, said: str
) -> None:
    await create_deployment(settings)
    name = f"steps-{uuid4().hex[:8]}"
    if place != "nowhere":
        subnets = [] if place == "none" else [made_subnet(account, way_out=place == "public")]
        made_function(account, name, subnets)
    checks = await examined(settings.model_copy(update={"sandbox_lambda_function_name": name}))
    if place == "nowhere":
        assert failed(checks) == ["function"]
        assert "no egress from the function" not in checks
    elif said:
        assert failed(checks) == ["no egress from the function"]
        assert said in checks["no egress from the function"].detail
    else:
        assert failed(checks) == []


async def test_a_clock_that_is_wrong_is_named(emulator: AwsEmulator, settings: Settings) -> None:
    await create_deployment(settings)
    old = Fault(date=formatdate(1_700_000_000, usegmt=True))
    async with AwsProxy(emulator.endpoint) as proxy:
        proxy.faults = lambda asked: old if b"GetCallerIdentity" in asked.body else None
        checks = await examined(settings.model_copy(update={"aws_endpoint_url": proxy.endpoint}))
    assert failed(checks) == ["clock"]
    assert "s off" in checks["clock"].detail


async def test_an_account_that_cannot_be_reached_is_one_failure(settings: Settings) -> None:
    checks = await examined(settings.model_copy(update={"aws_endpoint_url": "http://127.0.0.1:9"}))
    assert failed(checks) == ["identity"]
    assert len(checks) == 2


async def test_secrets_are_looked_at_but_not_said(account: Account, settings: Settings) -> None:
    await create_deployment(settings)
    client = account.client("secretsmanager")
    arn = client.create_secret(Name=f"p{uuid4().hex}", SecretString="hidden pepper")["ARN"]
    named = {"api_key_pepper": None, "api_key_pepper_secret_arn": arn}
    checks = await examined(settings.model_copy(update=named))
    assert failed(checks) == []
    assert checks["secret API_KEY_PEPPER"].ok
    assert "hidden" not in json.dumps([check.detail for check in checks.values()])
    missing = {"api_key_pepper": None, "api_key_pepper_secret_arn": f"{arn}x"}
    assert failed(await examined(settings.model_copy(update=missing))) == ["secret API_KEY_PEPPER"]
    unset = {"api_key_pepper": None}
    assert failed(await examined(settings.model_copy(update=unset))) == ["pepper"]


async def test_the_embedded_profile_has_nothing_to_deploy(settings: Settings) -> None:
    with pytest.raises(SettingInvalid, match="RLM_PROFILE"):
        await examined(settings.model_copy(update={"rlm_profile": "embedded"}))


def test_the_command_says_all_of_it_and_ends_with_one_code(
    emulator: AwsEmulator, settings: Settings, tmp_path: Path
) -> None:
    programs = Programs(tmp_path, emulator.endpoint, settings.table_prefix(), settings.s3_bucket)
    missing = programs.run("deploy", "check")
    assert missing.returncode == 1
    assert f"FAILED  table {settings.table_prefix()}_sessions: " in missing.stdout
    assert "\n        -> Deploy the stack, or run `rlm deploy create`." in missing.stdout
    assert programs.run("deploy", "create").returncode == 0
    well = programs.run("deploy", "check")
    assert (well.returncode, well.stdout.splitlines()[-1]) == (0, "All 18 checks passed.")
    as_json: dict[str, Any] = json.loads(programs.run("deploy", "check", "--json").stdout)
    assert as_json["ok"] is True
    assert len(as_json["checks"]) == 18
    elsewhere = programs.run("deploy", "check", RLM_PROFILE="embedded")
    assert (elsewhere.returncode, elsewhere.stdout) == (2, "")
    assert elsewhere.stderr.startswith("rlm: RLM_PROFILE is 'embedded'")


def test_help_imports_no_sdk() -> None:
    code = "import sys, rlm_rs.cli.deploy, rlm_rs.deployment; print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
