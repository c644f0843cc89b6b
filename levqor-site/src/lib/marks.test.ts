import { expect, test } from "vitest";

import { deployMarks, labelPlaces, type Mark, marksNear, shortSha, tableRows, timesWith } from "@/lib/marks";

const mark = (at: number, label = "abc123"): Mark => ({ at, label, text: `deploy ${label}` });
const marks = [mark(100), mark(160), mark(400)];

test.each([
  ["4f1c2a9b4f1c2a9b4f1c2a9b4f1c2a9b4f1c2a9b", "4f1c2a9"],
  ["abc123", "abc123"],
  ["v2026.11.22", "v2026.11.22"],
  ["release-of-the-22nd", "release-of-th…"],
])("%s is shown as %s", (sha, label) => expect(shortSha(sha)).toBe(label));

test("deploys are marks, the oldest first, whichever way their time is told", () => {
  expect(deployMarks([{ at: "2026-11-22T10:00:00+00:00", sha: "two", note: "a faster import" }, { at: 1_700_000_000, sha: "one", note: "" }])).toEqual([
    { at: 1_700_000_000, label: "one", text: "deploy one" },
    { at: 1_795_341_600, label: "two", text: "deploy two (a faster import)" },
  ]);
});

test("a deploy that is newer than the newest point is still in the chart", () => {
  expect(timesWith(marks, 120, 300)).toEqual([100, 400]);
  expect(timesWith([], 120, 300)).toEqual([120, 300]);
});

test("the cursor names every mark within its reach, on both sides of it", () => {
  const near = (x: number) => marksNear(marks, x, (one) => one.at, 6);
  expect(near(94)).toMatch(/: deploy abc123$/);
  expect(near(106)).not.toBe("");
  expect(near(93)).toBe("");
  expect(near(107)).toBe("");
  expect(marksNear(marks, 130, (one) => one.at, 30).split("\n")).toHaveLength(2);
});

test("labels never cover one another, and the newest is never left out", () => {
  const places = (width: number, end: number) => [...labelPlaces(marks, (one) => one.at, () => width, end).values()];
  expect(places(60, 500)).toEqual([400, 160, 100]);
  expect(places(61, 500)).toEqual([400, 160]);
  expect(places(50, 420)).toEqual([350, 160, 100]);
});

test("the table tells of each mark at its time, among as many points as fit", () => {
  const at = Array.from({ length: 121 }, (_, index) => index * 10);
  const rows = tableRows(at, [mark(1195)], 60);
  expect(rows[0]).toEqual({ at: 1200, index: 120 });
  expect(rows[1]).toEqual({ at: 1195, mark: mark(1195) });
  expect(rows.length).toBeLessThanOrEqual(61);
  expect(tableRows([], [], 60)).toEqual([]);
});
