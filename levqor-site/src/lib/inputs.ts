import type { Signal } from "@/lib/api";
import { count, milliseconds, percent, span } from "@/lib/format";
import { signalNote, signalText } from "@/lib/signals";

interface Input {
  name: string;
  format: (value: number) => string;
}

const plain = (value: number) => value.toLocaleString("en-GB", { maximumFractionDigits: 2 });

/** A wait below a second is not none. */
const seconds = (value: number) => (value < 60 ? milliseconds(value * 1000) : span(value));

/** Two figures that say something, however small: a rate of 0.004 is not none. */
const figures = (value: number) => value.toLocaleString("en-GB", { maximumSignificantDigits: value < 1 ? 2 : 3 });

const INPUTS: Record<string, Input> = {
  queue_depth: { name: "jobs waiting", format: count },
  p95_ms: { name: "P95", format: milliseconds },
  requests: { name: "requests in the window", format: count },
  slow_requests: { name: "of them slow", format: count },
  running: { name: "jobs running", format: count },
  oldest_wait_s: { name: "oldest wait", format: seconds },
  arrival_rate: { name: "jobs that arrive", format: (value) => `${figures(value)} a second` },
  mean_service_s: { name: "a job takes, on average", format: seconds },
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
