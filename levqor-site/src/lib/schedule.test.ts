import { expect, test } from "vitest";

import { dueText, runLength, triggerText } from "@/lib/schedule";

test.each([
  ["5 0 * * *", "daily at 00:05"],
  ["5 9 * * mon", "Mondays at 09:05"],
  ["0 2 * * tue-sun", "tue to sun at 02:00"],
  ["7 * * * *", "hourly at :07"],
  ["*/15 * * * *", "every 15 min"],
  ["0 2 1 * *", "0 2 1 * *"],
  ["0 */6 * * *", "0 */6 * * *"],
  ["by the loop", "by the loop"],
])("%s is %s", (trigger, text) => expect(triggerText(trigger)).toBe(text));

const NOW = Date.parse("2026-03-01T10:00:00Z");
const RUN = { id: 1, job: "backup", due_at: "", attempt: 1, asked_by: null, state: "running", exit_code: null } as const;

test("how long a run took", () => {
  expect(runLength({ ...RUN, started_at: null, ended_at: null }, NOW)).toBeNull();
  expect(runLength({ ...RUN, started_at: "2026-03-01T09:59:00Z", ended_at: null }, NOW)).toBe("1 min so far");
  expect(runLength({ ...RUN, started_at: "2026-03-01T09:00:00Z", ended_at: "2026-03-01T09:00:04Z" }, NOW)).toBe("4 s");
});

test("what is due, and what is overdue", () => {
  expect(dueText("2026-03-01T13:20:00Z", NOW)).toBe("in 3 h 20 min");
  expect(dueText("2026-03-01T09:56:00Z", NOW)).toBe("overdue for 4 min");
});
