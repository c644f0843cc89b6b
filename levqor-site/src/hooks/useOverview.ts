"use client";

import { type Read, useApi } from "@/hooks/useApi";
import type { Overview } from "@/lib/api";

const POLL_MS = 5000;

/** The one call of the first screen; the shell on every page reads the same. */
export function useOverview(): Read<Overview> {
  return useApi<Overview>("/ops/overview", POLL_MS);
}
