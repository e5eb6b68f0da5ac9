import { here } from "../app/place";

/** An answer with its marks `[1]` as links to the citations. It is text, whatever it holds. */
export function AnswerText({ text, citations, picked }: { text: string; citations: number; picked: number | null }) {
  return (
    <div class="answer-text" dir="auto">
      {text.split(/(\[\d{1,4}\])/).map((piece, index) => {
        const number = index % 2 ? Number(piece.slice(1, -1)) : 0;
        if (number < 1 || number > citations) return piece;
        return (
          <a
            key={index}
            class="mark"
            href={here({ cite: number })}
            aria-current={picked === number ? "true" : undefined}
            aria-label={`Citation ${number}`}
          >
            {number}
          </a>
        );
      })}
    </div>
  );
}
