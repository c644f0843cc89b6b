/** Figures as people read them. What is not known is a word, never a number. */

export const UNKNOWN = "unknown";

function isKnown(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** 0.4 ms, 38 ms, 1.24 s */
export function milliseconds(value: number | null | undefined): string {
  if (!isKnown(value)) return UNKNOWN;
  if (value >= 1000) return `${trimmed(value / 1000, 2)} s`;
  return `${trimmed(value, value < 10 ? 1 : 0)} ms`;
}

/** 0 s, 42 s, 3 min 5 s, 2 h 10 min, 3 d 4 h */
export function span(seconds: number | null | undefined): string {
  if (!isKnown(seconds)) return UNKNOWN;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const index = units.findIndex(([size]) => whole >= size);
  const [size, name] = units[index] ?? [1, "s"];
  const [nextSize, nextName] = units[index + 1] ?? [0, ""];
  const rest = nextSize > 0 ? Math.floor((whole % size) / nextSize) : 0;
  return `${Math.floor(whole / size)} ${name}${rest > 0 ? ` ${rest} ${nextName}` : ""}`;
}

/** "4 s ago", "just now" */
export function ago(seconds: number | null | undefined): string {
  if (!isKnown(seconds)) return "age unknown";
  return seconds < 1.5 ? "just now" : `${span(seconds)} ago`;
}

/** A share of 0..1 as per cent: 12 %, 99.95 % */
export function percent(share: number | null | undefined, digits = 0): string {
  return isKnown(share) ? `${trimmed(share * 100, digits)} %` : UNKNOWN;
}

/** 1,204 */
export function count(value: number | null | undefined): string {
  return isKnown(value) ? Math.round(value).toLocaleString("en-GB") : UNKNOWN;
}

/** 12.40 USD */
export function money(value: number | null | undefined, currency: string): string {
  return isKnown(value) ? `${amount(value)} ${currency.toUpperCase()}` : UNKNOWN;
}

/** 12.40; whole above a thousand. What is too small for two places is not shown as nothing. */
export function amount(value: number | null | undefined): string {
  if (!isKnown(value)) return UNKNOWN;
  if (value !== 0 && Math.abs(value) < 0.005) return value > 0 ? "< 0.01" : "> -0.01";
  const digits = Math.abs(value) >= 1000 ? 0 : 2;
  return value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** 14:02:11, in the reader's own zone. */
export function clock(moment: string | number | Date): string {
  return new Date(moment).toLocaleTimeString("en-GB");
}

/** 22 Nov, 14:02, in the reader's own zone. */
export function moment(at: string | number | Date): string {
  return new Date(at).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

/** The same in UTC, for a tooltip. */
export function utc(at: string | number | Date): string {
  return `${new Date(at).toISOString().replace("T", " ").slice(0, 19)} UTC`;
}

export function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function trimmed(value: number, digits: number): string {
  return value.toFixed(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}
