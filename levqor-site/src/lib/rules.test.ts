import { expect, test } from "vitest";

import type { Signal } from "@/lib/api";
import { inputText, nameOf } from "@/lib/inputs";
import { ruleOf, slidersFor } from "@/lib/rules";

const signal = (over: Partial<Signal> = {}): Signal => ({ state: "value", value: 1, age_s: 0, detail: "", ...over });
const LIMIT = { DAILY_SPEND_LIMIT: signal() };
const THRESHOLD = { inputs: { queue_depth: signal(), p95_ms: signal(), ...LIMIT } };
const WAIT = { inputs: { ...THRESHOLD.inputs, arrival_rate: signal(), mean_service_s: signal({ state: "unknown", value: null }) } };

test("a decision tells which rule made it", () => {
  expect(ruleOf(undefined)).toBeUndefined();
  expect(ruleOf(THRESHOLD)).toBe("threshold");
  expect(ruleOf(WAIT)).toBe("wait");
});

test("no slider is offered that changes nothing", () => {
  const names = (decision: typeof THRESHOLD) => slidersFor(decision).map((slider) => slider.name);
  expect(names(THRESHOLD)).toEqual(["queue_depth", "p95_ms", "calm_for_s", "spend_last_24h"]);
  expect(names(WAIT)).toEqual(["queue_depth", "calm_for_s", "spend_last_24h"]);
  expect(names({ inputs: { ...WAIT.inputs, DAILY_SPEND_LIMIT: signal({ state: "not_configured", value: null }) } })).toEqual(["queue_depth", "calm_for_s"]);
});

test("what the rule `wait` reads is said in words, and a small figure is not none", () => {
  expect(nameOf("arrival_rate")).toBe("jobs that arrive");
  expect(inputText("arrival_rate", signal({ value: 0.0042 }))).toBe("0.0042 a second, just now");
  expect(inputText("arrival_rate", signal({ value: 12.345 }))).toBe("12.3 a second, just now");
  expect(inputText("arrival_rate", signal({ value: 0 }))).toBe("0 a second, just now");
  expect(inputText("mean_service_s", signal({ value: 0.25 }))).toBe("250 ms, just now");
  expect(inputText("oldest_wait_s", signal({ value: 90 }))).toBe("1 min 30 s, just now");
  expect(inputText("mean_service_s", signal({ state: "unknown", value: null, detail: "no job has ended yet" }))).toBe("unknown, no job has ended yet");
});
