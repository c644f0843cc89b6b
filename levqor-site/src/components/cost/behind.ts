import type { Schemas } from "@/lib/api";
import { amount, UNKNOWN } from "@/lib/format";

type Sources = Record<string, Pick<Schemas["CostSource"], "status">>;

/** Has any of these sources yet to tell of today? One that is not configured never will, and is not waited for. */
export function isAnyBehind(names: readonly string[], sources: Sources): boolean {
  return names.some((name) => sources[name]?.status === "down" || sources[name]?.status === "stale");
}

/** A sum of today: at least so much while one of its sources is behind, and then never a zero. */
export function soFar(value: number | undefined, names: readonly string[], sources: Sources): string {
  if (!isAnyBehind(names, sources)) return amount(value);
  return value === undefined || value === 0 ? UNKNOWN : `≥ ${amount(value)}`;
}

/** Is nothing set that costs, and nothing in the ledger? Then a sum of 0.00 would say too much. */
export function isNothingSet(today: Pick<Schemas["CostToday"], "spend_last_24h" | "cost" | "revenue">): boolean {
  return today.spend_last_24h.state === "not_configured" && today.cost === 0 && today.revenue === 0;
}
