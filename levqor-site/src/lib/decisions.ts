import type { Decision } from "@/lib/api";

export type Outcome = "up" | "down" | "frozen" | "held" | "nothing";

/** What a decision came to, in one word. */
export function outcomeOf(decision: Decision): Outcome {
  if (decision.action === "scale_up") return "up";
  if (decision.action === "scale_down") return "down";
  if (decision.action === "freeze") return "frozen";
  return decision.reasons.some((reason) => reason.votes && reason.code === "held") ? "held" : "nothing";
}

const CODES: Record<string, string> = {
  held: "held",
  unknown: "unknown",
  freeze: "frozen by spend",
  spend_unknown: "spend unknown",
  no_room: "no room",
  at_max: "at the maximum",
  starting: "still starting",
  watching: "watching the last step",
  did_not_help: "the last step did not help",
  p95_high: "P95 is high",
  depth_high: "many jobs wait",
  wait_high: "jobs would wait too long",
  too_few: "too few requests",
  wait_low: "fewer are enough",
  pause: "fewer may be enough",
  calm: "calm",
  calming: "not calm for long enough",
  at_min: "at the minimum",
  steady: "steady",
  step_price: "price of a step",
  promise: "promise",
  not_configured: "not configured",
};

/** A reason's code in words; one that this page does not know is shown as it is. */
export function codeWords(code: string): string {
  return CODES[code] ?? code.replaceAll("_", " ");
}

const SIGNS: Record<Outcome, string> = { up: "▲", down: "▼", frozen: "❄", held: "✋", nothing: "–" };

export function signOf(outcome: Outcome): string {
  return SIGNS[outcome];
}

/** "2 → 3", "would be 2 → 3", "stayed at 2" */
export function moveOf(decision: Decision): string {
  if (decision.target === decision.current) return `stayed at ${decision.current}`;
  const move = `${decision.current} → ${decision.target}`;
  return decision.applied ? move : `would be ${move}`;
}

/** The reason that had the last word; a decision without one says nothing. */
export function becauseOf(decision: Decision): string {
  const first = decision.reasons.find((reason) => reason.votes) ?? decision.reasons[0];
  return first?.text ?? "no rule spoke";
}
