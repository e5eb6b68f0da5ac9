"""What the parts of the stack can reach, by role, security group and route; the function most of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

OfType = Callable[[str], dict[str, dict[str, Any]]]
Resources = dict[str, dict[str, Any]]

NETWORK_ACTIONS = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}
"""What AWS Lambda needs to place a function in subnets."""
LOG_ACTIONS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def ref(value: Any) -> str:
    """The logical id that `!Ref` or `!GetAtt` names."""
    return str(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role.get("Policies", ()):
        yield from policy["PolicyDocument"]["Statement"]


@pytest.fixture(scope="session")
def function(of_type: OfType) -> dict[str, Any]:
    (properties,) = of_type("AWS::Lambda::Function").values()
    return properties


def routes_of(subnet: str, of_type: OfType) -> str:
    """The route table of a subnet."""
    tables = of_type("AWS::EC2::SubnetRouteTableAssociation").values()
    (table,) = [ref(each["RouteTableId"]) for each in tables if ref(each["SubnetId"]) == subnet]
    return table


class TestFunction:
    """The function that runs steps reaches no secret, no table, no queue, no internet."""

    def test_its_role_writes_a_log_and_nothing_else(
        self, function: dict[str, Any], resources: Resources
    ) -> None:
        role = resources[ref(function["Role"])]["Properties"]
        assert "ManagedPolicyArns" not in role
        allowed = [each for each in statements(role) if each["Effect"] == "Allow"]
        actions = {action for each in allowed for action in listed(each["Action"])}
        assert actions == NETWORK_ACTIONS | LOG_ACTIONS
        (logs,) = [each for each in allowed if set(listed(each["Action"])) <= LOG_ACTIONS]
        assert logs["Resource"] == {"Fn::Sub": "${FunctionLog.Arn}"}

    def test_code_in_it_has_not_even_the_network_permissions(
        self, function: dict[str, Any], resources: Resources
    ) -> None:
        role = resources[ref(function["Role"])]["Properties"]
        (denied,) = [each for each in statements(role) if each["Effect"] == "Deny"]
        (arn,) = denied["Condition"]["ArnEquals"].values()
        assert (denied["Action"], denied["Resource"]) == ("ec2:*", "*")
        assert arn["Fn::Sub"].endswith(f":function:{function['FunctionName']['Fn::Sub']}")

    def test_nobody_gives_its_role_more(self, function: dict[str, Any], of_type: OfType) -> None:
        role = ref(function["Role"])
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            for policy in of_type(kind).values():
                assert role not in map(ref, policy.get("Roles", ()))

    def test_its_subnets_have_no_way_out(self, function: dict[str, Any], of_type: OfType) -> None:
        subnets = [ref(each) for each in function["VpcConfig"]["SubnetIds"]]
        tables = {routes_of(subnet, of_type) for subnet in subnets}
        assert [r for r in of_type("AWS::EC2::Route").values() if ref(r["RouteTableId"]) in tables] == []
        assert not any(of_type("AWS::EC2::Subnet")[subnet].get("MapPublicIpOnLaunch") for subnet in subnets)
        shared = [
            each["SubnetId"]
            for each in of_type("AWS::EC2::SubnetRouteTableAssociation").values()
            if ref(each["RouteTableId"]) in tables and ref(each["SubnetId"]) not in subnets
        ]
        assert shared == []

    def test_its_one_endpoint_is_s3_and_gives_texts_alone(
        self, function: dict[str, Any], of_type: OfType
    ) -> None:
        tables = {routes_of(ref(each), of_type) for each in function["VpcConfig"]["SubnetIds"]}
        reached = [
            endpoint
            for endpoint in of_type("AWS::EC2::VPCEndpoint").values()
            if tables & set(map(ref, endpoint.get("RouteTableIds", ())))
        ]
        assert [each["ServiceName"]["Fn::Sub"] for each in reached] == ["com.amazonaws.${AWS::Region}.s3"]
        (statement,) = reached[0]["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Allow", "s3:GetObject")
        assert [each["Fn::Sub"] for each in statement["Resource"]] == [
            "${Bucket.Arn}/parsed/*",
            "${Bucket.Arn}/images/*",
            "${Bucket.Arn}/steps/*",
        ]

    def test_its_security_group_opens_connections_to_s3_alone(
        self, function: dict[str, Any], of_type: OfType
    ) -> None:
        (group,) = map(ref, function["VpcConfig"]["SecurityGroupIds"])
        properties = of_type("AWS::EC2::SecurityGroup")[group]
        assert "SecurityGroupIngress" not in properties
        (egress,) = properties["SecurityGroupEgress"]
        assert egress == {
            "Description": "S3",
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "DestinationPrefixListId": {"Ref": "S3PrefixListId"},
        }
        for kind in ("AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"):
            assert of_type(kind) == {}
        for other in of_type("AWS::EC2::SecurityGroup").values():
            sources = [each.get("SourceSecurityGroupId") for each in other.get("SecurityGroupIngress", ())]
            assert {"Ref": group} not in sources

    def test_its_environment_holds_nothing(self, function: dict[str, Any]) -> None:
        assert "Environment" not in function
        assert "Layers" not in function


class TestServices:
    """The services have what they need."""

    def test_there_is_no_nat(self, of_type: OfType) -> None:
        assert of_type("AWS::EC2::NatGateway") == {}

    def test_the_parser_has_no_way_to_the_internet(self, of_type: OfType) -> None:
        network = of_type("AWS::ECS::Service")["ParserService"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        tables = {routes_of(ref(subnet), of_type) for subnet in network["Subnets"]}
        assert network["AssignPublicIp"] == "DISABLED"
        assert [r for r in of_type("AWS::EC2::Route").values() if ref(r["RouteTableId"]) in tables] == []

    def test_no_service_but_behind_the_balancer_takes_connections_from_outside(self, of_type: OfType) -> None:
        open_groups = [
            name
            for name, group in of_type("AWS::EC2::SecurityGroup").items()
            if any("CidrIp" in each for each in group.get("SecurityGroupIngress", ()))
        ]
        assert open_groups == ["LoadBalancerGroup"]

    def test_no_role_may_do_everything_or_scan(self, of_type: OfType) -> None:
        documents = [list(statements(role)) for role in of_type("AWS::IAM::Role").values()]
        documents += [
            each["PolicyDocument"]["Statement"] for each in of_type("AWS::IAM::ManagedPolicy").values()
        ]
        allowed = [each for document in documents for each in document if each["Effect"] == "Allow"]
        actions = {action for each in allowed for action in listed(each["Action"])}
        assert [action for action in actions if "*" in action] == []
        assert "dynamodb:Scan" not in actions
        everywhere = {
            action for each in allowed if "*" in listed(each["Resource"]) for action in listed(each["Action"])
        }
        assert everywhere == NETWORK_ACTIONS | {"ecr:GetAuthorizationToken"}

    def test_secrets_are_read_by_those_who_check_keys_and_call_models(self, of_type: OfType) -> None:
        readers = {
            name
            for name, role in of_type("AWS::IAM::Role").items()
            if any("secretsmanager:GetSecretValue" in listed(each["Action"]) for each in statements(role))
        }
        assert readers == {"ApiRole", "OrchestratorRole"}

    def test_the_parser_reads_originals_and_writes_texts(self, of_type: OfType) -> None:
        allowed = list(statements(of_type("AWS::IAM::Role")["ParserRole"]))
        written = [each["Resource"] for each in allowed if "s3:PutObject" in listed(each["Action"])]
        assert written == [{"Fn::Sub": "${Bucket.Arn}/parsed/*"}]
        assert {action.split(":")[0] for each in allowed for action in listed(each["Action"])} == {"s3"}
