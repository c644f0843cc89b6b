import type { Schemas } from "@/lib/api";
import { count, percent } from "@/lib/format";

type Cohort = Schemas["Cohort"];

export const LEVELS = 10;

/** One cell of the table: `level` shades it, 0 to 10; a period that is not over, or of nobody, has none. */
export interface Cell {
  text: string;
  level: number | null;
  /** What it says, in words: for who hears the table or points at it. */
  words: string;
}

const PERIODS = { day: "day", week: "week", month: "month" } as const;

/** Somebody who came back is never shaded like nobody. */
export function levelOf(rate: number): number {
  return Math.min(LEVELS, Math.max(0, Math.ceil(rate * LEVELS)));
}

export function cellOf(cohort: Cohort, column: number, by: keyof typeof PERIODS): Cell {
  const retained = cohort.retained[column] ?? null;
  if (retained === null) return { text: "", level: null, words: "not over yet" };
  const rate = cohort.rates[column] ?? null;
  if (rate === null) return { text: "–", level: null, words: "nobody was new" };
  const share = percent(rate, rate > 0 && rate < 0.1 ? 1 : 0);
  return { text: share.replace(" %", ""), level: levelOf(rate), words: `${PERIODS[by]} ${column}: ${count(retained)} of ${count(cohort.users)}, ${share}` };
}

/** All columns up to the last one that any cohort has reached: the rest would be blank. */
export function reachedColumns(cohorts: readonly Cohort[], columns: readonly number[]): number[] {
  return columns.filter((column) => cohorts.some((cohort) => (cohort.retained[column] ?? null) !== null));
}
