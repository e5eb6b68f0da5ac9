"""Whether what runs in some subnets can reach anything outside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "EgressOnlyInternetGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
    "CarrierGatewayId",
    "LocalGatewayId",
)
INSIDE = ("local", "vpce-")
"""Routes to the VPC itself and to its endpoints lead nowhere else."""


def ways_out(client: Any, subnets: Sequence[str]) -> list[str]:
    """What the routes of these subnets lead to besides their VPC and its endpoints. client: EC2's."""
    tables = [_routes_of(client, subnet) for subnet in subnets]
    return sorted({out for table in tables for route in table for out in [_way_out(route)] if out})


def _routes_of(client: Any, subnet: str) -> list[Mapping[str, Any]]:
    """The routes of a subnet's own table, or of its VPC's main one."""
    own = _tables(client, "association.subnet-id", subnet)
    if not own:
        vpc = client.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
        own = [
            table
            for table in _tables(client, "vpc-id", vpc)
            if any(association.get("Main") for association in table.get("Associations", ()))
        ]
    return [route for table in own for route in table.get("Routes", ())]


def _tables(client: Any, name: str, value: str) -> list[Mapping[str, Any]]:
    pages = client.get_paginator("describe_route_tables").paginate(
        Filters=[{"Name": name, "Values": [value]}]
    )
    return [table for page in pages for table in page["RouteTables"]]


def _way_out(route: Mapping[str, Any]) -> str | None:
    target = next((str(route[name]) for name in TARGETS if route.get(name)), None)
    if target is None or target.startswith(INSIDE):
        return None
    return target
