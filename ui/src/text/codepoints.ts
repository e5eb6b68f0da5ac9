/** Offsets of documents count Unicode code points; JavaScript strings count UTF-16 units. These convert. */

const HIGH = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const LOW = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** How many code points a string has. */
export function codePoints(text: string): number {
  let count = 0;
  for (let unit = 0; unit < text.length; unit++, count++) if (pair(text, unit)) unit++;
  return count;
}

/** The UTF-16 index of each of some ascending code point offsets; one past the end is the end. */
export function utf16Indices(text: string, offsets: readonly number[]): number[] {
  const found: number[] = [];
  let unit = 0;
  let point = 0;
  for (const offset of offsets) {
    while (point < offset && unit < text.length) {
      unit += pair(text, unit) ? 2 : 1;
      point++;
    }
    found.push(unit);
  }
  return found;
}

/** `text[start:end]` as Python slices it, for offsets that are not negative. */
export function slicePoints(text: string, start: number, end: number): string {
  const [from, to] = utf16Indices(text, [start, Math.max(start, end)]);
  return text.slice(from, to);
}

function pair(text: string, unit: number): boolean {
  return HIGH(text.charCodeAt(unit)) && LOW(text.charCodeAt(unit + 1));
}
