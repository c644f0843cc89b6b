import type { Schemas } from "@/lib/api";
import { fleetOf } from "@/lib/fleets";

export type Setting = Schemas["Setting"];

const LONGEST_VALUE = 400;

/** A value of a setting or of an audit line in one line of text; nothing is "none", which is not empty text. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "none";
  const text = typeof value === "string" ? value : Array.isArray(value) && value.every(isPlain) ? value.join(", ") : JSON.stringify(value);
  if (text === "") return "empty";
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

function isPlain(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number";
}

/** The settings whose name, source, value or meaning holds every word that was typed. */
export function settingsWith(settings: Readonly<Record<string, Setting>>, typed: string, onlySet: boolean): [string, Setting][] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return Object.entries(settings).filter(([name, setting]) => {
    if (onlySet && setting.source === "default") return false;
    const text = `${name} ${setting.source} ${valueText(setting.value)} ${setting.description ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

interface Meaning {
  what: string;
  on: string;
  off: string;
}

const FLAGS: Record<string, Meaning> = {
  AUTOSCALE_ENABLED: {
    what: "May Levqor change the number of workers by itself?",
    on: "It acts by itself from the next tick on: it moves the target up and down as its rules say, within the limits and the budget.",
    off: "It only observes and recommends. The workers stay at the target that they have now.",
  },
  INCIDENT_AUTORECOVER: {
    what: "May a recovery act by itself when the watchdog calls?",
    on: "When the watchdog calls, dead letters are requeued and workers restarted without a person, as far as the guards allow.",
    off: "An incident is recorded and told; nothing is done about it until a person recovers.",
  },
  NEW_QUEUE_ENABLED: {
    what: "May a recovery rotate the app's processes?",
    on: "A recovery may also replace the app's processes, one by one, after the workers.",
    off: "A recovery leaves the app's processes alone.",
  },
  WORKER_COUNT: {
    what: "The target: how many workers there should be.",
    on: "",
    off: "",
  },
};

/** What a flag is for; one that this page does not know says nothing. */
export function flagPurpose(name: string): string {
  return FLAGS[name]?.what ?? "";
}

/** What turning a flag to this value will do. */
export function flagMeaning(name: string, value: boolean | number, isActing: boolean, fleetKind: string): string {
  if (typeof value === "number") {
    const after = isActing ? "Levqor may move it again: a count that should stay needs a hold." : "It stays until somebody changes it.";
    return `A new target: ${fleetOf(fleetKind).follows} ${after}`;
  }
  return (value ? FLAGS[name]?.on : FLAGS[name]?.off) ?? `It is turned ${value ? "on" : "off"}.`;
}
