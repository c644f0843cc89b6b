import type { Signal } from "@/lib/api";
import { count, milliseconds, span } from "@/lib/format";

/** SCALE_RULE */
export type Rule = "threshold" | "wait";

type Inputs = Readonly<Record<string, Signal>>;

/** A decision lists what its rule read, and only `wait` reads how long jobs take. Undefined: there is no decision yet. */
export function ruleOf(decision: { inputs: Inputs } | undefined): Rule | undefined {
  if (decision === undefined) return undefined;
  return "mean_service_s" in decision.inputs ? "wait" : "threshold";
}

export interface Slider {
  name: string;
  label: string;
  max: number;
  step: number;
  format: (value: number) => string;
}

const DEPTH: Slider = { name: "queue_depth", label: "Jobs waiting", max: 100, step: 1, format: count };
const P95: Slider = { name: "p95_ms", label: "P95", max: 1000, step: 10, format: milliseconds };
const SPEND: Slider = { name: "spend_last_24h", label: "Spend in 24 h", max: 200, step: 1, format: String };
const CALM: Slider = { name: "calm_for_s", label: "Calm for", max: 1200, step: 30, format: span };
const ENOUGH: Slider = { ...CALM, label: "Fewer have been enough for" };

/** What may be supposed: only what the rule and the brake read. Without a limit no spend changes a decision. */
export function slidersFor(decision: { inputs: Inputs }): readonly Slider[] {
  const sliders = ruleOf(decision) === "wait" ? [DEPTH, ENOUGH] : [DEPTH, P95, CALM];
  return decision.inputs["DAILY_SPEND_LIMIT"]?.state === "not_configured" ? sliders : [...sliders, SPEND];
}
