import { describe, expect, test } from "vitest";

import type { Schemas } from "@/lib/api";

import { cellOf, levelOf, reachedColumns } from "./cohortCells";

const COHORT: Schemas["Cohort"] = { start: "2026-11-01", end: "2026-11-01", users: 40, retained: [40, 1, 0, null], rates: [1, 0.025, 0, null] };

describe("a cell", () => {
  test("holds its share and says it in words", () => {
    expect(cellOf(COHORT, 0, "day")).toEqual({ text: "100", level: 10, words: "day 0: 40 of 40, 100 %" });
    expect(cellOf(COHORT, 1, "week")).toEqual({ text: "2.5", level: 1, words: "week 1: 1 of 40, 2.5 %" });
  });

  test("of a period in which nobody came is a zero", () => expect(cellOf(COHORT, 2, "day")).toMatchObject({ text: "0", level: 0 }));

  test("of a period that is not over is blank, never a zero", () => {
    for (const column of [3, 9]) expect(cellOf(COHORT, column, "day")).toEqual({ text: "", level: null, words: "not over yet" });
  });

  test("of a cohort of nobody has no share", () => {
    expect(cellOf({ ...COHORT, users: 0, retained: [0], rates: [null] }, 0, "day")).toEqual({ text: "–", level: null, words: "nobody was new" });
  });
});

test.each([
  [0, 0],
  [0.001, 1],
  [0.1, 1],
  [0.101, 2],
  [0.999, 10],
  [1, 10],
])("a share of %d is shaded at level %d", (rate, level) => expect(levelOf(rate)).toBe(level));

test("columns that no cohort has reached are left out", () => expect(reachedColumns([COHORT], [0, 1, 2, 3, 4])).toEqual([0, 1, 2]));
