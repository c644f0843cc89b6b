import type { Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";

type Score = Schemas["PromiseScore"];

/** "8 of 10 promises kept"; those that are still open or that nobody could judge are in neither number. Null: nothing was promised. */
export function promisesText(score: Score | null): string | null {
  if (score === null) return "promises unknown";
  const judged = score.kept + score.missed;
  if (judged > 0) return `${count(score.kept)} of ${plural(judged, "promise")} kept`;
  if (score.open > 0) return `${plural(score.open, "promise")} open`;
  return score.void > 0 ? "no promise could be judged" : null;
}

/** What a promise is, and what the short text leaves out. */
export function promisesMeaning(score: Score | null): string {
  const rest = score === null ? "" : ` Of the last 90 days: ${count(score.missed)} missed, ${count(score.open)} open, ${count(score.void)} that nobody could judge.`;
  return `A step up promises when the queue will be clear, and is judged by it.${rest}`;
}
