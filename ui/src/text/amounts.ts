/** Figures as people read them. */

export function count(value: number): string {
  return value.toLocaleString("en");
}

/** 950, 12.3k, 4.5M. */
export function short(value: number): string {
  if (value < 1000) return String(value);
  if (value < 1_000_000) return `${trimmed(value / 1000)}k`;
  return `${trimmed(value / 1_000_000)}M`;
}

export function seconds(value: number): string {
  if (value < 0.0095) return `${(value * 1000).toFixed(value < 0.001 ? 1 : 0)} ms`;
  if (value < 10) return `${value.toFixed(2)} s`;
  if (value < 100) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** US dollars; unknown is not nothing. */
export function cost(value: number | null | undefined): string {
  if (value === null || value === undefined) return "cost unknown";
  if (value === 0) return "$0";
  return value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toFixed(value < 1 ? 3 : 2)}`;
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${trimmed(value / 1024)} KB`;
  return `${trimmed(value / 1024 / 1024)} MB`;
}

export function ago(instant: string | number, now = Date.now()): string {
  const at = typeof instant === "number" ? instant * 1000 : Date.parse(instant);
  const past = Math.max(0, (now - at) / 1000);
  if (past < 60) return "just now";
  if (past < 3600) return `${Math.floor(past / 60)} min ago`;
  if (past < 86400) return `${Math.floor(past / 3600)} h ago`;
  return `${Math.floor(past / 86400)} d ago`;
}

export function left(instant: string | null, now = Date.now()): string {
  if (instant === null) return "no end";
  const seconds_ = (Date.parse(instant) - now) / 1000;
  return seconds_ <= 0 ? "over" : `${seconds(Math.round(seconds_)).replace(/ \d+ s$/, "")} left`;
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** The first line of a text, shortened. */
export function oneLine(text: string, most = 120): string {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length <= most ? line : `${line.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

function trimmed(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0).replace(/\.0$/, "");
}
