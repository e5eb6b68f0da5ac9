import { Fragment } from "preact";
import { useMemo } from "preact/hooks";
import type { PageView } from "../api/schema";
import { type Highlight, segments } from "../text/segments";

interface Props {
  text: string;
  start: number;
  end: number;
  highlights: readonly Highlight[];
  picked: string | null;
  pages: readonly PageView[];
}

/** A range of canonical text with its highlights and the beginnings of its pages. It is text, never HTML. */
export function Passage({ text, start, end, highlights, picked, pages }: Props) {
  const cut = useMemo(() => {
    const begins = pages.filter((page) => page.start_char >= start && page.start_char < end);
    const edges = begins.map((page) => ({ start: page.start_char, end: page.start_char + 1, id: "" }));
    const pageAt = new Map(begins.map((page) => [page.start_char, page.page_num]));
    return segments(text, start, end - start, [...highlights, ...edges]).map((segment) => ({
      ...segment,
      ids: segment.ids.filter(Boolean),
      page: pageAt.get(segment.start),
    }));
  }, [text, start, end, highlights, pages]);
  return (
    <>
      {cut.map((segment) => (
        <Fragment key={segment.start}>
          {segment.page !== undefined && (
            <span class="page-begin" data-page={segment.page}>
              page {segment.page}
            </span>
          )}
          {segment.ids.length ? (
            <mark
              data-marks={segment.ids.join(" ")}
              data-from={segment.start}
              class={picked !== null && segment.ids.includes(picked) ? "picked" : ""}
            >
              {segment.text}
            </mark>
          ) : (
            segment.text
          )}
        </Fragment>
      ))}
    </>
  );
}
