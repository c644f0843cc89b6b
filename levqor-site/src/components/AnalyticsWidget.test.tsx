import { act, cleanup, render, screen } from "@testing-library/react";
import { SWRConfig } from "swr";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { AnalyticsWidget } from "./AnalyticsWidget";

type Answer = [status: number, body: unknown] | "pending" | "lost";

const SIGNED_IN = { signed_in: true, name: "Mia", expires_at: null, csrf: "x", may_read: true, read_only: null };
const ANALYTICS = { ok: true, users: { total: 1204, new_7d: 31, new_30d: 90, returning_7d: 1, returning_30d: 2 }, referral_sources: [{ source: "<b>ads</b>", users: 9 }] };

function day(number: number, over: object = {}) {
  const name = `2026-11-${String(number).padStart(2, "0")}`;
  return { day: name, dau: number, wau: 100, mau: 400, is_recorded: true, wau_complete: true, mau_complete: false, ...over };
}

const RETENTION = {
  ok: true,
  zone: "UTC",
  history_from: "2026-11-09",
  metrics: Array.from({ length: 16 }, (_, index) => day(21 - index, index >= 13 ? { dau: 0, is_recorded: false } : {})),
  today: { ...day(22), partial: true },
  stickiness: { day: "2026-11-21", ratio: null, mean_7d: null, active_days: { days: 28, users: [] } },
};

let answers: Record<string, Answer>;

async function show() {
  vi.stubGlobal("fetch", (path: string) => {
    const answer = answers[path] ?? "pending";
    if (answer === "pending") return new Promise(() => {});
    if (answer === "lost") return Promise.reject(new TypeError("no route"));
    return Promise.resolve(new Response(JSON.stringify(answer[1]), { status: answer[0] }));
  });
  render(
    <SWRConfig value={{ provider: () => new Map(), dedupingInterval: 0 }}>
      <AnalyticsWidget />
    </SWRConfig>,
  );
  await settle(50);
}

const settle = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-22T12:00:00Z") });
  answers = { "/auth/session": [200, SIGNED_IN], "/admin/retention": [200, RETENTION], "/admin/analytics": [200, ANALYTICS] };
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("shows the last closed day, and that its month is not whole", async () => {
  await show();
  const figures = screen.getAllByRole("definition").map((found) => found.textContent);
  expect(figures).toEqual(["21", "100", "400 so far", "not yet"]);
  expect(screen.getByText("1,204 users, 31 new in 7 days; from <b>ads</b> (9)")).toBeTruthy();
});

test("the line has 14 days in words, and a day before the history is no zero", async () => {
  await show();
  expect(screen.getByRole("img").getAttribute("aria-label")).toBe(
    "Daily active users from 8 Nov to 21 Nov: not recorded, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21",
  );
});

test("says that it is loading", async () => {
  answers["/admin/retention"] = "pending";
  await show();
  expect(screen.getByText("Loading…").getAttribute("aria-busy")).toBe("true");
});

test("says what fills it while it is empty", async () => {
  answers["/admin/retention"] = [200, { ...RETENTION, history_from: null }];
  await show();
  expect(screen.getByText("levqor import activity FILE")).toBeTruthy();
  expect(screen.queryByRole("img")).toBeNull();
});

test("says why it has nothing", async () => {
  answers["/admin/retention"] = [503, { detail: "the database does not answer" }];
  await show();
  expect(screen.getByRole("alert").textContent).toBe("the database does not answer");
});

test("asks for a sign-in instead of being refused", async () => {
  answers = { "/auth/session": [200, { ...SIGNED_IN, signed_in: false }], "/admin/retention": [401, {}] };
  await show();
  expect(screen.getByText("Sign in to see who is active.")).toBeTruthy();
  expect(screen.queryByRole("alert")).toBeNull();
});

test("says so where nobody can sign in", async () => {
  answers = { "/auth/session": [404, { detail: "There is nothing at this path." }] };
  await show();
  expect(screen.getByRole("alert").textContent).toBe("Nobody can sign in here: JWT_SECRET or ADMIN_TOKEN is not set");
});

test("asks again every 60 s; while nobody answers its figures stay and are said to be stale", async () => {
  await show();
  expect(screen.queryByText("stale")).toBeNull();
  answers["/admin/retention"] = "lost";
  await settle(60_100);
  expect(screen.getByText("stale")).toBeTruthy();
  expect(screen.getByText("400 so far")).toBeTruthy();
  answers["/admin/retention"] = [200, { ...RETENTION, metrics: [day(21, { dau: 77 })] }];
  await settle(60_100);
  expect(screen.getByText("77")).toBeTruthy();
  expect(screen.queryByText("stale")).toBeNull();
});

test("users that cannot be counted take nothing else away", async () => {
  answers["/admin/analytics"] = [503, { detail: "the database does not answer" }];
  await show();
  expect(screen.getByText("Users are unknown: the database does not answer")).toBeTruthy();
  expect(screen.getByRole("img")).toBeTruthy();
});
