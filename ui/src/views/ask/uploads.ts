import { ApiError } from "../../api/client";
import type { UploadOut } from "../../api/schema";

/** A file on its way to the service. */
export interface Upload {
  id: number;
  name: string;
  file: File;
  sent: number;
  state: "waiting" | "sending" | "stored" | "failed";
  uri: string;
  problem: string;
}

const AT_ONCE = 3;
let ids = 0;

/** Uploads a few files at a time and tells of every change. */
export class Uploads {
  private list: Upload[] = [];
  private readonly requests = new Map<number, XMLHttpRequest>();

  constructor(private readonly changed: (uploads: Upload[]) => void) {}

  add(files: readonly { name: string; file: File }[]): void {
    const known = new Set(this.list.map((one) => one.name));
    for (const { name, file } of files) {
      if (known.has(name)) continue;
      known.add(name);
      this.list.push({ id: ids++, name, file, sent: 0, state: "waiting", uri: "", problem: "" });
    }
    this.go();
  }

  remove(id: number): void {
    this.requests.get(id)?.abort();
    this.list = this.list.filter((one) => one.id !== id);
    this.go();
  }

  retry(id: number): void {
    this.change(id, { state: "waiting", sent: 0, problem: "" });
    this.go();
  }

  clear(): void {
    for (const request of this.requests.values()) request.abort();
    this.list = [];
    this.go();
  }

  private go(): void {
    let sending = this.list.filter((one) => one.state === "sending").length;
    for (const one of this.list) {
      if (one.state !== "waiting" || sending >= AT_ONCE) continue;
      sending++;
      one.state = "sending";
      this.send(one);
    }
    this.changed([...this.list]);
  }

  private send(upload: Upload): void {
    const request = new XMLHttpRequest();
    this.requests.set(upload.id, request);
    request.open("POST", `/v1/uploads?filename=${encodeURIComponent(upload.name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => this.change(upload.id, { sent: event.loaded });
    request.onload = () => this.ended(upload, request);
    request.onerror = () => this.end(upload.id, { state: "failed", problem: "The upload was interrupted." });
    request.onabort = () => this.requests.delete(upload.id);
    request.send(upload.file);
  }

  private ended(upload: Upload, request: XMLHttpRequest): void {
    if (request.status !== 201) return this.end(upload.id, { state: "failed", problem: problemOf(request) });
    const { raw_s3_uri } = JSON.parse(request.responseText) as UploadOut;
    this.end(upload.id, { state: "stored", sent: upload.file.size, uri: raw_s3_uri });
  }

  private end(id: number, now: Partial<Upload>): void {
    this.requests.delete(id);
    this.change(id, now);
    this.go();
  }

  private change(id: number, now: Partial<Upload>): void {
    this.list = this.list.map((one) => (one.id === id ? { ...one, ...now } : one));
    this.changed([...this.list]);
  }
}

function problemOf(request: XMLHttpRequest): string {
  try {
    const { error } = JSON.parse(request.responseText) as { error: { code: string; message: string } };
    return new ApiError(request.status, error.code, error.message).message;
  } catch {
    return `The server answered ${request.status}.`;
  }
}

/** The files of a drop, those in folders by their path. */
export async function droppedFiles(items: DataTransferItemList): Promise<{ name: string; file: File }[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return (await Promise.all(entries.map((entry) => filesOf(entry)))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<{ name: string; file: File }[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
    return hidden(entry.name) ? [] : [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  if (hidden(entry.name)) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: { name: string; file: File }[] = [];
  // a reader gives out a hundred at a time
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await filesOf(inner)));
  }
}

/** The files of a file or folder input. */
export function pickedFiles(files: FileList): { name: string; file: File }[] {
  return [...files]
    .map((file) => ({ name: file.webkitRelativePath || file.name, file }))
    .filter(({ name }) => !name.split("/").some(hidden));
}

function hidden(name: string): boolean {
  return name.startsWith(".");
}
