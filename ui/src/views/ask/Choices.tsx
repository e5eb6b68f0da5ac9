import { useWho } from "../../app/who";
import type { BudgetsBody, ModelsBody } from "../../api/schema";

export interface Chosen {
  root: string;
  sub: string;
  mode: "ANSWER" | "CONTEXTS";
  ttl: number;
  budgets: Record<string, string>;
}

export const NOTHING_CHOSEN: Chosen = { root: "", sub: "", mode: "ANSWER", ttl: 1440, budgets: {} };

const BUDGETS = [
  ["max_turns", "turns"],
  ["max_total_seconds", "seconds"],
  ["max_cost_usd", "US dollars"],
  ["max_total_tokens", "tokens"],
  ["max_llm_subcalls", "sub-calls"],
  ["max_depth", "levels of children"],
] as const;

/** Models, budgets, what is wanted: each is as the service has it unless it is said here. */
export function Choices({ chosen, change, keeps }: { chosen: Chosen; change: (now: Partial<Chosen>) => void; keeps: boolean }) {
  const who = useWho();
  const budget = (name: string, value: string): void => change({ budgets: { ...chosen.budgets, [name]: value } });
  return (
    <div class="choices">
      <fieldset>
        <legend>Result</legend>
        <label>
          <input type="radio" name="mode" checked={chosen.mode === "ANSWER"} onChange={() => change({ mode: "ANSWER" })} /> an answer with
          citations
        </label>
        <label>
          <input type="radio" name="mode" checked={chosen.mode === "CONTEXTS"} onChange={() => change({ mode: "CONTEXTS" })} /> the passages
          themselves
        </label>
        {keeps && (
          <label class="field">
            Keep the documents for{" "}
            <select value={String(chosen.ttl)} onChange={(event) => change({ ttl: Number(event.currentTarget.value) })}>
              <option value="60">an hour</option>
              <option value="1440">a day</option>
              <option value="10080">a week</option>
              <option value="43200">30 days</option>
            </select>
          </label>
        )}
      </fieldset>
      <fieldset>
        <legend>Models</legend>
        <label class="field">
          Root model
          <input value={chosen.root} placeholder={who.models.root_model} spellcheck={false} onInput={(event) => change({ root: event.currentTarget.value })} />
        </label>
        <label class="field">
          Sub model
          <input value={chosen.sub} placeholder={who.models.sub_model} spellcheck={false} onInput={(event) => change({ sub: event.currentTarget.value })} />
        </label>
      </fieldset>
      <fieldset class="budget-fields">
        <legend>Budgets, at most</legend>
        {BUDGETS.map(([name, label]) => (
          <label key={name} class="field">
            {label}
            <input
              inputMode="decimal"
              value={chosen.budgets[name] ?? ""}
              placeholder={shown(who.budgets[name])}
              title={name}
              onInput={(event) => budget(name, event.currentTarget.value)}
            />
          </label>
        ))}
      </fieldset>
    </div>
  );
}

function shown(value: unknown): string {
  return typeof value === "number" ? value.toLocaleString("en") : "no bound";
}

/** The models that were named, or nothing. */
export function modelsOf(chosen: Chosen): Partial<ModelsBody> | undefined {
  const models = { ...(chosen.root.trim() && { root_model: chosen.root.trim() }), ...(chosen.sub.trim() && { sub_model: chosen.sub.trim() }) };
  return Object.keys(models).length ? models : undefined;
}

/** The budgets that were given. Throws with a sentence for one that is no number. */
export function budgetsOf(chosen: Chosen): Partial<BudgetsBody> | undefined {
  const found: Record<string, number> = {};
  for (const [name, label] of BUDGETS) {
    const text = (chosen.budgets[name] ?? "").trim().replaceAll(",", "");
    if (!text) continue;
    if (!/^\d+(\.\d+)?$/.test(text)) throw new Error(`${label}: ${chosen.budgets[name]} is not a number`);
    found[name] = Number(text);
  }
  return Object.keys(found).length ? found : undefined;
}
