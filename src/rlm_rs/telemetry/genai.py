"""Names of span attributes: OpenTelemetry's GenAI conventions, and ours beside them.

No `gen_ai.*` name is stable yet (semantic-conventions 1.38, Development), so they stand here and nowhere
else. Input tokens include cached ones, as the conventions have it.
"""

from __future__ import annotations

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
AGENT_ID = "gen_ai.agent.id"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION_ID = "gen_ai.conversation.id"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"

# sent only where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is on
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"

CHAT = "chat"
INVOKE_AGENT = "invoke_agent"
EXECUTE_TOOL = "execute_tool"

ERROR_TYPE = "error.type"

REQUEST_ID = "rlm.request_id"
TENANT_ID = "rlm.tenant.id"
SESSION_ID = "rlm.session.id"
EXECUTION_ID = "rlm.execution.id"
CHILD_ID = "rlm.execution.child_id"
MODE = "rlm.execution.mode"
DEPTH = "rlm.execution.depth"
STATUS = "rlm.execution.status"
PARTIAL = "rlm.execution.partial"
TURNS = "rlm.execution.turns"
CITATIONS = "rlm.execution.citations"
TURN = "rlm.turn"
COST_USD = "rlm.cost_usd"
PROMPT_CHARS = "rlm.prompt_chars"
PROMPT_VERSION = "rlm.prompt_version"
CACHE_HIT = "rlm.cache_hit"
SUBCALL_KIND = "rlm.subcall.kind"
STEP_SECONDS = "rlm.step.seconds"
STEP_SPANS = "rlm.step.spans"
STEP_REQUESTS = "rlm.step.requests"
