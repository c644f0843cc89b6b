import { describe, expect, test } from "vitest";

import { ago, count, milliseconds, money, percent, plural, span, UNKNOWN } from "@/lib/format";

describe("what is not known is a word, never a number", () => {
  test.each([milliseconds, span, percent, count])("%o", (format) => {
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) expect(format(value)).toBe(UNKNOWN);
  });

  test("money and ages", () => {
    expect(money(null, "usd")).toBe(UNKNOWN);
    expect(ago(null)).toBe("age unknown");
  });
});

test.each([
  [0, "0 s"],
  [59.4, "59 s"],
  [59.6, "1 min"],
  [185, "3 min 5 s"],
  [3_600, "1 h"],
  [7_800, "2 h 10 min"],
  [273_600, "3 d 4 h"],
])("a span of %d s is %s", (seconds, text) => expect(span(seconds)).toBe(text));

test.each([
  [0, "0 ms"],
  [0.44, "0.4 ms"],
  [38.2, "38 ms"],
  [150, "150 ms"],
  [999, "999 ms"],
  [1_240, "1.24 s"],
])("%d ms is %s", (value, text) => expect(milliseconds(value)).toBe(text));

test("shares, counts and money", () => {
  expect(percent(0.9995, 2)).toBe("99.95 %");
  expect(percent(0)).toBe("0 %");
  expect(percent(1)).toBe("100 %");
  expect(count(1204)).toBe("1,204");
  expect(money(12.4, "usd")).toBe("12.40 USD");
  expect(money(-1204.5, "eur")).toBe("-1,205 EUR");
  expect(money(0.004, "usd")).toBe("< 0.01 USD");
  expect(money(-0.004, "usd")).toBe("> -0.01 USD");
  expect(money(0, "usd")).toBe("0.00 USD");
  expect(plural(1, "job")).toBe("1 job");
  expect(plural(0, "job")).toBe("0 jobs");
});

test("an age begins with now", () => {
  expect(ago(0.4)).toBe("just now");
  expect(ago(4)).toBe("4 s ago");
});
