import { expect, test } from "vitest";

import { dayText, daysAfter, longDay } from "@/lib/days";

test("a day is the same day wherever the reader is", () => {
  expect(dayText("2026-11-02")).toBe("2 Nov");
  expect(longDay("2026-01-31")).toBe("31 Jan 2026");
});

test("days are counted over months and leap days", () => {
  expect(daysAfter("2028-02-28", 1)).toBe("2028-02-29");
  expect(daysAfter("2026-12-31", 1)).toBe("2027-01-01");
  expect(daysAfter("2026-03-01", -1)).toBe("2026-02-28");
});
