import { type Use, usesOf } from "../fold/readings";
import type { Run } from "../fold/run";
import { cost, count, plural, seconds, short } from "../text/amounts";

/** How far each budget is used, and what was spent on what. */
export function Spend({ run }: { run: Run }) {
  const { spend, execution } = run;
  return (
    <div class="spend">
      <ul class="budgets">
        {usesOf(run).map((use) => (
          <li key={use.name}>
            <span class="budget-name">{use.label}</span>
            <meter
              min={0}
              max={use.limit}
              value={Math.min(use.used, use.limit)}
              class={use.used >= use.limit ? "full" : use.used >= 0.8 * use.limit ? "near" : ""}
              aria-label={`${use.label}: ${amount(use.used, use)} of ${amount(use.limit, use)}`}
            />
            <span class="budget-figures">
              {amount(use.used, use)} of {amount(use.limit, use)}
            </span>
            <code>{use.name}</code>
          </li>
        ))}
      </ul>
      <dl class="facts">
        <Fact name="root model" value={execution.models.root} />
        <Fact name="sub model" value={execution.models.sub} />
        <Fact name="input tokens" value={`${count(spend.input_tokens)}, of these ${count(spend.cached_input_tokens)} cached`} />
        <Fact name="output tokens" value={count(spend.output_tokens)} />
        <Fact name="cost" value={cost(spend.cost_usd)} />
        <Fact name="children" value={spend.rlm_subcalls ? `${count(spend.rlm_subcalls)}, in ${plural(spend.child_turns, "turn")}` : "none"} />
        <Fact name="searches" value={count(spend.searches)} />
        <Fact name="depth left for children" value={count(execution.budgets.max_depth)} />
      </dl>
    </div>
  );
}

export function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function amount(value: number, { unit }: Use): string {
  if (unit === "seconds") return seconds(value);
  if (unit === "usd") return cost(value);
  return unit === "chars" ? short(value) : count(value);
}
