import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { codeWords } from "@/lib/decisions";
import { fleetOf } from "@/lib/fleets";
import { holderOf } from "@/lib/holds";
import { promisesMeaning, promisesText } from "@/lib/promises";

const domain = (name: string) => readFileSync(`${process.cwd()}/../src/levqor/domain/${name}.py`, "utf8");

/** The members of a StrEnum: `HELD = "held"`. */
function membersOf(source: string, name: string): string[] {
  const body = source.split(`class ${name}(StrEnum):`)[1]?.split(/\n(?=\S)/)[0] ?? "";
  return [...body.matchAll(/^ {4}[A-Z0-9_]+ = "(\w+)"$/gm)].map((found) => found[1] ?? "");
}

test("every reason's code has words of its own", () => {
  const codes = membersOf(domain("decisions"), "Code");
  expect(codes).toContain("did_not_help");
  expect(new Set(codes.map(codeWords)).size).toBe(codes.length);
  expect(codes.filter((code) => code.includes("_") && codeWords(code) === code)).toEqual([]);
  expect(codeWords("a_new_one")).toBe("a new one");
});

test("every kind of fleet says who brings workers, and only Levqor's own are brought by `levqor up`", () => {
  const kinds = membersOf(domain("fleet"), "FleetKind");
  expect(kinds).toHaveLength(4);
  for (const kind of kinds) {
    const fleet = fleetOf(kind);
    expect(fleet).not.toBe(fleetOf("a new kind"));
    expect(fleet.start.includes("levqor up")).toBe(kind === "agent");
    expect(fleet.owner === "").toBe(kind === "agent");
  }
});

test("nobody is named who holds workers that were set outside Levqor", () => {
  expect(holderOf({ kind: "outside", owner: "outside Levqor" })).toBe("held: workers set outside Levqor");
  expect(holderOf({ kind: "manual", owner: "mia" })).toBe("held by mia");
});

test.each([
  [{ kept: 8, missed: 2, open: 1, void: 3 }, "8 of 10 promises kept"],
  [{ kept: 0, missed: 1, open: 0, void: 0 }, "0 of 1 promise kept"],
  [{ kept: 0, missed: 0, open: 2, void: 1 }, "2 promises open"],
  [{ kept: 0, missed: 0, open: 0, void: 1 }, "no promise could be judged"],
  [{ kept: 0, missed: 0, open: 0, void: 0 }, null],
  [null, "promises unknown"],
])("%o reads %s", (score, text) => expect(promisesText(score)).toBe(text));

test("what no promise is counted in is said beside it", () => {
  expect(promisesMeaning({ kept: 8, missed: 2, open: 1, void: 3 })).toContain("2 missed, 1 open, 3 that nobody could judge");
  expect(promisesMeaning(null)).not.toContain("missed");
});
