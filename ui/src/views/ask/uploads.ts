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

/** A file and its path from the folder it was found in on. */
export interface Found {
  path: string;
  file: File;
}

/** Uploads a few files at a time and tells of every change. */
export class Uploads {
  private list: Upload[] = [];
  private readonly requests = new Map<number, XMLHttpRequest>();

  constructor(private readonly changed: (uploads: Upload[]) => void) {}

  add(files: readonly Found[]): void {
    const known = new Set(this.list.map((one) => one.name));
    for (const { path, file } of files) {
      // a folder's files go by their place in it, unless two folders have the same
      const name = [path.slice(path.indexOf("/") + 1), path].find((one) => !known.has(one));
      if (name === undefined) continue;
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
export async function droppedFiles(items: DataTransferItemList): Promise<Found[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return (await Promise.all(entries.map((entry) => filesOf(entry)))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<Found[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
    return hidden(entry.name) ? [] : [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  if (hidden(entry.name)) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Found[] = [];
  // a reader gives out a hundred at a time
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await filesOf(inner)));
  }
}

/** The files of a file or folder input. */
export function pickedFiles(files: FileList): Found[] {
  return [...files]
    .map((file) => ({ path: file.webkitRelativePath || file.name, file }))
    .filter(({ path }) => !path.split("/").some(hidden));
}

function hidden(name: string): boolean {
  return name.startsWith(".");
}
