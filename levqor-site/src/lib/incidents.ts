import type { Schemas } from "@/lib/api";
import { clock, count, moment, plural, span } from "@/lib/format";

export type Incident = Schemas["IncidentRow"];
export type Recovery = Schemas["Recovery"];
export type Step = Schemas["RecoveryStep"];
export type TimedStep = Schemas["TimedStep"];
type Minute = Schemas["SignalMinute"];

const MINUTE_S = 60;
const LONGEST_LIST = 6;

/** What goes on before what is over; of either the newest first. */
export function openFirst<T extends { id: number; state: string }>(incidents: readonly T[]): T[] {
  const isOver = (one: T) => (one.state === "closed" ? 1 : 0);
  return [...incidents].sort((one, other) => isOver(one) - isOver(other) || other.id - one.id);
}

/** The incident that the address names, else the first; none is open where there is none. */
export function chosenOf(hash: string, incidents: readonly { id: number }[]): number | null {
  return /^[1-9]\d{0,9}$/.test(hash) ? Number(hash) : (incidents[0]?.id ?? null);
}

const STEPS: Record<Step["name"], string> = {
  flush_dead_letters: "Flush dead letters",
  restart_workers: "Restart workers",
  rotate_app: "Rotate the app",
};

export function stepName(step: Step): string {
  return STEPS[step.name] ?? String(step.name);
}

/** "14:02:11, 2 s", "14:02:11, for 4 s now", "not begun" */
export function stepTimes(step: TimedStep, now: number): string {
  if (step.intent_at === null) return step.status === "planned" ? "not begun" : "";
  const begun = clock(step.intent_at);
  const from = Date.parse(step.intent_at);
  if (step.outcome_at !== null) return `${begun}, ${span((Date.parse(step.outcome_at) - from) / 1000)}`;
  return now > 0 ? `${begun}, for ${span((now - from) / 1000)} now` : begun;
}

export interface Fact {
  name: string;
  text: string;
}

/** What a step measured, in words: figures as they are, lists by their length and their first members. */
export function factsOf(measured: Record<string, unknown> | null): Fact[] {
  return Object.entries(measured ?? {}).flatMap(([name, value]) => {
    const text = valueText(value);
    return text === "" ? [] : [{ name: name.replaceAll("_", " "), text }];
  });
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return "unknown";
  if (typeof value === "number") return Number.isInteger(value) ? count(value) : String(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "object") return String(value);
  const members = Array.isArray(value) ? value.map(memberText) : Object.entries(value).map(([name, member]) => `${name} (${memberText(member)})`);
  const more = members.length - LONGEST_LIST;
  return members.slice(0, LONGEST_LIST).join(", ") + (more > 0 ? ` and ${count(more)} more` : "") || "none";
}

function memberText(member: unknown): string {
  if (typeof member === "object" && member !== null && "count" in member && "handler" in member) {
    return groupText(member as Schemas["PlannedGroup"]);
  }
  if (typeof member === "object" && member !== null) return Object.values(member).map(String).join(" ");
  return member === null ? "unknown" : String(member);
}

/** "12 × TypeError in fail" */
export function groupText(group: Schemas["PlannedGroup"]): string {
  return `${count(group.count)} × ${group.error_class} in ${group.handler}`;
}

/** What the page says after a flush. */
export function flushText(answer: Schemas["RequeueAnswer"]): string {
  const outcome = answer.outcome;
  if (outcome === null) return `${plural(answer.plan.chosen, "job")} under way: the flush goes on, and the audit log says how it ended.`;
  const parts = [
    `${count(outcome.moved)} requeued`,
    `${count(outcome.finished)} finished since`,
    ...(outcome.died_again > 0 ? [`${count(outcome.died_again)} died again`] : []),
    ...(outcome.quarantined > 0 ? [`${count(outcome.quarantined)} quarantined`] : []),
  ];
  return parts.join(", ") + (outcome.stopped_why === "" ? "." : `. Stopped: ${outcome.stopped_why}.`);
}

export interface SignalLines {
  at: number[];
  values: Record<"error_rate" | "p99_ms" | "queue_depth" | "dead" | "workers", (number | null)[]>;
}

/** An incident's minutes as lines; a minute that nobody measured is a gap, not a line through it. */
export function signalLines(minutes: readonly Minute[]): SignalLines {
  const known = new Map(minutes.map((minute) => [Math.round(Date.parse(minute.at) / 1000), minute]));
  const times = [...known.keys()];
  const first = Math.min(...times);
  const length = times.length === 0 ? 0 : Math.round((Math.max(...times) - first) / MINUTE_S) + 1;
  const at = Array.from({ length }, (_, index) => first + index * MINUTE_S);
  const line = (name: keyof SignalLines["values"]) => at.map((time) => known.get(time)?.[name] ?? null);
  return {
    at,
    values: { error_rate: line("error_rate"), p99_ms: line("p99_ms"), queue_depth: line("queue_depth"), dead: line("dead"), workers: line("workers") },
  };
}

/** "22 Nov, 14:02, for 4 min", "22 Nov, 14:02, goes on since 4 min" */
export function incidentSpan(incident: { opened_at: string; closed_at: string | null }, now: number): string {
  const from = Date.parse(incident.opened_at);
  const begun = moment(incident.opened_at);
  if (incident.closed_at !== null) return `${begun}, for ${span((Date.parse(incident.closed_at) - from) / 1000)}`;
  return now > 0 ? `${begun}, for ${span((now - from) / 1000)} so far` : begun;
}
