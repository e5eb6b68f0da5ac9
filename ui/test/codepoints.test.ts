import assert from "node:assert/strict";
import { test } from "node:test";
import { codePoints, slicePoints, utf16Indices } from "../src/text/codepoints";
import { segments } from "../src/text/segments";

const TEXT = "a🦊b𝔊é\u0301c";

test("code points are counted, not UTF-16 units", () => {
  assert.equal(codePoints(TEXT), 7);
  assert.equal(TEXT.length, 9);
  assert.equal(codePoints(""), 0);
});

test("offsets of a document become indices of a string", () => {
  assert.deepEqual(utf16Indices(TEXT, [0, 1, 2, 3, 4, 7, 99]), [0, 1, 3, 4, 6, 9, 9]);
});

test("a slice is what Python slices", () => {
  assert.equal(slicePoints(TEXT, 1, 2), "🦊");
  assert.equal(slicePoints(TEXT, 3, 5), "𝔊é");
  assert.equal(slicePoints(TEXT, 5, 99), "\u0301c");
  assert.equal(slicePoints(TEXT, 4, 2), "");
});

test("a half of a pair that stands alone counts as one", () => {
  assert.equal(codePoints("\ud83e x"), 3);
});

test("text is cut at the edges of highlights, overlapping ones too", () => {
  const cut = segments(TEXT, 100, 7, [
    { start: 101, end: 103, id: "one" },
    { start: 102, end: 999, id: "two" },
    { start: 0, end: 100, id: "before" },
    { start: 104, end: 104, id: "empty" },
  ]);
  assert.deepEqual(
    cut.map((piece) => [piece.text, piece.start, piece.ids.join()]),
    [
      ["a", 100, ""],
      ["🦊", 101, "one"],
      ["b", 102, "one,two"],
      ["𝔊é\u0301c", 103, "two"],
    ],
  );
});
