import assert from "node:assert/strict";
import { test } from "node:test";
import { frames } from "../src/api/stream";

function stream(...pieces: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const bytes = encoder.encode(pieces.join(""));
  return new ReadableStream({
    start(controller) {
      // one byte at a time: characters and frames are cut anywhere
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
}

test("frames are put together from whatever pieces come", async () => {
  const found = [];
  const body = stream(": heartbeat\n\n", 'id: 4\nevent: StepRan\ndata: {"a": "🦊"}\n\n', "data: one\ndata: two\n\n", "id: 9\ndata: cut");
  for await (const frame of frames(body)) found.push(frame);
  assert.deepEqual(found, [
    { id: "4", data: '{"a": "🦊"}' },
    { id: "", data: "one\ntwo" },
  ]);
});
