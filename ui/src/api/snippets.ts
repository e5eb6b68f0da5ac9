/** Requests as a person would type them elsewhere. */

export function asCurl(path: string, method = "GET", body?: unknown): string {
  const lines = [`curl -H "Authorization: Bearer $RLM_API_KEY" '${location.origin}${path}'`];
  if (method !== "GET" && body === undefined) lines.push(`-X ${method}`);
  if (body !== undefined) lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n  ");
}

export function asPython(path: string, method = "GET", body?: unknown): string {
  const call = [`"${location.origin}${path}"`, `headers={"Authorization": f"Bearer {os.environ['RLM_API_KEY']}"}`];
  if (body !== undefined) call.push(`json=${python(body)}`);
  return `import os\nimport httpx\n\nreply = httpx.${method.toLowerCase()}(\n    ${call.join(",\n    ")},\n)\nprint(reply.json())\n`;
}

function python(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value)
      .map(([name, inner]) => `${JSON.stringify(name)}: ${python(inner)}`)
      .join(", ")}}`;
  return JSON.stringify(value);
}
