/** Server-Sent Events over fetch (WHATWG HTML, section 9.2), so that status codes can be told apart. */

export interface Frame {
  id: string;
  data: string;
}

/** Read frames until the stream ends; comments are left out. */
export async function* frames(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const pieces = (waiting + value).split("\n\n");
      waiting = pieces.pop() ?? "";
      for (const piece of pieces) {
        const frame = parsed(piece);
        if (frame) yield frame;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parsed(piece: string): Frame | null {
  let id = "";
  const data: string[] = [];
  for (const line of piece.split("\n")) {
    if (line.startsWith("id:")) id = line.slice(3).trim();
    else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
  }
  return data.length ? { id, data: data.join("\n") } : null;
}
