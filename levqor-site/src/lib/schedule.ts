import type { Schemas } from "@/lib/api";
import { span } from "@/lib/format";

export type Job = Schemas["ScheduledJob"];
export type Run = Schemas["JobRun"];

const DAYS: Record<string, string> = {
  mon: "Mondays",
  tue: "Tuesdays",
  wed: "Wednesdays",
  thu: "Thursdays",
  fri: "Fridays",
  sat: "Saturdays",
  sun: "Sundays",
};

/** "daily at 00:05", "Mondays at 09:05", "hourly at :07", "every 15 min"; anything else as it is written. */
export function triggerText(trigger: string): string {
  const [minute = "", hour = "", day, month, weekday = ""] = trigger.split(" ");
  if (day !== "*" || month !== "*") return trigger;
  const every = /^\*\/(\d+)$/.exec(minute)?.[1];
  if (every !== undefined && hour === "*" && weekday === "*") return `every ${every} min`;
  if (!/^\d+$/.test(minute)) return trigger;
  const past = minute.padStart(2, "0");
  if (hour === "*" && weekday === "*") return `hourly at :${past}`;
  if (!/^\d+$/.test(hour)) return trigger;
  return `${dayText(weekday)} at ${hour.padStart(2, "0")}:${past}`;
}

function dayText(weekday: string): string {
  if (weekday === "*") return "daily";
  return DAYS[weekday] ?? weekday.replace("-", " to ");
}

/** How long a run took, or takes so far; null: it was never begun. */
export function runLength(run: Run, now: number): string | null {
  if (run.started_at === null) return null;
  const from = Date.parse(run.started_at);
  if (run.ended_at !== null) return span((Date.parse(run.ended_at) - from) / 1000);
  return now > 0 ? `${span((now - from) / 1000)} so far` : null;
}

/** "in 3 h 20 min", "overdue for 4 min" */
export function dueText(dueAt: string, now: number): string {
  const left = (Date.parse(dueAt) - now) / 1000;
  return left >= 0 ? `in ${span(left)}` : `overdue for ${span(-left)}`;
}
