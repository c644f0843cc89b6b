import type { Signal } from "@/lib/api";
import { count, milliseconds, percent } from "@/lib/format";
import { signalNote, signalText } from "@/lib/signals";

interface Input {
  name: string;
  format: (value: number) => string;
}

const plain = (value: number) => value.toLocaleString("en-GB", { maximumFractionDigits: 2 });

const INPUTS: Record<string, Input> = {
  queue_depth: { name: "jobs waiting", format: count },
  p95_ms: { name: "P95", format: milliseconds },
  requests: { name: "requests in the window", format: count },
  slow_requests: { name: "of them slow", format: count },
  error_rate: { name: "error rate", format: (value) => percent(value, 2) },
  spend_last_24h: { name: "spend in 24 h", format: plain },
  forecast_next_30d: { name: "forecast for 30 days", format: plain },
  DAILY_SPEND_LIMIT: { name: "daily spend limit", format: plain },
};

/** A decision's input by the name that people use. */
export function nameOf(input: string): string {
  return INPUTS[input]?.name ?? input;
}

/** Its figure with its age, or why there is none. */
export function inputText(input: string, signal: Signal): string {
  const text = signalText(signal, INPUTS[input]?.format ?? plain);
  return `${text}, ${signalNote(signal, 0)}`;
}
