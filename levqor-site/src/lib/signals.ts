import type { Signal } from "@/lib/api";
import { ago, UNKNOWN } from "@/lib/format";

/** A signal in words: its figure, or which of the three other things it is. */
export function signalText(signal: Signal | undefined, format: (value: number) => string): string {
  if (signal === undefined || signal.state === "unknown") return UNKNOWN;
  if (signal.state === "no_traffic") return "none";
  if (signal.state === "not_configured") return "not configured";
  return signal.value === null ? UNKNOWN : format(signal.value);
}

/** How old it is, or why there is no figure. `elapsedS`: since the answer came. */
export function signalNote(signal: Signal | undefined, elapsedS: number): string {
  if (signal === undefined) return "not reported";
  if (signal.state === "value" || signal.state === "no_traffic") return ago((signal.age_s ?? 0) + elapsedS);
  return signal.detail === "" ? "no reason given" : signal.detail;
}

export function isUnknown(signal: Signal | undefined): boolean {
  return signal === undefined || signal.state === "unknown";
}
