import { expect, test } from "vitest";

import { type Day, pointsOf, pointText, strokesOf } from "./activeDays";

function day(over: Partial<Day>): Day {
  return { day: "2026-11-01", dau: 3, wau: 5, mau: 9, is_recorded: true, wau_complete: true, mau_complete: true, ...over };
}

test("a day before the history is a gap, not a zero", () => {
  const [point] = pointsOf([day({ dau: 0, is_recorded: false })], "dau");
  expect(point?.value).toBeNull();
  expect(pointText(point, String)).toBe("not recorded");
});

test("a window that the history does not fill is said to be short", () => {
  const [point] = pointsOf([day({ mau_complete: false })], "mau");
  expect(pointText(point, String)).toBe("9 so far");
  expect(pointText(pointsOf([day({})], "mau")[0], String)).toBe("9");
  expect(pointText(pointsOf([day({ mau_complete: false })], "dau")[0], String)).toBe("3");
});

test("strokes join where only the style changes and part at a gap", () => {
  const points = [
    { value: 1, isComplete: false },
    { value: 2, isComplete: false },
    { value: 3, isComplete: true },
    { value: null, isComplete: true },
    { value: 5, isComplete: true },
  ];
  expect(strokesOf(points)).toEqual([
    { isComplete: false, columns: [0, 1] },
    { isComplete: true, columns: [1, 2] },
    { isComplete: true, columns: [4] },
  ]);
});
