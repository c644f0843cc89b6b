import { moment } from "@/lib/format";

/** Something that happened at one moment, drawn across a chart. */
export interface Mark {
  /** Epoch seconds. */
  at: number;
  /** Beside its line, short. */
  label: string;
  /** All that is known of it, without its time. */
  text: string;
}

interface Deploy {
  /** Epoch seconds, or a moment in ISO 8601. */
  at: number | string;
  sha: string;
  note: string;
}

const SHORT = 7;

/** A commit's name as people shorten it; any other name up to as many letters and an ellipsis. */
export function shortSha(sha: string): string {
  if (/^[0-9a-f]{40}$|^[0-9a-f]{64}$/i.test(sha)) return sha.slice(0, SHORT);
  return sha.length > 2 * SHORT ? `${sha.slice(0, 2 * SHORT - 1)}…` : sha;
}

/** "deploy abc123 (a faster import)" */
export function deployText({ sha, note }: Pick<Deploy, "sha" | "note">): string {
  return `deploy ${sha}${note === "" ? "" : ` (${note})`}`;
}

/** Deploys as marks, the oldest first. */
export function deployMarks(deploys: readonly Deploy[]): Mark[] {
  const seconds = (at: number | string) => (typeof at === "number" ? at : Date.parse(at) / 1000);
  return deploys
    .map((deploy) => ({ at: seconds(deploy.at), label: shortSha(deploy.sha), text: deployText(deploy) }))
    .sort((one, other) => one.at - other.at);
}

/** A span of time wide enough for its marks: the newest point is a minute or an hour old, a deploy may be a second old. */
export function timesWith(marks: readonly Mark[], low: number, high: number): [number, number] {
  const times = marks.map((mark) => mark.at);
  return [Math.min(low, ...times), Math.max(high, ...times)];
}

/** What the cursor points at: every mark within a few pixels of it, with its time; "" where there is none. */
export function marksNear(marks: readonly Mark[], x: number, xOf: (mark: Mark) => number, within = 6): string {
  const near = marks.filter((mark) => Math.abs(xOf(mark) - x) <= within);
  return near.map((mark) => `${moment(mark.at * 1000)}: ${mark.text}`).join("\n");
}

/** Where each label begins: right of its line, left of it where the chart ends. One without room has none; the newest come first. */
export function labelPlaces(marks: readonly Mark[], xOf: (mark: Mark) => number, widthOf: (mark: Mark) => number, end: number): Map<Mark, number> {
  const places = new Map<Mark, number>();
  let room = end;
  for (const mark of [...marks].reverse()) {
    const [x, width] = [xOf(mark), widthOf(mark)];
    const left = x + width > end ? x - width : x;
    if (left + width > room) continue;
    places.set(mark, left);
    room = left;
  }
  return places;
}

/** A row of a chart's table: the values at one point, or a mark. */
export type Row = { at: number; index: number } | { at: number; mark: Mark };

/** The newest first: `most` points at the most, evenly, as thousands help nobody; and every mark at its time. */
export function tableRows(at: readonly number[], marks: readonly Mark[], most: number): Row[] {
  const step = Math.max(1, Math.ceil(at.length / most));
  const points = at.map((time, index): Row => ({ at: time, index })).filter((_, index) => (at.length - 1 - index) % step === 0);
  return [...points, ...marks.map((mark): Row => ({ at: mark.at, mark }))].sort((one, other) => other.at - one.at);
}
