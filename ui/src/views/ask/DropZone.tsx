import { useRef, useState } from "preact/hooks";
import { bytes, count, plural } from "../../text/amounts";
import { VirtualList } from "../../parts/VirtualList";
import { droppedFiles, pickedFiles, type Upload, type Uploads } from "./uploads";

/** Where files and folders are dropped or picked, and how far each has come. */
export function DropZone({ uploads, list }: { uploads: Uploads; list: readonly Upload[] }) {
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const dropped = async (event: DragEvent): Promise<void> => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer) uploads.add(await droppedFiles(event.dataTransfer.items));
  };
  const picked = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    if (input.files) uploads.add(pickedFiles(input.files));
    input.value = "";
  };
  return (
    <div
      class={`drop${over ? " drop-over" : ""}${list.length ? " drop-filled" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => void dropped(event)}
    >
      <p class="drop-words">
        Drop files or a folder here, or{" "}
        <button type="button" onClick={() => files.current?.click()}>
          choose files
        </button>{" "}
        <button type="button" onClick={() => folder.current?.click()}>
          choose a folder
        </button>
      </p>
      {!list.length && <p class="hint">PDF, Word, PowerPoint, Excel, HTML, Markdown, mail, EPUB, source code, text</p>}
      <input ref={files} type="file" multiple hidden aria-label="Files" onChange={picked} />
      <input ref={folder} type="file" multiple hidden aria-label="Folder" onChange={picked} {...{ webkitdirectory: true }} />
      {list.length > 0 && <Progress uploads={uploads} list={list} />}
    </div>
  );
}

function Progress({ uploads, list }: { uploads: Uploads; list: readonly Upload[] }) {
  const stored = list.filter((one) => one.state === "stored").length;
  const size = list.reduce((sum, one) => sum + one.file.size, 0);
  return (
    <div class="uploads">
      <p class="uploads-sum" aria-live="polite">
        {count(stored)} of {plural(list.length, "file")} stored ({bytes(size)}){" "}
        <button type="button" class="quiet" onClick={() => uploads.clear()}>
          Remove all
        </button>
      </p>
      <div class="uploads-list" tabIndex={0} role="region" aria-label="Files to ask about">
        <VirtualList label="Files" items={list} keyOf={(one) => String(one.id)} estimate={34} render={(one) => <Line uploads={uploads} upload={one} />} />
      </div>
    </div>
  );
}

function Line({ uploads, upload }: { uploads: Uploads; upload: Upload }) {
  const { name, file, state, sent, problem, id } = upload;
  return (
    <div class={`upload upload-${state}`}>
      <span class="upload-name" title={name}>
        {name}
      </span>
      {state === "sending" ? (
        <progress max={file.size || 1} value={sent} aria-label={`${name}: sent so far`} />
      ) : (
        <span class="upload-state">{problem || state}</span>
      )}
      <span class="upload-size">{bytes(file.size)}</span>
      {state === "failed" && (
        <button type="button" class="quiet" onClick={() => uploads.retry(id)}>
          Again
        </button>
      )}
      <button type="button" class="quiet" aria-label={`Remove ${name}`} onClick={() => uploads.remove(id)}>
        ✕
      </button>
    </div>
  );
}
