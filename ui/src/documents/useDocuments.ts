import { useEffect, useState } from "preact/hooks";
import { useBackend } from "../api/backend";
import { reasonOf } from "../api/client";
import type { DocumentView, PageView } from "../api/schema";

/** The documents of a session; `gone` says why they cannot be had, when the session has ended. */
export function useDocuments(sessionId: string | null): { documents: DocumentView[] | null; gone: string } {
  const backend = useBackend();
  const [found, setFound] = useState<{ documents: DocumentView[] | null; gone: string }>({ documents: null, gone: "" });
  useEffect(() => {
    let wanted = true;
    setFound({ documents: null, gone: "" });
    if (sessionId !== null)
      backend.documents(sessionId).then(
        (documents) => wanted && setFound({ documents, gone: "" }),
        (error: unknown) => wanted && setFound({ documents: null, gone: reasonOf(error) }),
      );
    return () => {
      wanted = false;
    };
  }, [sessionId, backend]);
  return found;
}

const NO_PAGES: PageView[] = [];

/** The pages of a document; none until they are known. */
export function usePages(sessionId: string, docId: string | null, has: boolean): readonly PageView[] {
  const backend = useBackend();
  const [pages, setPages] = useState<{ of: string; pages: PageView[] }>({ of: "", pages: NO_PAGES });
  useEffect(() => {
    let wanted = true;
    if (docId !== null && has)
      backend.structure(sessionId, docId).then(
        (found) => wanted && setPages({ of: docId, pages: found.pages }),
        () => wanted && setPages({ of: docId, pages: NO_PAGES }),
      );
    return () => {
      wanted = false;
    };
  }, [sessionId, docId, has, backend]);
  return pages.of === docId ? pages.pages : NO_PAGES;
}
