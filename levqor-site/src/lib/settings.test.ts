import { expect, test } from "vitest";

import { flagMeaning, settingsWith, valueText } from "@/lib/settings";

const SETTINGS = {
  PORT: { value: 8000, source: "default", description: "Port to listen on." },
  QUEUES: { value: ["default", "mail"], source: "QUEUES", description: "Queues to serve." },
  ADMIN_TOKEN: { value: "********", source: "ADMIN_TOKEN_FILE", description: null },
};

test.each([
  ["", false, ["PORT", "QUEUES", "ADMIN_TOKEN"]],
  ["", true, ["QUEUES", "ADMIN_TOKEN"]],
  ["listen PORT", false, ["PORT"]],
  ["mail", false, ["QUEUES"]],
  ["_file", true, ["ADMIN_TOKEN"]],
  ["nothing like it", false, []],
])("settings with %o, only set ones: %s", (typed, onlySet, names) => {
  expect(settingsWith(SETTINGS, typed, onlySet).map(([name]) => name)).toEqual(names);
});

test("values as text", () => {
  expect(valueText(null)).toBe("none");
  expect(valueText("")).toBe("empty");
  expect(valueText(false)).toBe("false");
  expect(valueText(0)).toBe("0");
  expect(valueText(["a", 2])).toBe("a, 2");
  expect(valueText({ to: 3 })).toBe('{"to":3}');
  expect(valueText("x".repeat(5000))).toHaveLength(401);
});

test("what turning a flag means", () => {
  expect(flagMeaning("AUTOSCALE_ENABLED", true, false, "agent")).toContain("acts by itself");
  expect(flagMeaning("AUTOSCALE_ENABLED", false, true, "agent")).toContain("only observes");
  expect(flagMeaning("WORKER_COUNT", 4, true, "agent")).toContain("may move it again");
  expect(flagMeaning("WORKER_COUNT", 4, true, "external")).toContain("whoever reads it follows");
  expect(flagMeaning("A_NEW_FLAG", true, false, "agent")).toBe("It is turned on.");
});
