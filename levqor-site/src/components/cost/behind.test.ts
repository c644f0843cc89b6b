import { expect, test } from "vitest";

import { soFar } from "./behind";

test.each([
  ["ok", 0, "0.00"],
  ["not_configured", 2, "2.00"],
  ["down", 2, "≥ 2.00"],
  ["stale", 0, "unknown"],
] as const)("with its source %s a sum of %d is %s", (status, value, text) => expect(soFar(value, ["openai"], { openai: { status } })).toBe(text));

test("another source that is down says nothing of this one", () => {
  expect(soFar(0, ["openai"], { openai: { status: "ok" }, stripe: { status: "down" } })).toBe("0.00");
});
