import { describe, expect, test } from "vitest";

import type { Schemas } from "@/lib/api";

import { blocksOf, dayWords, isInSight, levelsOf, spendDays, totalOf } from "./spendDays";

const COSTS: Schemas["CostDays"] = {
  currency: "usd",
  days: ["2026-11-21", "2026-11-22"],
  categories: { workers: [2, 1], infra: [3, 1.5], ai: [null, null], fees: [-1, 0], revenue: [40, 10] },
  measured_at: "2026-11-22T12:00:00Z",
};

function forecast(days: string[], low: number | null = 1): Schemas["CostForecast"] {
  const daily = days.map((day) => ({ day, cost: 5, low: 4, high: 7, guarded: 4 }));
  return { confidence_low: low, daily } as Schemas["CostForecast"];
}

describe("days", () => {
  test("of the past and of the forecast meet today, which has both", () => {
    const days = spendDays(COSTS, forecast(["2026-11-21", "2026-11-22", "2026-11-23"]));
    expect(days.map((day) => [day.day, day.isToday, day.forecast !== null])).toEqual([
      ["2026-11-21", false, false],
      ["2026-11-22", true, true],
      ["2026-11-23", false, true],
    ]);
    expect(days[0]?.amounts).toEqual([2, 3, null, -1]);
  });

  test("a forecast without history is no forecast of zero", () => {
    expect(spendDays(COSTS, forecast(["2026-11-22", "2026-11-23"], null)).map((day) => day.forecast)).toEqual([null, null]);
  });

  test("revenue is no cost", () => expect(levelsOf(spendDays(COSTS, undefined))).toEqual([2, 5, -1, 1, 2.5]));

  test("say what is not known", () => {
    const text = dayWords(spendDays(COSTS, undefined)[0] ?? { day: "", amounts: [], isToday: false, forecast: null }, String);
    expect(text.split("\n")).toEqual(["21 Nov 2026", "workers: 2", "infrastructure: 3", "AI: unknown", "fees: -1", "sum: 4"]);
  });
});

test("what was given back hangs below zero", () => {
  expect(blocksOf([2, -1, 0, 3, null, -4])).toEqual([
    { part: 0, from: 0, to: 2 },
    { part: 1, from: 0, to: -1 },
    { part: 3, from: 2, to: 5 },
    { part: 5, from: -1, to: -5 },
  ]);
});

test("a sum of nothing known is not known", () => {
  expect(totalOf([null, null])).toBeNull();
  expect(totalOf([null, 0])).toBe(0);
});

test("a limit far above everything is not drawn", () => {
  expect(isInSight(30, [10])).toBe(true);
  expect(isInSight(31, [10])).toBe(false);
});
