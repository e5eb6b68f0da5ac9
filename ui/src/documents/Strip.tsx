interface Props {
  length: number;
  read?: readonly (readonly [number, number])[];
  searched?: readonly (readonly [number, number])[];
  cited?: readonly { start: number; end: number; number: number }[];
  at?: number;
  label: string;
  pick?: (start: number) => void;
}

const WIDTH = 1000;

/** A document as a line: searched ranges hatched, read ones pale, cited ones solid. A click goes there. */
export function Strip({ length, read = [], searched = [], cited = [], at, label, pick }: Props) {
  const x = (char: number): number => (length ? (char / length) * WIDTH : 0);
  const width = (start: number, end: number): number => Math.max(2, x(end) - x(start));
  const clicked = (event: MouseEvent): void => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    pick?.(Math.min(length - 1, Math.max(0, Math.round(((event.clientX - box.left) / box.width) * length))));
  };
  return (
    <svg
      class={pick ? "strip strip-live" : "strip"}
      viewBox={`0 0 ${WIDTH} 20`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
      onClick={pick && clicked}
    >
      <rect class="strip-ground" x="0" y="0" width={WIDTH} height="20" />
      {searched.map(([start, end]) => (
        <rect key={`s${start}`} class="strip-searched" x={x(start)} y="14" width={width(start, end)} height="6" />
      ))}
      {read.map(([start, end]) => (
        <rect key={`r${start}`} class="strip-read" x={x(start)} y="0" width={width(start, end)} height="20" />
      ))}
      {cited.map(({ start, end, number }) => (
        <rect key={`c${number}`} class="strip-cited" x={x(start)} y="0" width={width(start, end)} height="20">
          <title>citation {number}</title>
        </rect>
      ))}
      {at !== undefined && <rect class="strip-at" x={Math.min(WIDTH - 3, x(at))} y="0" width="3" height="20" />}
    </svg>
  );
}
