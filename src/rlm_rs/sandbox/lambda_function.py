"""The module that AWS Lambda loads: its import is the function's start."""

from rlm_rs.sandbox.lambda_handler import Function

handler = Function.started().handle
