import type { Decision } from "@/lib/api";

export type Outcome = "up" | "down" | "frozen" | "held" | "nothing";

/** What a decision came to, in one word. */
export function outcomeOf(decision: Decision): Outcome {
  if (decision.action === "scale_up") return "up";
  if (decision.action === "scale_down") return "down";
  if (decision.action === "freeze") return "frozen";
  return decision.reasons.some((reason) => reason.votes && reason.code === "held") ? "held" : "nothing";
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
