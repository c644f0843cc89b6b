import { describe, expect, test } from "vitest";

import { rangeOf, yOf } from "@/lib/scale";

describe("a range", () => {
  test.each([
    [[3, 47], [0, 10, 20, 30, 40, 50]],
    [[0.07], [0, 0.02, 0.04, 0.06, 0.08]],
    [[-6, 18], [-10, -5, 0, 5, 10, 15, 20]],
    [[-4, -1], [-4, -3, -2, -1, 0]],
  ])("of %o has round levels and holds zero", (values, ticks) => expect(rangeOf(values).ticks).toEqual(ticks));

  test("of nothing, and of zeros, still has a height", () => {
    for (const values of [[], [0, 0]]) expect(rangeOf(values)).toEqual({ low: 0, high: 1, ticks: [0, 1] });
  });

  test("of people has no half ones", () => expect(rangeOf([1, 2], 5, true).ticks).toEqual([0, 1, 2]));
});

test("the top of the range is at the top of the box", () => {
  const range = rangeOf([0, 50]);
  const box = { left: 0, right: 100, top: 10, bottom: 110 };
  expect([yOf(50, range, box), yOf(25, range, box), yOf(0, range, box)]).toEqual([10, 60, 110]);
});
