"""The services of the template run what there is, with settings that exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rlm_rs.settings import Settings
from rlm_rs.testing.lambda_service import HANDLER

OfType = Callable[[str], dict[str, dict[str, Any]]]
SERVICES = ("Api", "Orchestrator", "Ingestion", "Parser")


def container(of_type: OfType, service: str) -> dict[str, Any]:
    (found,) = of_type("AWS::ECS::TaskDefinition")[f"{service}Task"]["ContainerDefinitions"]
    return dict(found)


def environment(of_type: OfType, service: str) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in container(of_type, service)["Environment"]}


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting(of_type: OfType, service: str) -> None:
    names = environment(of_type, service)
    assert [name for name in names if name.lower() not in Settings.model_fields] == []


@pytest.mark.parametrize("service", SERVICES)
def test_secrets_are_named_and_never_given(of_type: OfType, service: str) -> None:
    held = container(of_type, service)
    assert "Secrets" not in held
    assert not {"API_KEY_PEPPER", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"} & set(
        environment(of_type, service)
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_log_of_its_own(of_type: OfType, service: str) -> None:
    options = container(of_type, service)["LogConfiguration"]["Options"]
    assert options["awslogs-group"] == {"Ref": f"{service}Log"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_rolls_back_and_grows(of_type: OfType, service: str) -> None:
    deployment = of_type("AWS::ECS::Service")[f"{service}Service"]["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    rule = of_type("AWS::ApplicationAutoScaling::ScalingPolicy")[f"{service}ScalingRule"]
    assert rule["ScalingTargetId"] == {"Ref": f"{service}Scaling"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_cannot_change_itself(of_type: OfType, service: str) -> None:
    held = container(of_type, service)
    assert held["ReadonlyRootFilesystem"] is True
    assert held["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert {each["ContainerPath"] for each in held["MountPoints"]} == {"/data", "/tmp"}


@pytest.mark.parametrize(("service", "queue"), [("Orchestrator", "Execution"), ("Ingestion", "Ingestion")])
def test_workers_grow_with_what_waits(of_type: OfType, service: str, queue: str) -> None:
    rule = of_type("AWS::ApplicationAutoScaling::ScalingPolicy")[f"{service}ScalingRule"]
    metric = rule["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    (waiting,) = [each["MetricStat"]["Metric"] for each in metric["Metrics"] if each["Id"] == "waiting"]
    (dimension,) = waiting["Dimensions"]
    assert dimension["Value"] == {"Fn::GetAtt": [f"{queue}Queue", "QueueName"]}


def test_the_function_is_what_the_zip_holds(of_type: OfType) -> None:
    (function,) = of_type("AWS::Lambda::Function").values()
    assert function["Handler"] == HANDLER
    waited = environment(of_type, "Orchestrator")["SANDBOX_LAMBDA_TIMEOUT_SECONDS"]
    assert function["Timeout"] == int(waited)
    assert environment(of_type, "Api")["SANDBOX_LAMBDA_FUNCTION_NAME"] == {"Ref": "Function"}


def test_every_alarm_tells_somebody(of_type: OfType) -> None:
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert len(alarms) >= 8
    assert all(alarm["AlarmActions"] == [{"Ref": "Alarms"}] for alarm in alarms.values())


def test_plain_http_is_not_for_the_internet(template: dict[str, Any]) -> None:
    (rule,) = template["Rules"].values()
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}
    assert template["Parameters"]["ClientCidr"]["Default"] != "0.0.0.0/0"
