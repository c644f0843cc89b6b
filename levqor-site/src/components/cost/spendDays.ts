import type { Schemas } from "@/lib/api";
import { longDay } from "@/lib/days";
import { UNKNOWN } from "@/lib/format";

type CostDays = Schemas["CostDays"];
type Forecast = Schemas["CostForecast"];
type ForecastDay = Schemas["ForecastDay"];

/** What costs, in the order in which it is stacked. */
export const PARTS = [
  { name: "workers", label: "workers", series: 1 },
  { name: "infra", label: "infrastructure", series: 2 },
  { name: "ai", label: "AI", series: 3 },
  { name: "fees", label: "fees", series: 4 },
] as const;

/** A UTC day as the chart shows it: what it cost, what it is expected to cost, or both today. */
export interface SpendDay {
  day: string;
  /** Beside PARTS; null is not known. A day to come has none. */
  amounts: readonly (number | null)[];
  isToday: boolean;
  forecast: ForecastDay | null;
}

/** One part of a day's bar, from one level to another. */
export interface Block {
  part: number;
  from: number;
  to: number;
}

/** The last days, and after them those of the forecast. One that knows of nothing is left out. */
export function spendDays(costs: CostDays, forecast: Forecast | undefined): SpendDay[] {
  const today = costs.days.at(-1) ?? "";
  const expected = forecast === undefined || forecast.confidence_low === null ? [] : forecast.daily.filter((day) => day.day >= today);
  const past = costs.days.map((day, index) => ({
    day,
    amounts: PARTS.map((part) => costs.categories[part.name]?.[index] ?? null),
    isToday: day === today,
    forecast: expected.find((found) => found.day === day) ?? null,
  }));
  const toCome = expected.filter((day) => day.day > today);
  return [...past, ...toCome.map((day) => ({ day: day.day, amounts: [], isToday: false, forecast: day }))];
}

/** Costs rise from zero, what was given back hangs below it. */
export function blocksOf(amounts: readonly (number | null)[]): Block[] {
  let above = 0;
  let below = 0;
  return amounts.flatMap((amount, part) => {
    if (amount === null || amount === 0) return [];
    const from = amount > 0 ? above : below;
    const to = from + amount;
    if (amount > 0) above = to;
    else below = to;
    return [{ part, from, to }];
  });
}

/** The sum of what is known; null of nothing. */
export function totalOf(amounts: readonly (number | null)[]): number | null {
  const known = amounts.filter((amount) => amount !== null);
  return known.length === 0 ? null : known.reduce((sum, amount) => sum + amount, 0);
}

/** Every level that the chart has to hold. */
export function levelsOf(days: readonly SpendDay[]): number[] {
  return days.flatMap((day) => [
    ...blocksOf(day.amounts).map((block) => block.to),
    ...(day.forecast === null ? [] : [day.forecast.cost, day.forecast.low, day.forecast.high].filter((level) => level !== null)),
  ]);
}

const FAR = 3;

/** Drawn, a limit far above everything would flatten everything. */
export function isInSight(limit: number, levels: readonly number[]): boolean {
  return limit <= FAR * Math.max(0, ...levels);
}

/** A day in words: its parts, their sum, and what is expected of it. */
export function dayWords(day: SpendDay, format: (value: number) => string): string {
  const said = (value: number | null) => (value === null ? UNKNOWN : format(value));
  const lines = [`${longDay(day.day)}${day.isToday ? ", so far" : ""}`];
  if (day.amounts.length > 0) {
    lines.push(...PARTS.map((part, index) => `${part.label}: ${said(day.amounts[index] ?? null)}`), `sum: ${said(totalOf(day.amounts))}`);
  }
  if (day.forecast !== null) lines.push(`expected: ${said(day.forecast.cost)} (${said(day.forecast.low)} to ${said(day.forecast.high)})`);
  return lines.join("\n");
}
