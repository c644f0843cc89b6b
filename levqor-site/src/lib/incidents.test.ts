import { describe, expect, test } from "vitest";

import { chosenOf, factsOf, flushText, incidentSpan, openFirst, signalLines } from "@/lib/incidents";

test("what goes on comes first, of either the newest", () => {
  const listed = [
    { id: 4, state: "closed" },
    { id: 3, state: "open" },
    { id: 2, state: "closed" },
    { id: 1, state: "escalated" },
  ];
  expect(openFirst(listed).map(({ id }) => id)).toEqual([3, 1, 4, 2]);
});

describe("which incident the address opens", () => {
  const listed = [{ id: 9 }, { id: 3 }];
  test.each([
    ["3", 3],
    ["77", 77],
    ["", 9],
    ["0", 9],
    ["3<script>", 9],
    ["99999999999", 9],
  ])("#%s", (hash, id) => expect(chosenOf(hash, listed)).toBe(id));
  test("none, where none is recorded", () => expect(chosenOf("", [])).toBeNull());
});

describe("an incident's minutes", () => {
  const minute = (at: string, dead: number | null) => ({ at, dead, error_rate: null, p99_ms: null, requests: 0, queue_depth: 2, workers: 1 });

  test("a minute that is missing is a gap", () => {
    const lines = signalLines([minute("2026-03-01T10:00:00+00:00", 0), minute("2026-03-01T10:03:00Z", 5)]);
    expect(lines.values.dead).toEqual([0, null, null, 5]);
    expect(lines.at.map((time) => time - (lines.at[0] ?? 0))).toEqual([0, 60, 120, 180]);
  });

  test("none at all", () => expect(signalLines([]).at).toEqual([]));
});

describe("what a step measured", () => {
  test("nothing is nothing, and unknown is a word", () => {
    expect(factsOf(null)).toEqual([]);
    expect(factsOf({ dead: null, workers: {} })).toEqual([
      { name: "dead", text: "unknown" },
      { name: "workers", text: "none" },
    ]);
  });

  test("groups, workers and long lists", () => {
    expect(factsOf({ groups: [{ handler: "mail", error_class: "KeyError", count: 1200 }], died_again: 0 })).toEqual([
      { name: "groups", text: "1,200 × KeyError in mail" },
      { name: "died again", text: "0" },
    ]);
    expect(factsOf({ workers: { "box-1": 41, "box-2": null } })[0]?.text).toBe("box-1 (41), box-2 (unknown)");
    expect(factsOf({ replaced: Array.from({ length: 8 }, (_, index) => `w${index}`) })[0]?.text).toBe("w0, w1, w2, w3, w4, w5 and 2 more");
  });
});

test("what became of a flush", () => {
  const plan = { groups: [], chosen: 12, waiting: 0, quarantine: 0, unseen: 0 };
  const answer = { batch_id: "b", dry_run: false, plan, done: false, outcome: null };
  expect(flushText(answer)).toContain("12 jobs under way");
  const outcome = { moved: 6, finished: 0, died_again: 6, quarantined: 0, stopped_why: "the canary died again" };
  expect(flushText({ ...answer, done: true, outcome })).toBe("6 requeued, 0 finished since, 6 died again. Stopped: the canary died again.");
});

test("an incident's length, also while it goes on", () => {
  const opened_at = "2026-03-01T10:00:00Z";
  expect(incidentSpan({ opened_at, closed_at: "2026-03-01T10:04:00Z" }, 0)).toMatch(/, for 4 min$/);
  expect(incidentSpan({ opened_at, closed_at: null }, Date.parse(opened_at) + 90_000)).toMatch(/, for 1 min 30 s so far$/);
});
